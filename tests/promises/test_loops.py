"""Apps that run event loops of their own in a WSGI view: nothing outlives the request, and the next one works.

A loop is kept and stands still between requests, closed as it is, or ended by `asyncio.run`, which
cancels what is left on it.
"""

import asyncio
import gc
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psutil
import psycopg
import pytest

from sunup import Handler
from sunup.asyncpg import Database
from sunup.local.emulator import AuroraOptions, Emulator
from sunup.local.testing import Emulate
from sunup.settings import Settings

from ..adapter.test_events import event_2
from ..adapter.test_handler import Context

Work = Callable[[Database], Awaitable[object]]
Run = Callable[[Awaitable[Any]], object]

RESUMES = 1.0


class App:
    """A WSGI app whose only view does what each request is given, on a loop of its own."""

    def __init__(self, aws: Emulator, run: Run) -> None:
        self.aws = aws
        settings = Settings.from_environment(aws.environ)
        self.settings = replace(settings, pool_size=1, log_level="CRITICAL")
        self.db = Database(self.settings)
        self.handler = Handler(self.wsgi, interface="wsgi", settings=self.settings)
        self.run = run
        self.work: Work = plain

    def wsgi(self, _: Any, start_response: Any) -> list[bytes]:
        self.run(self.work(self.db))
        start_response("200 OK", [])
        return [b"ok"]

    def ask(self, work: Work, left: float = 20.0) -> int:
        self.work = work
        event = event_2(requestContext={"http": {"method": "POST"}})
        event["requestContext"].pop("timeEpoch", None)
        status: int = self.handler(event, Context(left + 1))["statusCode"]
        return status

    def sockets(self) -> int:
        """Of the app's, to the database."""
        opened = psutil.Process().net_connections("tcp")
        connected = [each for each in opened if each.status != psutil.CONN_LISTEN]
        return sum(each.raddr.port == self.aws.aurora.port for each in connected)

    def holding(self) -> list[Any]:
        """The sessions that are not at rest."""
        server = self.aws._database
        with psycopg.connect(
            host=server["DB_HOST"], user="postgres", dbname=server["DB_NAME"], autocommit=True
        ) as admin:
            return admin.execute(
                "select state, query from pg_stat_activity where application_name = 'sunup'"
                " and datname = current_database() and state <> 'idle'"
            ).fetchall()


async def plain(db: Database) -> None:
    async with db.connection() as connection:
        assert await connection.fetchval("select 1") == 1


async def _sleeps(db: Database, seconds: float = 8.0) -> None:
    async with db.connection() as connection:
        await connection.execute("select pg_sleep($1)", seconds)


async def with_a_sibling_that_fails(db: Database) -> None:
    async def other() -> None:
        await asyncio.sleep(0.1)
        raise ValueError

    await asyncio.gather(_sleeps(db), other())


_left: set["asyncio.Task[None]"] = set()


async def leaving_a_task(db: Database) -> None:
    _left.add(asyncio.create_task(_sleeps(db)))
    await asyncio.sleep(0.1)


async def leaving_a_transaction(db: Database) -> None:
    async with db.connection() as connection:
        await connection.execute("begin; lock table t")


async def leaving_a_generator(db: Database) -> None:
    async def rows() -> AsyncIterator[int]:
        async with db.transaction() as connection:
            await connection.execute("lock table t")
            for each in range(3):
                yield each

    async for _ in rows():
        break


WORKS: dict[str, tuple[Work, set[int], float]] = {
    "a sibling fails": (with_a_sibling_that_fails, {500}, 20),
    "a task is left": (leaving_a_task, {200}, 20),
    "a transaction is left": (leaving_a_transaction, {200}, 20),
    "a generator is left": (leaving_a_generator, {200}, 20),
    "too slow": (_sleeps, {503}, 0.4),
}


@pytest.fixture(params=["kept", "closed", "asyncio.run"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    kept = asyncio.new_event_loop()

    def closed(work: Awaitable[Any]) -> object:
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(work)
        finally:
            loop.close()

    kinds: dict[str, Any] = {
        "kept": kept.run_until_complete,
        "closed": closed,
        "asyncio.run": asyncio.run,
    }
    yield kinds[request.param]
    for task in asyncio.all_tasks(kept):
        task.cancel()
    kept.run_until_complete(asyncio.sleep(0.05))
    kept.run_until_complete(kept.shutdown_asyncgens())
    kept.close()


@pytest.fixture
def app(emulate: Emulate, run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    aws = emulate(aurora=AuroraOptions(resume_seconds=RESUMES))
    for name, value in aws.iam.current.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    server = aws._database
    with psycopg.connect(
        host=server["DB_HOST"], user="postgres", dbname=server["DB_NAME"], autocommit=True
    ) as admin:
        admin.execute("create table t (id int)")
        admin.execute("grant all on t to app")
    # pytest-timeout's: the alarm is for processes that do not use it otherwise.
    ours = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    made = App(aws, run)
    threads = set(threading.enumerate())
    # Nothing may rely on the collector: on Lambda it rests.
    gc.disable()
    yield made
    gc.enable()
    run(made.db.close())
    made.handler.close()
    signal.signal(signal.SIGALRM, ours)
    assert {each for each in threading.enumerate() if each.name == "sunup-closing"} <= threads
    _left.clear()
    gc.collect()


@pytest.mark.parametrize("name", WORKS)
def test_nothing_outlives_the_request_and_the_next_one_works(app: App, name: str) -> None:
    work, statuses, left = WORKS[name]
    assert app.ask(plain) == 200
    for _ in range(3):
        assert app.ask(work, left) in statuses
        assert app.holding() == []
        assert app.sockets() <= 1
        assert app.ask(plain) == 200
        assert app.sockets() == 1
    # What was given up may go on, by its loop's next turns: it has no connection.
    assert app.ask(plain) == 200


def test_a_login_is_not_frozen_where_its_request_has_given_up(app: App) -> None:
    assert app.ask(plain) == 200
    app.aws.do("aurora/pause")
    for _ in range(2):
        with suppress(RuntimeError):
            assert app.ask(plain, 0.3) == 503
        assert app.sockets() == 0
    assert app.ask(plain) == 200
    assert app.ask(plain) == 200
    assert app.sockets() == 1
