"""The console, as JSON and in a real browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from sunup.local.emulator import AuroraOptions, Emulator
from sunup.local.testing import Emulate

USERS = Path(__file__).parents[3] / "examples" / "users"


def chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


@pytest.fixture
def aws(emulate: Emulate) -> Emulator:
    return emulate(USERS, aurora=AuroraOptions(resume_seconds=1, max_connections=9))


def test_the_state_is_told_as_json(aws: Emulator) -> None:
    httpx2.get(f"{aws.url}/users")
    state = httpx2.get(f"{aws.console_url}/state").json()
    assert state["aurora"]["state"] == "awake"
    assert state["aurora"]["max_connections"] == 9
    assert state["aurora"]["connections"] == 1
    assert state["aurora"]["awake_seconds"] > 0
    [instance] = state["instances"]
    assert (instance["state"], instance["requests"]) == ("frozen", 1)
    last = state["events"][-1]["n"]
    assert httpx2.get(f"{aws.console_url}/state?after={last}").json()["events"] == []


def test_the_faults_can_be_posted(aws: Emulator) -> None:
    for action, state in (("pause", "asleep"), ("resume", "resuming")):
        reply = httpx2.post(f"{aws.console_url}/aurora/{action}")
        assert reply.json()["aurora"]["state"] == state
    for action in ("drop", "refuse", "failover", "restart"):
        assert httpx2.post(f"{aws.console_url}/aurora/{action}").status_code == 200
    key = aws.iam.current.id
    assert httpx2.post(f"{aws.console_url}/credentials/rotate").status_code == 200
    assert aws.iam.current.id != key
    assert httpx2.post(f"{aws.console_url}/credentials/revoke").status_code == 200
    assert aws.iam.current.revoked
    assert httpx2.post(f"{aws.console_url}/instances/reap").status_code == 200


def test_what_there_is_not_is_a_404_that_tells_what_there_is(aws: Emulator) -> None:
    reply = httpx2.post(f"{aws.console_url}/aurora/explode")
    assert reply.status_code == 404
    assert "aurora/pause" in reply.json()["actions"]
    assert httpx2.get(f"{aws.console_url}/state?after=x").status_code == 400


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"host": "evil.example"}, {"origin": "null"}]
)
def test_another_site_cannot_press_the_buttons(aws: Emulator, headers: dict[str, str]) -> None:
    reply = httpx2.post(f"{aws.console_url}/aurora/pause", headers=headers)
    assert reply.status_code == 403
    assert aws.state()["aurora"]["state"] == "awake"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        # CI installs one (.ci/run): there a missing browser is a failure, not a skip.
        assert not os.environ.get("CI"), "CI has no Chromium"
        pytest.skip("the console's page needs a Chromium: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    page = browser.new_page(color_scheme=request.param)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console", lambda message: errors.append(message.text) if message.type == "error" else None
    )
    yield page
    page.close()
    assert errors == []


def test_the_page_shows_the_database_the_instances_and_the_requests(
    aws: Emulator, page: Page
) -> None:
    page.goto(aws.console_url)
    expect(page.locator("#state")).to_have_text("awake")
    expect(page.locator("svg")).to_contain_text("none yet: send a request")
    httpx2.get(f"{aws.url}/users")
    httpx2.get(f"{aws.url}/users/x")
    expect(page.locator("#instances")).to_have_text("1 frozen")
    expect(page.locator(".dot[data-status='200']")).to_have_count(1)
    expect(page.locator(".dot[data-status='400']")).to_have_count(1)
    expect(page.locator("#requests tr")).to_have_count(2)
    expect(page.locator("#connections")).to_have_text("1 of 9")
    aws.do("aurora/pause")
    expect(page.locator("#state")).to_have_text("asleep")
    expect(page.locator("rect.asleep")).to_have_count(1)
    httpx2.get(f"{aws.url}/users")
    expect(page.locator("rect.resuming")).to_have_count(1)
    expect(page.locator("#state")).to_have_text("awake")


def test_the_page_is_used_by_keyboard(aws: Emulator, page: Page) -> None:
    page.goto(aws.console_url)
    expect(page.locator("#state")).to_have_text("awake")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Pause")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_have_text("asleep")
    expect(page.get_by_role("status")).to_contain_text("Pause: done")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("status")).to_contain_text("Resume: done")
    expect(page.locator("#state")).to_have_text("awake")


def test_text_is_readable_in_both_schemes(aws: Emulator, page: Page) -> None:
    """WCAG's contrast of 4.5 for text on the page and on the cards."""
    page.goto(aws.console_url)
    contrast = page.evaluate(
        """() => {
          const style = getComputedStyle(document.documentElement);
          const luminance = name => {
            const hex = style.getPropertyValue(name).trim().slice(1);
            const [r, g, b] = [0, 2, 4].map(i => parseInt(hex.slice(i, i + 2), 16) / 255)
              .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ratio = (a, b) => {
            const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
            return (x + 0.05) / (y + 0.05);
          };
          return [["--ink", "--page"], ["--ink", "--card"], ["--soft", "--card"], ["--bad", "--card"],
                  ["--good", "--page"], ["--rest", "--page"], ["--wait", "--page"], ["--ink", "--good-fill"],
                  ["--ink", "--wait-fill"], ["--ink", "--rest-fill"]]
            .map(([a, b]) => [`${a} on ${b}`, ratio(a, b)]);
        }"""
    )
    low = [(name, value) for name, value in contrast if value < 4.5]
    assert low == []


def test_the_page_says_when_the_emulator_has_ended(emulate: Emulate, browser: Browser) -> None:
    page = browser.new_page()
    with Emulator(None, emulate().options) as aws:
        page.goto(aws.console_url)
        expect(page.locator("#state")).to_have_text("awake")
    expect(page.get_by_role("status")).to_contain_text("The emulator has ended")
    page.close()


@pytest.mark.parametrize(
    "headers", [{"Host": "["}, {"Origin": "http://["}, {"Host": "evil.example"}]
)
def test_another_name_sees_nothing_and_does_nothing(aws: Emulator, headers: dict[str, str]) -> None:
    """DNS rebinding: a page of evil.example, whose name leads to this machine."""
    for method, path in (
        ("GET", "/state"),
        ("GET", "/token"),
        ("GET", "/"),
        ("POST", "/aurora/pause"),
    ):
        reply = httpx2.request(method, f"{aws.console_url}{path}", headers=headers)
        assert reply.status_code == 403
    assert httpx2.get(f"{aws.console_url}/state").status_code == 200
