"""Apps that run event loops of their own in a WSGI view: nothing outlives the request, and the next one works.

A loop is kept and stands still between requests, closed as it is, or ended by `asyncio.run`, which
cancels what is left on it.
"""

import asyncio
import gc
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from sunup import Handler
from sunup.asyncpg import Database
from sunup.integrations.sqlalchemy import create_async_engine
from sunup.local.emulator import Emulator
from sunup.local.testing import Emulate
from sunup.settings import Settings

from ..adapter.test_events import event_2
from ..adapter.test_handler import Context
from ..sockets import connected_to

Work = Callable[[Database], Awaitable[object]]
Run = Callable[[Awaitable[Any]], object]


# Seconds after which the server ends a session at rest.
IDLE_SESSION = 1


class App:
    """A WSGI app whose only view does what each request is given, on a loop of its own."""

    def __init__(self, aws: Emulator, run: Run) -> None:
        self.aws = aws
        settings = Settings.from_environment(
            {**aws.environ, "DB_IDLE_SESSION_TIMEOUT": str(IDLE_SESSION)}
        )
        self.settings = replace(settings, pool_size=1, log_level="CRITICAL")
        self.db = Database(self.settings)
        self.handler = Handler(self.wsgi, interface="wsgi", settings=self.settings)
        # Its endpoints are run in threads, as Starlette does with those that are not `async`.
        self.threaded = Handler(self.asgi, interface="asgi", settings=self.settings)
        self.run = run
        self.work: Work = plain

    def wsgi(self, _: Any, start_response: Any) -> list[bytes]:
        self.run(self.work(self.db))
        start_response("200 OK", [])
        return [b"ok"]

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await asyncio.to_thread(lambda: self.run(self.work(self.db)))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    def ask(self, work: Work, left: float = 20.0, *, threaded: bool = False) -> int:
        self.work = work
        handler = self.threaded if threaded else self.handler
        event = event_2(requestContext={"http": {"method": "POST"}})
        event["requestContext"].pop("timeEpoch", None)
        status: int = handler(event, Context(left + 1))["statusCode"]
        return status

    def sockets(self) -> int:
        """Of the app's, to the database, once one that carried a cancel request is closed."""
        end = time.monotonic() + 1.5
        while (found := connected_to(self.aws.aurora.port)) > 1 and time.monotonic() < end:
            time.sleep(0.02)
        return found

    def holding(self) -> list[Any]:
        """The sessions that are not at rest, once the server has heard of what became of them."""
        end = time.monotonic() + 1.5
        while (found := self._active()) and time.monotonic() < end:
            time.sleep(0.02)
        return found

    def _active(self) -> list[Any]:
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


async def _locks(db: Database) -> None:
    async with db.transaction() as connection:
        await connection.execute("lock table t")
        await connection.execute("select pg_sleep(8)")


async def _cancelled(work: Coroutine[Any, Any, None], turns: int) -> "asyncio.Task[None]":
    task = asyncio.create_task(work)
    _left.add(task)
    await asyncio.sleep(0.1)
    task.cancel()
    for _ in range(turns):
        await asyncio.sleep(0)
    return task


async def cancelling_and_not_waiting(db: Database) -> None:
    await _cancelled(_sleeps(db), 0)


async def cancelling_a_transaction(db: Database) -> None:
    await _cancelled(_locks(db), 1)


async def cancelling_twice(db: Database) -> None:
    task = await _cancelled(_sleeps(db), 2)
    task.cancel()


async def in_a_scope_that_ends(db: Database) -> None:
    with anyio.move_on_after(0.1):
        await _sleeps(db)


async def leaving_a_task_that_blocks(db: Database) -> None:
    async def blocks() -> None:
        await asyncio.sleep(0.15)
        time.sleep(2)  # noqa: ASYNC251

    await leaving_a_task(db)
    _left.add(asyncio.create_task(blocks()))
    await asyncio.sleep(0)


async def leaving_a_task_that_exits(db: Database) -> None:
    async def exits() -> None:
        await asyncio.sleep(0.01)
        raise SystemExit

    await leaving_a_task(db)
    _left.add(asyncio.create_task(exits()))
    await asyncio.sleep(0)


WORKS: dict[str, tuple[Work, set[int], float]] = {
    "a sibling fails": (with_a_sibling_that_fails, {500}, 20),
    "a task is left": (leaving_a_task, {200}, 20),
    "a transaction is left": (leaving_a_transaction, {200}, 20),
    "a generator is left": (leaving_a_generator, {200}, 20),
    "cancelled": (cancelling_and_not_waiting, {200}, 20),
    "a transaction cancelled": (cancelling_a_transaction, {200}, 20),
    "cancelled twice": (cancelling_twice, {200}, 20),
    "a scope ends": (in_a_scope_that_ends, {200}, 20),
    "too slow": (_sleeps, {503}, 0.4),
    "too slow in a transaction": (_locks, {503}, 0.4),
}


@pytest.fixture
def kept() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0.05))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


@pytest.fixture(params=["kept", "closed", "asyncio.run"])
def run(request: pytest.FixtureRequest, kept: asyncio.AbstractEventLoop) -> Run:
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
    found: Run = kinds[request.param]
    return found


@pytest.fixture
def app(emulate: Emulate, run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    aws = emulate()
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
    made.threaded.close()
    signal.signal(signal.SIGALRM, ours)
    assert {each for each in threading.enumerate() if each.name == "sunup-closing"} <= threads
    _left.clear()
    gc.collect()


# Of Python 3.13, where a loop is closed under a generator of the app's.
@pytest.mark.filterwarnings("ignore:coroutine method 'aclose' of:RuntimeWarning")
@pytest.mark.parametrize("name", WORKS)
def test_nothing_outlives_the_request_and_the_next_one_works(app: App, name: str) -> None:
    work, statuses, left = WORKS[name]
    assert app.ask(plain) == 200
    for _ in range(3):
        began = time.monotonic()
        assert app.ask(work, left) in statuses
        assert time.monotonic() - began < (1.9 if left < 1 else 5)
        assert app.holding() == []
        assert app.sockets() <= 1
        assert app.ask(plain) == 200
        assert app.sockets() == 1
    # What was given up may go on, by its loop's next turns: it has no connection.
    assert app.ask(plain) == 200
    time.sleep(IDLE_SESSION + 0.3)  # as if frozen: the server ends the session meanwhile
    assert app.ask(plain) == 200
    assert app.holding() == []
    assert app.sockets() == 1


@pytest.mark.parametrize("work", [_locks, _sleeps, cancelling_a_transaction])
def test_a_thread_s_own_loop_ends_with_the_request(app: App, work: Work) -> None:
    assert app.ask(plain, threaded=True) == 200
    for _ in range(2):
        began = time.monotonic()
        assert app.ask(work, 0.4, threaded=True) in (200, 503)
        assert time.monotonic() - began < 3
        assert app.holding() == []
        assert app.sockets() <= 1
        assert app.ask(plain, threaded=True) == 200
        assert app.sockets() == 1


@pytest.mark.parametrize("work", [_locks, _sleeps])
def test_a_server_that_falls_silent_holds_no_request_up(app: App, work: Work) -> None:
    async def falls_silent() -> None:
        time.sleep(4)  # noqa: ASYNC251  # it is the emulator's loop

    assert app.ask(plain) == 200
    silence = app.aws.submit(falls_silent())
    began = time.monotonic()
    assert app.ask(work, 0.5) == 503
    assert time.monotonic() - began < 3.5
    silence.result(10)
    assert app.ask(plain) == 200
    assert app.holding() == []
    assert app.sockets() == 1


def test_a_login_is_not_frozen_where_its_request_has_given_up(app: App) -> None:
    assert app.ask(plain) == 200
    app.aws.aurora.change(resume_seconds=4)
    app.aws.do("aurora/pause")
    for _ in range(2):
        assert app.ask(plain, 0.3) == 503
        assert app.sockets() == 0
    assert app.ask(plain) == 200
    assert app.ask(plain) == 200
    assert app.sockets() == 1


@pytest.mark.parametrize("run", ["kept", "closed"], indirect=True)  # asyncio.run ends them
@pytest.mark.parametrize("work", [leaving_a_task_that_blocks, leaving_a_task_that_exits])
def test_what_an_app_has_left_on_its_loop_is_its_own_affair(app: App, work: Work, run: Run) -> None:
    began = time.monotonic()
    assert app.ask(work) == 200
    assert time.monotonic() - began < 1.8
    assert app.holding() == []
    assert app.sockets() <= 1
    with suppress(SystemExit):
        run(asyncio.sleep(0.05))
    assert app.ask(plain) == 200


@pytest.fixture
def background() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread for good."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.parametrize("run", ["asyncio.run"], indirect=True)
@pytest.mark.parametrize("moment", [0, 0.0005, 0.001, 0.003])
def test_a_background_loop_s_statement_ends_with_the_request(
    app: App, background: asyncio.AbstractEventLoop, moment: float
) -> None:
    async def begins(db: Database) -> None:
        begun = asyncio.run_coroutine_threadsafe(_sleeps(db), background)
        await asyncio.sleep(0.1)
        begun.cancel()
        await asyncio.sleep(moment)

    assert app.ask(begins) == 200
    assert app.holding() == []
    assert app.sockets() <= 1
    assert app.ask(plain) == 200
    asyncio.run_coroutine_threadsafe(app.db.close(), background).result(5)


@pytest.mark.parametrize("run", ["asyncio.run"], indirect=True)
def test_a_background_loop_that_blocks_keeps_no_lock(
    app: App, background: asyncio.AbstractEventLoop
) -> None:
    async def blocks(db: Database) -> None:
        async with db.transaction() as connection:
            await connection.execute("lock table t")
            time.sleep(2.5)  # noqa: ASYNC251

    async def begins(db: Database) -> None:
        _left.add(asyncio.run_coroutine_threadsafe(blocks(db), background))  # type: ignore[arg-type]
        await asyncio.sleep(0.1)

    began = time.monotonic()
    assert app.ask(begins) == 200
    assert time.monotonic() - began < 2.4
    assert app.holding() == []
    assert app.ask(plain) == 200

    async def once_more(db: Database) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(plain(db), background))

    assert app.ask(once_more) == 200
    asyncio.run_coroutine_threadsafe(app.db.close(), background).result(5)


@pytest.mark.parametrize("pause", [0, None])
def test_sqlalchemy_s_statement_ends_with_the_request(
    app: App, run: Run, pause: float | None, request: pytest.FixtureRequest
) -> None:
    """Cancelled and not waited for, or left."""
    one = create_async_engine(app.db)

    def engine() -> AsyncEngine:
        return one if "kept" in request.node.name else create_async_engine(app.db)

    async def locks() -> None:
        async with engine().begin() as connection:
            await connection.execute(text("lock table t"))
            await connection.execute(text("select pg_sleep(8)"))

    async def leaves(_: Database) -> None:
        task = asyncio.create_task(locks())
        _left.add(task)
        await asyncio.sleep(0.2)
        if pause is not None:
            task.cancel()
            await asyncio.sleep(pause)

    async def reads(_: Database) -> None:
        async with engine().connect() as connection:
            assert (await connection.execute(text("select 1"))).scalar() == 1

    for _ in range(2):
        assert app.ask(leaves) == 200
        assert app.holding() == []
        assert app.sockets() <= 1
        assert app.ask(reads) == 200
        assert app.sockets() <= 1
    run(one.dispose())


@pytest.mark.parametrize("run", ["kept"], indirect=True)
def test_the_current_event_loop_stays_the_app_s(app: App, kept: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(kept)
    try:
        app.run = lambda work: asyncio.get_event_loop().run_until_complete(work)
        assert app.ask(leaving_a_task) == 200
        assert app.holding() == []
        assert app.ask(plain) == 200
    finally:
        asyncio.set_event_loop(None)


@pytest.mark.parametrize("run", ["kept"], indirect=True)
def test_a_connection_that_has_come_to_rest_is_not_taken(
    app: App, kept: asyncio.AbstractEventLoop
) -> None:
    assert app.ask(plain) == 200
    pool = app.db._pools.get()[kept]
    [resting] = pool._ledger.idle
    pool.reclaim(resting)
    assert app.ask(plain) == 200
    assert pool._ledger.idle == [resting]
    pool._endings.sever(resting)  # as if it had come to rest just then
    assert app.ask(plain) == 200
    assert app.sockets() == 1


@pytest.mark.parametrize("run", ["kept"], indirect=True)
def test_a_connection_whose_statement_was_cancelled_in_time_is_kept(app: App) -> None:
    pids: list[int] = []

    async def gives_up(db: Database) -> None:
        async with db.connection() as connection:
            pids.append(await connection.fetchval("select pg_backend_pid()"))
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await connection.execute("select pg_sleep(8)")
            await asyncio.sleep(0.05)  # the server says meanwhile that it is cancelled

    for _ in range(3):
        assert app.ask(gives_up) == 200
    assert len(set(pids)) == 1
