"""The page for a person who meets a sleeping database; the `Accept` values are browsers' own."""

import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sunup import Handler
from sunup.adapter import waking_page
from sunup.failures import DatabaseFull, DatabaseResuming
from sunup.local.emulator import AuroraOptions
from sunup.local.testing import Emulate
from sunup.settings import Settings
from tests.adapter.test_events import event_2

# MDN, "List of default Accept values", 2026-11.
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;"
    "q=0.8,application/signed-exchange;v=b3;q=0.7"
)


@pytest.mark.parametrize(
    ("accepts", "page"),
    [
        ([FIREFOX], True),
        ([CHROME], True),
        (["application/json;q=0.5", "TEXT/HTML"], True),
        (["text/html; charset=utf-8 ; q=0.9, application/json; q=0.8"], True),
        (["*/*"], False),  # curl, fetch(), most clients
        ([], False),
        ([""], False),
        (["application/json, text/html;q=0.9"], False),
        (["text/html;q=0, */*"], False),
        (["text/html;q=0.000"], False),
        (["text/*"], False),
        (["nonsense, ;;q=, text / html"], False),
    ],
)
def test_a_browser_is_who_asks_for_html_by_name(accepts: list[str], *, page: bool) -> None:
    assert waking_page.is_for(accepts) is page


async def sleeping(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/full":
        raise DatabaseFull
    if scope["path"] != "/lifespan":
        raise DatabaseResuming


def answer(
    accept: str | None, *, page: bool = True, method: str = "GET", path: str = "/x"
) -> dict[str, Any]:
    event = event_2(rawPath=path)
    event["requestContext"]["http"].update(method=method, path=path)
    if accept is not None:
        event["headers"]["accept"] = accept
    handler = Handler(sleeping, settings=Settings(waking_page=page))
    try:
        result: dict[str, Any] = handler(event)
    finally:
        handler.close()
    return result


class Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_browser_gets_a_page_that_loads_again_by_itself() -> None:
    given = answer(FIREFOX)
    headers = given["headers"]
    assert given["statusCode"] == 503
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert int(headers["content-length"]) == len(given["body"].encode())
    assert (headers["retry-after"], headers["cache-control"]) == ("5", "no-store")
    assert headers["vary"] == "accept"
    parser = Parser()
    parser.feed(given["body"])
    assert parser.open == []
    assert ("meta", {"http-equiv": "refresh", "content": "5"}) in parser.seen
    assert ("html", {"lang": "en"}) in parser.seen
    assert ("main", {"role": "status"}) in parser.seen
    assert len(given["body"]) < 2500
    assert not re.search(r"https?://|<script|src=", given["body"])  # nothing else to fetch


@pytest.mark.parametrize(
    ("accept", "options", "page"),
    [
        (None, {}, True),
        ("*/*", {}, True),
        (FIREFOX, {"method": "POST"}, True),  # a form: loading again would not send it
        (FIREFOX, {"path": "/full"}, True),  # waiting for the page would not help
        (FIREFOX, {}, False),
    ],
)
def test_all_others_get_the_json(accept: str | None, options: Any, *, page: bool) -> None:
    given = answer(accept, page=page, **options)
    assert given["statusCode"] == 503
    assert given["headers"]["content-type"] == "application/json"
    assert json.loads(given["body"])["executed"] == "no"


def test_a_switch_is_on_or_off() -> None:
    assert Settings.from_environment({"WAKING_PAGE": " OFF "}).waking_page is False
    assert Settings.from_environment({}).waking_page is True
    with pytest.raises(ValueError, match="WAKING_PAGE is 'no'; expected on or off"):
        Settings.from_environment({"WAKING_PAGE": "no"})


def test_after_the_page_comes_the_app_s_own_answer_also_after_a_freeze(emulate: Emulate) -> None:
    """A browser's first request meets the page, its second the app."""
    options = {"aurora": AuroraOptions(resume_seconds=6), "environ": {"GATEWAY_TIMEOUT": "4"}}
    aws = emulate(Path(__file__).parents[2] / "examples" / "users", **options)
    browser = {"Accept": FIREFOX}
    assert httpx2.get(f"{aws.url}/users", headers=browser, timeout=10).json() == []
    aws.do("instances/reap")
    aws.do("aurora/pause")
    page = httpx2.get(f"{aws.url}/users", headers=browser, timeout=10)
    assert (page.status_code, "Waking up" in page.text) == (503, True)
    time.sleep(4)
    for _ in range(2):  # the instance is frozen between them
        again = httpx2.get(f"{aws.url}/users", headers=browser, timeout=10)
        assert (again.status_code, again.json()) == (200, [])
