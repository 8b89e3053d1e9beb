"""A request with an Idempotency-Key on Aurora DSQL: no savepoints, and nobody waits for a key."""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sunup.local.emulator import Emulator
from sunup.local.testing import Emulate
from sunup.receipts.texts import CREATE
from sunup.settings import Settings

from ..local.emulator.dsql.clients import connect
from .apps import KINDS, Client, content, serving

Start = Callable[..., Client]
Names = Callable[[], list[str]]

# One statement that changes the schema in a transaction; an index is built in the background.
TABLES = (
    CREATE.strip().partition(";")[0],
    "create table things (id bigint generated always as identity (cache 1), name text unique)",
)


@pytest.fixture
def aws(emulate: Emulate, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    aws = emulate(engine="dsql")
    for name, value in aws.admin_environ.items():
        monkeypatch.setenv(name, value)
    with connect(aws) as connection:
        for statement in TABLES:
            connection.execute(statement.encode())
    return aws


@pytest.fixture(params=KINDS)
def start(request: pytest.FixtureRequest, aws: Emulator) -> Iterator[Start]:
    settings = Settings.from_environment(aws.admin_environ)
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(serving(request.param, settings, **options))


@pytest.fixture
def names(aws: Emulator) -> Names:
    def find() -> list[str]:
        with connect(aws) as connection:
            found = connection.execute("select name from things order by id").fetchall()
        return [row[0] for row in found]

    return find


def succeeds(client: Client, names: Names) -> None:
    before = names()
    assert client("/add?last", "key-last")["statusCode"] == 201
    assert names() == [*before, "last"]


def test_a_repeated_request_is_answered_as_the_first_time(start: Start, names: Names) -> None:
    client = start()
    first = client("/add?a", "key-1")
    again = client("/add?a", "key-1")
    assert first["statusCode"] == again["statusCode"] == 201, first
    assert first["body"] == again["body"]
    assert again["headers"]["idempotent-replayed"] == "true"
    assert names() == ["a"]
    succeeds(client, names)


def test_a_refusal_is_kept_where_nothing_else_was_changed(start: Start, names: Names) -> None:
    client = start()
    assert client("/add?a", "key-1")["statusCode"] == 201
    refused = client("/refused?a", "key-2")
    again = client("/refused?a", "key-2")
    assert (refused["statusCode"], refused["body"]) == (409, "taken")
    assert (again["statusCode"], again["body"]) == (409, "taken")
    assert again["headers"]["idempotent-replayed"] == "true"
    succeeds(client, names)


def test_a_later_block_that_fails_takes_all_with_it(start: Start, names: Names) -> None:
    client = start()
    assert client("/taken?a", "key-1")["statusCode"] == 500
    assert names() == []
    assert client("/add?a", "key-1")["statusCode"] == 201
    succeeds(client, names)


def test_what_fails_leaves_nothing_and_may_be_repeated(start: Start, names: Names) -> None:
    client = start()
    assert client("/raises?a", "key-1")["statusCode"] == 500
    assert client("/status?503-b", "key-2")["statusCode"] == 503
    assert names() == []
    assert client("/add?a", "key-1")["statusCode"] == 201
    assert client("/add?b", "key-2")["statusCode"] == 201
    succeeds(client, names)


@pytest.mark.parametrize("repeat", [True, False])
def test_of_two_at_once_one_is_done_and_both_hear_of_it(
    start: Start, names: Names, repeat: bool
) -> None:
    clients = [start(repeat=repeat), start(repeat=repeat)]
    answers: list[Any] = [None, None]

    def call(number: int) -> None:
        for _ in range(10):
            answers[number] = clients[number]("/slow?a", "key-1")
            if answers[number]["statusCode"] != 503:
                return
            # Of the emulated DSQL both may lose: what one was told before must not change.
            assert content(answers[number])["code"] == "transaction_conflict"
            assert answers[number]["headers"]["retry-after"] == "1"
            time.sleep(random.uniform(0, 3))

    threads = [threading.Thread(target=call, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [each["statusCode"] for each in answers] == [201, 201], answers
    assert len({each["body"] for each in answers}) == 1
    assert sum("idempotent-replayed" in each["headers"] for each in answers) == 1
    assert names() == ["a"]
    succeeds(clients[0], names)


def test_an_injected_conflict_is_run_again(start: Start, aws: Emulator, names: Names) -> None:
    client = start(repeat=True)
    assert client("/add?a", "key-0")["statusCode"] == 201
    aws.dsql.conflicts.next = 2
    assert client("/add?b", "key-1")["statusCode"] == 201
    assert names() == ["a", "b"]
    succeeds(client, names)


def test_a_commit_that_was_answered_with_unavailable_is_looked_up(
    start: Start, aws: Emulator, names: Names
) -> None:
    client = start()
    assert client("/add?a", "key-0")["statusCode"] == 201
    aws.dsql.faults.uncertain = 1
    answer = client("/add?b", "key-1")
    assert answer["statusCode"] == 201, answer
    assert client("/add?b", "key-1")["body"] == answer["body"]
    assert names() == ["a", "b"]
    succeeds(client, names)


@pytest.mark.parametrize("kind", ["asyncpg-transactions", "psycopg"])
def test_a_message_that_arrives_after_its_line_has_broken_does_nothing_twice(
    kind: str, aws: Emulator, names: Names
) -> None:
    """Among them COMMIT: who looks it up takes its place first, or meets its receipt."""
    faults: Any = aws.dsql.faults
    usual, held = faults.late, []
    at = 0

    async def late() -> None:
        nonlocal at
        at -= 1
        if at == 0:
            for session in list(faults.places):
                session._client.abort()
            held.append(1)
            await asyncio.sleep(0.15)
            held.pop()
        await usual()

    faults.late = late
    settings = Settings.from_environment(aws.admin_environ)
    with serving(kind, settings, repeat=False) as client:
        assert client("/add?first", "key-0")["statusCode"] == 201
        for number in range(1, 20):
            at, key, name = number, f"key-{number}", f"name-{number}"
            answer = client(f"/add?{name}", key)
            while held:
                time.sleep(0.02)
            at = 0
            there = names().count(name)
            if answer["statusCode"] == 201:
                assert there == 1, number
            elif content(answer)["executed"] == "no":
                assert there == 0, number
            for _ in range(8):
                if answer["statusCode"] == 201:
                    break
                answer = client(f"/add?{name}", key)
            assert answer["statusCode"] == 201, (number, answer)
            assert names().count(name) == 1, number
        succeeds(client, names)
