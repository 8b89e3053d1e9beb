"""A second attempt beside one that hears nothing; each address of a name. With both drivers."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from sunup.asyncpg import Database as AsyncpgDatabase
from sunup.asyncpg import attempt as asyncpg_attempt
from sunup.local.emulator import AuroraOptions, Emulator
from sunup.local.testing import Emulate
from sunup.psycopg import Database as PsycopgDatabase
from sunup.psycopg import attempt as psycopg_attempt
from sunup.settings import Settings

from ..sockets import connected_to

Ask = Callable[[Settings], int]

SECOND_AFTER = 0.4


def ask_asyncpg(settings: Settings) -> int:
    async def ask() -> int:
        db = AsyncpgDatabase(settings)
        async with db.connection() as connection:
            found = await connection.fetchval("select 42")
        await db.close()
        return int(found)

    return asyncio.run(ask())


def ask_psycopg(settings: Settings) -> int:
    db = PsycopgDatabase(settings)
    with db.connection() as connection:
        row = connection.execute("select 42").fetchone()
    db.close()
    assert row is not None
    return int(row[0])


DRIVERS = {"asyncpg": (ask_asyncpg, asyncpg_attempt), "psycopg": (ask_psycopg, psycopg_attempt)}


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def aws(emulate: Emulate, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    aws = emulate(aurora=AuroraOptions(resume_seconds=1))
    for name, value in aws.iam.current.environment().items():
        monkeypatch.setenv(name, value)
    for _, module in DRIVERS.values():
        monkeypatch.setattr(module, "SECOND_AFTER", SECOND_AFTER)
    return aws


@pytest.fixture
def silent(aws: Emulator) -> Iterator[str]:
    """An address at which connections are taken and nothing is said, at Aurora's own port."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.2", aws.aurora.port))
        listener.listen()
        yield "127.0.0.2"


def resolve(monkeypatch: pytest.MonkeyPatch, addresses: list[str], port: int) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]
    real = socket.getaddrinfo

    def answer(host: str | bytes | None, *rest: object, **options: object) -> object:
        if host == "localhost":
            return found
        return real(host, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


def test_a_silent_address_gets_a_rival_at_the_next_one(
    aws: Emulator, silent: str, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, [silent, "127.0.0.1"], aws.aurora.port)
    ask, _ = DRIVERS[driver]
    settings = Settings.from_environment(aws.environ)
    began = time.monotonic()
    assert ask(settings) == 42
    assert SECOND_AFTER <= time.monotonic() - began < SECOND_AFTER + 1.5
    assert aws.aurora.places.most == 1


def test_an_address_that_refuses_is_followed_by_the_next_at_once(
    aws: Emulator, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, ["127.0.0.3", "127.0.0.1"], aws.aurora.port)
    ask, _ = DRIVERS[driver]
    began = time.monotonic()
    assert ask(Settings.from_environment(aws.environ)) == 42
    assert time.monotonic() - began < SECOND_AFTER


def test_a_name_that_leads_nowhere_is_unreachable(
    driver: str, aws: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sunup import DatabaseUnreachable, deadline

    ask, _ = DRIVERS[driver]
    settings = Settings.from_environment(aws.environ)
    monkeypatch.setattr(DatabaseUnreachable, "patience", 0.2)
    with deadline.within(3), pytest.raises(DatabaseUnreachable):
        ask(replace(settings, host="no-such-host.invalid"))


def test_all_silent_is_a_database_that_wakes_up(
    aws: Emulator, silent: str, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sunup import DatabaseResuming, deadline

    resolve(monkeypatch, [silent], aws.aurora.port)
    ask, _ = DRIVERS[driver]
    with deadline.within(1), pytest.raises(DatabaseResuming):
        ask(Settings.from_environment(aws.environ))


def test_a_login_under_way_is_closed_with_its_event_loop(aws: Emulator) -> None:
    """Its TLS is up, and a resuming database answers no goodbye."""
    from sunup import DatabaseResuming, deadline

    settings = Settings.from_environment(aws.environ)
    aws.do("aurora/pause")
    with deadline.within(0.4), pytest.raises(DatabaseResuming):
        ask_asyncpg(settings)
    assert connected_to(aws.aurora.port) == 0
    assert ask_asyncpg(settings) == 42
