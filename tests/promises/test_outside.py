"""What outsiders found when they tried to break the promises: each ends with a plain request.

In one process, on a real PostgreSQL, with one connection.
"""

import asyncio
import contextvars
import gc
import json
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from io import BytesIO
from typing import Any

import psycopg as driver
import pytest

from sunup import Handler, asyncpg, psycopg
from sunup.failures import ConnectionsBusy, DatabaseFull
from sunup.settings import Settings

from ..adapter.test_events import event_2
from ..adapter.test_handler import Context
from .test_after import at_work

Admin = Callable[[str], list[tuple[Any, ...]]]
Response = dict[str, Any]


class App:
    """A handler whose app does what each request is given."""

    def __init__(self, settings: Settings, *, wsgi: bool, **options: Any) -> None:
        self.settings = replace(settings, pool_size=1, log_level="CRITICAL")
        self.db = asyncpg.Database(self.settings)
        self.sync_db = psycopg.Database(self.settings)
        self.work: Any = None
        app = self.wsgi if wsgi else self.asgi
        self.is_wsgi = wsgi
        self.handler = Handler(
            app, interface="wsgi" if wsgi else "asgi", settings=self.settings, **options
        )

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await self.work()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    def wsgi(self, _: Any, start_response: Any) -> list[bytes]:
        self.work()
        start_response("200 OK", [])
        return [b"ok"]

    def ask(self, work: Callable[[], Any], left: float = 20.0) -> Response:
        self.work = work
        event = event_2(requestContext={"http": {"method": "POST"}})
        event["requestContext"].pop("timeEpoch", None)
        response: Response = self.handler(event, Context(left + 1))
        return response


@pytest.fixture
def begin(settings: Settings, admin: Admin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    # pytest-timeout's: the alarm is for processes that do not use it otherwise.
    ours = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    admin("create table t (id text)")
    admin(
        "create function writes() returns int language sql as $$insert into t values ('w') returning 1$$"
    )
    threads = set(threading.enumerate())
    with ExitStack() as stack:

        def start(*, wsgi: bool, **options: Any) -> App:
            app = App(settings, wsgi=wsgi, **options)
            stack.callback(app.handler.close)
            stack.callback(app.sync_db.close)
            stack.callback(lambda: app.handler.submit(app.db.close()).result(5))
            return app

        yield start
    signal.signal(signal.SIGALRM, ours)
    for thread in set(threading.enumerate()) - threads:
        thread.join(10)
        assert not thread.is_alive(), f"{thread.name} goes on"
    gc.collect()  # what is said of abandoned tasks is said here


@pytest.fixture
def asgi(begin: Any) -> App:
    app: App = begin(wsgi=False)
    return app


@pytest.fixture
def wsgi(begin: Any) -> App:
    app: App = begin(wsgi=True)
    return app


def goes_well(app: App) -> None:
    """A plain request, at once, on a session without a trace."""
    seen: list[object] = []
    statement = "select current_user, current_setting('work_mem')"

    async def plain() -> None:
        async with app.db.connection() as connection:
            seen.append(tuple(await connection.fetchrow(statement) or ()))

    def plain_sync() -> None:
        with app.sync_db.connection() as connection:
            seen.append(connection.execute(statement.encode()).fetchone())

    began = time.monotonic()
    assert app.ask(plain_sync if app.is_wsgi else plain)["statusCode"] == 200
    assert time.monotonic() - began < 1
    assert seen == [("postgres", "4MB")]


def sessions(admin: Admin) -> int:
    statement = (
        "select count(*) from pg_stat_activity where application_name = 'sunup'"
        " and datname = current_database()"
    )
    [(count,)] = admin(statement)
    return int(count)


def code(response: Response) -> tuple[int, str, str]:
    body = json.loads(response["body"])
    return response["statusCode"], body.get("code", ""), body.get("executed", "")


# asyncpg.


@pytest.mark.parametrize("how", ["a wrong argument", "prepared only", "too few arguments"])
def test_a_statement_that_was_only_parsed_keeps_no_lock(asgi: App, admin: Admin, how: str) -> None:
    async def work() -> None:
        async with asgi.db.connection() as connection:
            with suppress(Exception):
                if how == "prepared only":
                    await connection.prepare("update t set id = $1")
                elif how == "a wrong argument":
                    await connection.execute("update t set id = $1", 5)
                else:
                    await connection.execute("update t set id = $1")

    assert asgi.ask(work)["statusCode"] == 200
    assert not at_work(admin)
    admin("set lock_timeout = 500; alter table t add column n int")
    goes_well(asgi)


async def _inserts_slowly(app: App) -> None:
    async with app.db.transaction() as connection:
        await connection.execute("insert into t values ('x')")
        await connection.execute("select pg_sleep(8)")


def test_a_loop_of_a_thread_s_own_ends_with_its_request(wsgi: App, admin: Admin) -> None:
    def work() -> None:
        with ThreadPoolExecutor(1) as threads:
            run = contextvars.copy_context().run
            threads.submit(run, asyncio.run, _inserts_slowly(wsgi)).result()

    began = time.monotonic()
    assert wsgi.ask(work, left=0.5)["statusCode"] in (500, 503)
    assert time.monotonic() - began < 3
    assert not at_work(admin)
    for _ in range(3):
        goes_well(wsgi)
    assert sessions(admin) <= 2
    assert not admin("select 1 from t")


def test_a_view_that_runs_a_loop_of_its_own_is_ended_by_the_alarm(wsgi: App, admin: Admin) -> None:
    began = time.monotonic()
    assert wsgi.ask(lambda: asyncio.run(asyncio.sleep(8)), left=0.3)["statusCode"] == 503
    assert wsgi.ask(lambda: asyncio.run(_inserts_slowly(wsgi)), left=0.3)["statusCode"] == 503
    assert time.monotonic() - began < 4
    assert not at_work(admin)
    for _ in range(4):

        async def reads() -> None:
            async with wsgi.db.connection() as connection:
                await connection.fetchval("select 1")

        assert wsgi.ask(lambda: asyncio.run(reads()))["statusCode"] == 200
    assert sessions(admin) <= 2
    goes_well(wsgi)


def test_a_statement_that_outlives_its_block_is_cancelled(asgi: App, admin: Admin) -> None:
    async def work() -> None:
        async with asgi.db.connection() as connection:
            with suppress(TimeoutError):
                shielded = asyncio.shield(connection.execute("select pg_sleep(8)"))
                await asyncio.wait_for(shielded, 0.1)

    assert asgi.ask(work)["statusCode"] == 200
    assert not at_work(admin)
    goes_well(asgi)


def test_an_app_that_cancels_every_task_loses_no_connection(asgi: App, admin: Admin) -> None:
    async def work() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1), asgi.db.connection() as connection:
                await connection.execute("select pg_sleep(5)")
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()

    asgi.ask(work)
    goes_well(asgi)
    goes_well(asgi)


def test_an_app_s_own_task_factory_hides_no_task(asgi: App, admin: Admin) -> None:
    async def job() -> None:
        async with asgi.db.transaction() as connection:
            await connection.execute("select pg_sleep(20)")

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(lambda loop, work, **more: asyncio.Task(work, loop=loop, **more))
        kept.append(asyncio.create_task(job()))
        await asyncio.sleep(0.1)

    kept: list[object] = []
    assert asgi.ask(work)["statusCode"] == 200
    assert not at_work(admin)
    goes_well(asgi)


def test_what_a_failed_request_left_behind_gets_no_connection(asgi: App, admin: Admin) -> None:
    async def job() -> None:
        await asyncio.sleep(1.2)
        async with asgi.db.connection() as connection:
            await connection.execute("insert into t values ('late')")

    async def fails() -> None:
        kept.append(asyncio.create_task(job()))
        raise ValueError

    kept: list[object] = []
    assert asgi.ask(fails)["statusCode"] == 500
    goes_well(asgi)

    async def waits() -> None:
        await asyncio.sleep(0.5)

    asgi.ask(waits)
    goes_well(asgi)
    assert not admin("select 1 from t")


def test_a_whole_answer_stands_although_the_app_works_on(begin: Any) -> None:
    async def app(scope: Any, _: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 502, "headers": []})
        await send({"type": "http.response.body", "body": b"whole"})
        await asyncio.sleep(8)

    made: App = begin(wsgi=False)
    handler = Handler(app, interface="asgi", settings=made.settings)
    event = event_2()
    event["requestContext"].pop("timeEpoch", None)
    response = handler(event, Context(1.2))
    assert (response["statusCode"], response["isBase64Encoded"]) == (502, True)
    handler.close()


def test_a_clean_up_after_the_alarm_may_await(asgi: App) -> None:
    done = []

    async def work() -> None:
        try:
            time.sleep(5)  # noqa: ASYNC251  # it blocks
        finally:
            await asyncio.sleep(0.05)
            done.append(True)

    assert asgi.ask(work, left=0.2)["statusCode"] == 503
    assert done == [True]
    goes_well(asgi)


WRITERS: dict[str, Callable[[Any], Awaitable[object]]] = {
    "copy out": lambda c: c.copy_from_query("select writes()", output=BytesIO()),
    "a quote in a name": lambda c: c.execute(
        """with n as (select 1 as "o'clock") insert into t values ('x')"""
    ),
    "a dollar quote": lambda c: c.execute("select $$it's$$; insert into t values ('x')"),
    "a nested comment": lambda c: c.execute("/* /* */ ' */ ; insert into t values ('x') --'"),
    "several, and the last rolled back": lambda c: c.execute(
        "begin; insert into t values ('x'); commit; begin; rollback"
    ),
    "spaces around a dot": lambda c: c.execute("select public . writes()"),
}


@pytest.mark.parametrize("how", WRITERS)
def test_nobody_is_told_to_repeat_what_was_committed_in_an_odd_way(
    asgi: App, admin: Admin, how: str
) -> None:
    async def work() -> None:
        async with asgi.db.connection() as connection:
            await WRITERS[how](connection)
        raise DatabaseFull("x")

    response = asgi.ask(work)
    assert admin("select 1 from t")
    assert code(response)[0] == 500
    assert "retry-after" not in response["headers"]
    goes_well(asgi)


@pytest.mark.parametrize(
    "statement",
    [
        "do $$ begin set role other; end $$",
        "do $$ begin set work_mem = '5MB'; end $$",
        """select 1 as "it's"; set role other; select 'a'""",
        'create temporary table "x" (a int); set role other',
        "prepare p as select 1; set role other",
    ],
)
def test_no_trace_of_a_session_reaches_the_next_block(
    begin: Any, admin: Admin, statement: str
) -> None:
    with suppress(driver.errors.DuplicateObject):
        admin("create role other")
    app: App = begin(wsgi=False)

    async def work() -> None:
        async with app.db.connection() as connection:
            await connection.execute(statement)

    assert app.ask(work)["statusCode"] == 200
    goes_well(app)
    other: App = begin(wsgi=True)

    def sync_work() -> None:
        with other.sync_db.connection() as connection:
            connection.execute(statement.encode())

    assert other.ask(sync_work)["statusCode"] == 200
    goes_well(other)


# psycopg.


SYNC_WRITERS: dict[str, Callable[[Any], object]] = {
    "a cursor of another class": lambda c: driver.ClientCursor(c).execute(
        "insert into t values ('x')"
    ),
    "a cursor made by hand": lambda c: driver.Cursor(c).execute("insert into t values ('x')"),
    "a commit that is not alone": lambda c: (
        c.execute("insert into t values ('x')"),
        c.execute("commit; select 1"),
    ),
    "a cursor of the server's": lambda c: (
        c.execute("declare k cursor for select writes()"),
        c.execute("fetch k"),
    ),
}


@pytest.mark.parametrize("how", SYNC_WRITERS)
def test_nobody_is_told_to_repeat_what_psycopg_committed_in_an_odd_way(
    wsgi: App, admin: Admin, how: str
) -> None:
    def work() -> None:
        with wsgi.sync_db.connection() as connection:
            SYNC_WRITERS[how](connection)
        raise DatabaseFull("x")

    response = wsgi.ask(work)
    assert admin("select 1 from t")
    assert code(response)[0] == 500
    assert "retry-after" not in response["headers"]
    goes_well(wsgi)


def test_a_stream_that_is_left_open_hangs_nothing(wsgi: App, admin: Admin) -> None:
    def work() -> None:
        with wsgi.sync_db.connection() as connection:
            rows = connection.cursor().stream("select generate_series(1, 3)")
            next(rows)

    began = time.monotonic()
    assert wsgi.ask(work)["statusCode"] == 500
    assert time.monotonic() - began < 2
    assert not at_work(admin)
    goes_well(wsgi)


def test_a_thread_goes_by_the_request_s_deadline(wsgi: App, admin: Admin) -> None:
    def query() -> None:
        with wsgi.sync_db.connection() as connection:
            connection.execute("select pg_sleep(12)")

    def work() -> None:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(query).result()

    began = time.monotonic()
    assert wsgi.ask(work, left=0.5)["statusCode"] == 503
    assert time.monotonic() - began < 2.5
    assert not at_work(admin)
    goes_well(wsgi)


def test_a_pool_s_thread_that_began_in_a_failed_request_serves_the_next_ones(
    wsgi: App, admin: Admin
) -> None:
    def insert(number: int) -> None:
        with wsgi.sync_db.connection() as connection:
            connection.execute("insert into t values (%s)", (number,))

    def fails() -> None:
        threads.submit(time.sleep, 0).result()
        raise DatabaseFull("x")

    with ThreadPoolExecutor(1) as threads:
        assert code(wsgi.ask(fails)) == (503, "database_full", "no")
        for number in range(2):
            work = partial(_in, threads, insert, number)
            assert wsgi.ask(work)["statusCode"] == 200
    assert admin("select count(*) from t") == [(2,)]
    goes_well(wsgi)


def _in(threads: ThreadPoolExecutor, work: Callable[[int], None], number: int) -> None:
    threads.submit(work, number).result()


def test_the_clean_up_after_a_driver_s_deadline_is_not_interrupted(wsgi: App) -> None:
    done = []

    def work() -> None:
        with wsgi.sync_db.connection() as connection:
            try:
                connection.execute("select pg_sleep(8)")
            finally:
                time.sleep(0.3)
                done.append(True)

    goes_well(wsgi)  # connecting takes no part of the time
    assert wsgi.ask(work, left=0.2)["statusCode"] == 503
    assert done == [True]
    goes_well(wsgi)


class Strange(BaseException):
    """As some libraries raise at a time-out of their own."""


@pytest.mark.parametrize("error", [Strange, SystemExit])
def test_whatever_a_request_ends_with_it_is_ended(
    wsgi: App, admin: Admin, error: type[BaseException]
) -> None:
    kept = []

    def work() -> None:
        block = wsgi.sync_db.connection()
        connection = block.__enter__()
        connection.execute("insert into t values ('x')")
        kept.append((block, connection))
        raise error

    if error is SystemExit:
        with pytest.raises(SystemExit):
            wsgi.ask(work)
    else:
        assert wsgi.ask(work)["statusCode"] == 500
    assert not at_work(admin)
    goes_well(wsgi)
    kept.clear()


def test_a_two_phase_transaction_that_failed_is_not_handed_on(wsgi: App) -> None:
    def work() -> None:
        with wsgi.sync_db.connection() as connection:
            connection.tpc_begin("x")
            connection.execute("insert into t values ('x')")
            with suppress(driver.Error):
                connection.tpc_prepare()  # max_prepared_transactions is 0

    wsgi.ask(work)
    goes_well(wsgi)


def test_events_of_a_wsgi_app_may_use_an_async_database(begin: Any, admin: Admin) -> None:
    kept: list[Any] = []
    holder: list[App] = []

    async def leaves_a_transaction() -> str:
        block = holder[0].db.transaction()
        kept.append((block, await block.__aenter__()))
        return "done"

    app: App = begin(wsgi=True, events=lambda *_: leaves_a_transaction())
    holder.append(app)
    for _ in range(2):
        assert app.handler({"Records": []}, Context(5)) == "done"
        assert not at_work(admin)
    goes_well(app)
    kept.clear()


def test_a_function_for_events_that_blocks_is_ended(begin: Any) -> None:
    app: App = begin(wsgi=True, events=lambda *_: time.sleep(8))
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="took too long"):
        app.handler({"Records": []}, Context(1.4))
    assert time.monotonic() - began < 3
    goes_well(app)


def test_a_thread_that_waits_for_the_connection_of_another_ends_at_the_deadline(
    wsgi: App, admin: Admin
) -> None:
    def work() -> None:
        with wsgi.sync_db.connection() as connection:
            thread = threading.Thread(target=_quietly, args=(connection, "select pg_sleep(8)"))
            thread.start()
            time.sleep(0.1)
            connection.execute("select 1")

    began = time.monotonic()
    answer = wsgi.ask(work, left=0.5)
    assert answer["statusCode"] == 503, answer
    assert time.monotonic() - began < 2.5
    assert not at_work(admin)
    goes_well(wsgi)


def _quietly(connection: Any, statement: str) -> None:
    with suppress(BaseException):
        connection.execute(statement)


def test_a_connection_within_itself_is_told_at_once(wsgi: App) -> None:
    def work() -> None:
        with wsgi.sync_db.connection(), pytest.raises(ConnectionsBusy), wsgi.sync_db.connection():
            pass

    assert wsgi.ask(work)["statusCode"] == 200
    goes_well(wsgi)
