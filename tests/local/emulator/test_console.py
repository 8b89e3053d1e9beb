"""The console, as JSON and in a real browser."""

import re
import shutil
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from sunup.local.emulator import AuroraOptions, Emulator, EmulatorOptions
from sunup.local.testing import Emulate
from tests.processes import IN_CI

from .test_aurora import arguments
from .test_history import feed

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
    for wrong in ("after=x", "after=1e3", "since=x", "since=nan", "since=inf", "since=-1e400"):
        assert httpx2.get(f"{aws.console_url}/state?{wrong}").status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"host": "evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://evil.example@localhost"},
        {"origin": "chrome-extension://localhost"},
    ],
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
        assert not IN_CI, "CI has no Chromium"
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
    ended.clear()
    yield page
    page.close()
    assert [each for each in errors if not any(known in each for known in ended)] == []


# What the browser may say when a test has ended its emulator.
ended: list[str] = []


def words_of(page: Page) -> list[str]:
    """What a pointer finds on the timeline."""
    found: list[str] = page.evaluate("window.hits.map(hit => hit[4])")
    return found


def until(page: Page, condition: str) -> None:
    page.wait_for_function(f"window.hits && window.hits.some(hit => {condition})", timeout=5000)


def test_the_page_shows_the_database_the_instances_and_the_requests(
    aws: Emulator, page: Page
) -> None:
    page.goto(aws.console_url)
    expect(page.locator("#state")).to_have_text("awake")
    expect(page.locator("#rows")).to_contain_text("database awake")
    httpx2.get(f"{aws.url}/users")
    httpx2.get(f"{aws.url}/users/x")
    expect(page.locator("#instances")).to_have_text("1 frozen")
    expect(page.locator("tr.request")).to_have_count(2)
    expect(page.locator("tr.request").first).to_contain_text("GET /users/x")
    expect(page.locator("#connections")).to_have_text("1 of 9")
    expect(page.locator("#words")).to_contain_text(
        "2 requests in this time: 1 with 4xx, 0 with 5xx"
    )
    until(page, "hit[4].startsWith('GET /users/x 400')")
    aws.do("aurora/pause")
    expect(page.locator("#state")).to_have_text("asleep")
    until(page, "hit[4].startsWith('database asleep')")
    httpx2.get(f"{aws.url}/users")
    expect(page.locator("#state")).to_have_text("awake")
    until(page, "hit[4].startsWith('database resuming for 1.')")
    assert "pause" in words_of(page)
    assert "drop" not in words_of(page)


def test_a_page_that_is_opened_late_shows_the_same(
    aws: Emulator, browser: Browser, page: Page
) -> None:
    """States are not read from the events, of which the latest 5,000 are kept."""
    httpx2.get(f"{aws.url}/users")
    aws.do("aurora/pause")
    httpx2.get(f"{aws.url}/users")
    for _ in range(6000):
        aws.timeline.add("log", instance="x" * 32, line="hello")
    page.goto(aws.console_url)
    until(page, "hit[4].startsWith('database resuming for 1.')")
    until(page, "hit[4] === 'pause'")
    until(page, "hit[4].includes('init for')")
    expect(page.locator("#words")).to_contain_text("2 requests in this time")


def test_causes_and_the_function_s_log_are_listed_and_filtered(
    emulate: Emulate, tmp_path: Path, page: Page
) -> None:
    (tmp_path / "lambda_function.py").write_text(FAILING)
    aws = emulate(tmp_path)
    page.goto(aws.console_url)
    for path in ("/crash", "/told", "/fine"):
        httpx2.get(f"{aws.url}{path}", timeout=20)
    psycopg_refused(aws)
    rows = page.locator("#rows")
    row = page.locator("tr.request", has_text="/crash")
    expect(row).to_contain_text("500")
    expect(row).to_contain_text("Runtime exited with error: exit status 1")
    expect(page.locator("tr.request", has_text="/told")).to_contain_text("the cause in the log")
    expect(rows).to_contain_text("Aurora refused app")
    expect(page.locator("tr.log")).to_have_count(1)  # a failure, though the log is not shown
    page.get_by_label("log", exact=True).check()
    expect(rows).to_contain_text("printed by hand")
    page.get_by_label("Filter").fill("by hand")
    expect(page.locator("#rows tr")).to_have_count(3)
    page.get_by_label("Filter").fill("no such thing")
    expect(rows).to_contain_text("nothing matches")


FAILING = """
import json, os
def handler(event, context):
    path = event["rawPath"]
    print("printed by hand")
    if path == "/crash": os._exit(1)
    if path == "/told":
        print(json.dumps({"level": "ERROR", "message": "told", "code": "x",
            "cause": "the cause in the log", "request_id": context.aws_request_id}))
        return {"statusCode": 503}
    return {"statusCode": 200}
"""


def psycopg_refused(aws: Emulator) -> None:
    with pytest.raises(psycopg.OperationalError, match="PAM"):
        psycopg.connect(**arguments(aws, password="x"))


def test_another_emulator_on_the_same_port_is_noticed(page: Page) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = EmulatorOptions(console_port=port)
    with Emulator(None, options) as aws:
        page.goto(aws.console_url)
        for _ in range(50):
            aws.timeline.add("fault", fault="of the first")
        expect(page.locator("#rows")).to_contain_text("of the first")
    expect(page.get_by_role("status")).to_contain_text("The emulator has ended")
    ended.append("ERR_CONNECTION_REFUSED")
    with Emulator(None, options) as aws:
        expect(page.get_by_role("status")).to_contain_text("another emulator", timeout=10_000)
        expect(page.locator("#rows")).to_contain_text("database awake")
        expect(page.locator("#rows")).not_to_contain_text("of the first")


def test_an_hour_of_a_hundred_requests_a_second_is_drawn_in_time(aws: Emulator, page: Page) -> None:
    feed(aws.timeline.history, time.time() - 3600, 3600)
    for number in range(6000):
        aws.timeline.add("log", instance="x" * 32, line=f"line {number}")
    page.goto(aws.console_url)
    page.get_by_label("Show").select_option("3600")
    until(page, "hit[4].startsWith('100 a second')")
    expect(page.locator("#words")).to_contain_text(re.compile(r"3[56]\d{4} requests in this time"))
    times = []
    for _ in range(45):
        page.wait_for_timeout(120)
        times.append(page.evaluate("window.drawn"))
    # Of the faster half: the machine has other work.
    assert statistics.quantiles(times)[0] < 16
    assert len(httpx2.get(f"{aws.console_url}/state?after=999999&since=0").content) < 400_000


@pytest.mark.parametrize("width", [400, 1200])
def test_nothing_is_wider_than_the_page(aws: Emulator, browser: Browser, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    httpx2.get(f"{aws.url}/users/{'x' * 300}")
    page.goto(aws.console_url)
    expect(page.locator("tr.request")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("document.querySelector('canvas').getBoundingClientRect().width") < width
    page.close()


def test_held_it_stands_still(aws: Emulator, page: Page) -> None:
    page.goto(aws.console_url)
    expect(page.locator("#rows")).to_contain_text("database awake")
    hold = page.get_by_role("button", name="Hold")
    hold.click()
    httpx2.get(f"{aws.url}/users")
    page.wait_for_timeout(1200)
    expect(page.locator("tr.request")).to_have_count(0)
    hold.click()
    expect(page.locator("tr.request")).to_have_count(1)


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
