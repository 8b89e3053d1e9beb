"""A COMMIT whose answer was lost, on each kind of database; then a plain success."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sunup.settings import Settings

from .apps import KINDS, TABLES, Client, content, serving
from .proxy import Proxy, proxy_of

Admin = Callable[[str], list[tuple[Any, ...]]]
Start = Callable[..., Client]


@pytest.fixture
def proxy(settings: Settings) -> Iterator[Proxy]:
    with proxy_of(settings) as proxy:
        yield proxy


@pytest.fixture(params=KINDS)
def start(request: pytest.FixtureRequest, proxy: Proxy, admin: Admin) -> Iterator[Start]:
    for statement in TABLES.split(";"):
        admin(statement)
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(
            serving(request.param, proxy.settings, **options)
        )


def names(admin: Admin) -> list[str]:
    return [row[0] for row in admin("select name from things order by id")]


def test_committed_and_the_answer_lost_the_client_gets_its_answer(
    start: Start, admin: Admin, proxy: Proxy, capsys: pytest.CaptureFixture[str]
) -> None:
    client = start()
    proxy.plan = ["answer lost"]
    first = client("/add?a", "key-1")
    assert first["statusCode"] == 201, first
    assert "idempotent-replayed" not in first["headers"]
    assert client("/add?a", "key-1")["body"] == first["body"]
    assert re.findall(r" receipt=(\w+)", capsys.readouterr().err) == ["resolved", "replayed"]
    assert names(admin) == ["a"]
    assert client("/add?b")["statusCode"] == 201
    assert proxy.met == ["answer lost"]


def test_without_a_receipt_the_same_is_an_answer_that_tells_the_truth(
    start: Start, admin: Admin, proxy: Proxy
) -> None:
    client = start()
    proxy.plan = ["lost"]
    lost = client("/add?a", "key-1")
    assert lost["statusCode"] == 503
    assert content(lost)["executed"] == "no"
    assert lost["headers"]["retry-after"] == "1"
    assert names(admin) == []
    assert client("/add?a", "key-1")["statusCode"] == 201
    assert names(admin) == ["a"]


def test_not_committed_the_work_runs_again_where_the_app_allows_it(
    start: Start, admin: Admin, proxy: Proxy
) -> None:
    client = start(repeat="POST /add")
    proxy.plan = ["lost", "lost", "answer lost"]
    first = client("/add?a", "key-1")
    assert first["statusCode"] == 201, first
    assert client("/add?a", "key-1")["body"] == first["body"]
    assert names(admin) == ["a"]
    assert proxy.met == ["lost", "lost", "answer lost"]


def test_a_late_commit_is_waited_for(start: Start, admin: Admin, proxy: Proxy) -> None:
    client = start(repeat=True)
    proxy.plan, proxy.delay = ["late"], 0.5
    first = client("/add?a", "key-1")
    assert first["statusCode"] == 201, first
    assert client("/add?a", "key-1")["body"] == first["body"]
    assert names(admin) == ["a"]


def test_a_session_that_stays_open_is_waited_for_and_fenced(
    start: Start, admin: Admin, proxy: Proxy
) -> None:
    client = start(repeat=True)
    proxy.plan, proxy.delay = ["silent"], 0.5
    assert client("/add?a", "key-1")["statusCode"] == 201
    assert names(admin) == ["a"]


def test_what_cannot_be_known_in_time_may_be_repeated_with_the_key(
    start: Start, admin: Admin, proxy: Proxy
) -> None:
    client = start(repeat=True)
    proxy.plan, proxy.delay = ["late"], 2.0
    unknown = client("/add?a", "key-1", seconds=1.0)
    assert unknown["statusCode"] == 503, unknown
    assert content(unknown)["executed"] == "unknown"
    assert "retry-after" in unknown["headers"]
    again = client("/add?a", "key-1")
    assert again["statusCode"] in (201, 409), again
    again = client("/add?a", "key-1")
    assert again["statusCode"] == 201
    assert names(admin) == ["a"]


def test_a_connection_lost_in_the_middle_leaves_nothing(
    start: Start, admin: Admin, proxy: Proxy
) -> None:
    client = start()
    client("/add?warm", "key-0")
    admin("alter table things add column ended bool")
    admin(
        "create function end_it() returns trigger language plpgsql as"
        " $$ begin if new.name = 'a' and (select count(*) from tries) < 1"
        " then perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(1); end if;"
        " return new; end $$"
    )
    admin("create table tries (n int)")
    admin("create trigger t before insert on things for each row execute function end_it()")
    lost = client("/add?a", "key-1")
    assert lost["statusCode"] == 503
    assert content(lost)["executed"] == "no"
    admin("insert into tries values (1)")
    assert client("/add?a", "key-1")["statusCode"] == 201
    assert names(admin) == ["warm", "a"]


@pytest.mark.parametrize("fate", ["answer lost", "lost", "late"])
def test_what_is_not_kept_is_not_done_twice_either(
    start: Start, admin: Admin, proxy: Proxy, fate: str
) -> None:
    client = start(repeat=True)
    proxy.plan = [fate]
    limited = client("/status?429-a", "key-1")
    assert limited["statusCode"] == 429, limited
    assert names(admin) == ["a"]
    # It may be tried again, by whoever has the key.
    assert client("/add?b", "key-1")["statusCode"] == 201
    assert names(admin) == ["a", "b"]
