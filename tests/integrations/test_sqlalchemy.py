"""The same promises for both engines: psycopg's, and asyncpg's in a greenlet."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from sunup import asyncpg, deadline, logs, psycopg, request
from sunup.failures import ConnectionLost, ConnectionsBusy, DatabaseReadOnly, DatabaseResuming
from sunup.integrations.sqlalchemy import create_async_engine, create_engine
from sunup.settings import Settings

from ..hanging import hanging
from ..receipts.proxy import proxy_of
from ..test_psycopg import TERMINATE, Admin

Engine = sa.Engine | AsyncEngine
Make = Callable[..., Engine]

PID = sa.text("select pg_backend_pid()")


async def use(engine: Engine, work: Callable[[sa.Connection], Any]) -> Any:
    if isinstance(engine, AsyncEngine):
        async with engine.connect() as connection:
            return await connection.run_sync(work)
    with engine.connect() as connection:
        return work(connection)


async def backend(engine: Engine) -> int:
    return int(await use(engine, lambda connection: connection.execute(PID).scalar_one()))


def test_a_connection_keeps_its_options_beyond_a_deadline(settings: Settings, admin: Admin) -> None:
    """SQLAlchemy replaced it by one without: what followed in AUTOCOMMIT was rolled back."""
    admin("create table t (n int)")
    db = psycopg.Database(settings)
    engine = create_engine(db)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        mine = connection.execute(PID).scalar_one()
        connection.rollback()
        with pytest.raises(deadline.DeadlineExceeded), deadline.within(0.2):
            connection.execute(sa.text("select pg_sleep(20)"))
        connection.rollback()
        connection.execute(sa.text("insert into t values (1)"))
        assert connection.execute(PID).scalar_one() == mine
    assert admin("select * from t") == [(1,)]
    engine.dispose()
    db.close()


def test_a_transaction_that_met_the_deadline_is_not_committed_in_silence(
    settings: Settings, admin: Admin
) -> None:
    admin("create table t (n int)")
    db = psycopg.Database(settings)
    engine = create_engine(db)
    with pytest.raises(sa.exc.PendingRollbackError), engine.begin() as connection:
        connection.execute(sa.text("insert into t values (1)"))
        with pytest.raises(deadline.DeadlineExceeded), deadline.within(0.2):
            connection.execute(sa.text("select pg_sleep(20)"))
    assert admin("select * from t") == []
    with engine.begin() as connection:
        connection.execute(sa.text("insert into t values (2)"))
    assert admin("select * from t") == [(2,)]
    engine.dispose()
    db.close()


def test_an_error_is_not_replaced_by_a_rollback_that_nobody_answers(settings: Settings) -> None:
    with proxy_of(settings) as proxy:
        db = psycopg.Database(proxy.settings)
        engine = create_engine(db)
        with engine.connect() as connection:
            connection.execute(PID)
        with pytest.raises(LookupError), deadline.within(0.2), engine.begin() as connection:
            connection.execute(PID)
            time.sleep(0.2)
            proxy.deaf_until = time.monotonic() + 2
            raise LookupError
        time.sleep(2)
        with engine.begin() as connection:
            connection.execute(PID)
        engine.dispose()
        db.close()


@pytest.fixture(params=["psycopg", "asyncpg"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    closing: list[Callable[[], Awaitable[None] | None]] = []

    def start(settings: Settings, **options: Any) -> Engine:
        if request.param == "asyncpg":
            async_db = asyncpg.Database(settings)
            async_engine = create_async_engine(async_db, **options)
            closing.extend([async_engine.dispose, async_db.close])
            return async_engine
        db = psycopg.Database(settings)
        engine = create_engine(db, **options)
        closing.extend([engine.dispose, db.close])
        return engine

    yield start
    for close in closing:
        work = close()
        if work is not None:
            await work


async def test_one_connection_serves_request_after_request(make: Make, settings: Settings) -> None:
    engine = make(replace(settings, idle_session_timeout=45))
    assert await backend(engine) == await backend(engine)

    def timeout(connection: sa.Connection) -> Any:
        return connection.execute(sa.text("show idle_session_timeout")).scalar_one()

    assert await use(engine, timeout) == "45s"


async def test_the_connection_that_was_started_is_the_engine_s(
    settings: Settings, admin: Admin
) -> None:
    db = asyncpg.Database(replace(settings, pool_size=1))
    await db.start()
    engine = create_async_engine(db)
    started = await use(engine, lambda connection: connection.execute(PID).scalar_one())
    mine = (
        "select pid from pg_stat_activity"
        " where application_name = 'sunup' and datname = current_database()"
    )
    assert admin(mine) == [(started,)]
    await engine.dispose()
    await db.close()


async def test_a_connection_that_the_server_closed_is_replaced_without_a_failure(
    make: Make, settings: Settings, admin: Admin
) -> None:
    engine = make(replace(settings, pool_size=1))
    for _ in range(3):
        first = await backend(engine)
        assert admin(TERMINATE) == [(True,)]
        assert await backend(engine) != first


async def test_a_session_that_ended_by_its_idle_timeout_is_replaced(
    make: Make, settings: Settings
) -> None:
    engine = make(replace(settings, idle_session_timeout=0.3))
    first = await backend(engine)
    await asyncio.sleep(0.6)
    assert await backend(engine) != first


async def test_a_long_rest_is_asked_about_with_a_round_trip(make: Make, settings: Settings) -> None:
    engine = make(replace(settings, idle_session_timeout=1))
    first = await backend(engine)
    for _ in range(2):
        await asyncio.sleep(0.6)  # longer than half the idle timeout: asked, which keeps it
        assert await backend(engine) == first


async def test_a_connection_that_breaks_in_use_is_lost_and_nothing_is_repeated(
    make: Make, settings: Settings
) -> None:
    engine = make(settings)
    current = request.Request()
    request.current.set(current)
    with pytest.raises(ConnectionLost) as caught:
        await use(
            engine,
            lambda connection: connection.execute(
                sa.text("select pg_terminate_backend(pg_backend_pid())")
            ),
        )
    assert not caught.value.nothing_executed
    assert current.failure is caught.value
    assert await backend(engine) > 0
    assert current.failure is None


async def test_a_read_only_server_is_named_and_its_connection_replaced(
    make: Make, settings: Settings, admin: Admin
) -> None:
    engine = make(replace(settings, pool_size=1))
    first = await backend(engine)

    def write(connection: sa.Connection) -> None:
        connection.execute(sa.text("set transaction read only"))
        connection.execute(sa.text("create table t (id int)"))

    with pytest.raises(DatabaseReadOnly):
        await use(engine, write)
    assert await backend(engine) != first


async def test_a_sleeping_database_is_waited_for_until_the_deadline(
    make: Make, settings: Settings
) -> None:
    with hanging(settings.host) as server:
        engine = make(
            replace(settings, host="127.0.0.1", port=server.port, password="", sslmode="disable")
        )
        began = time.monotonic()
        with deadline.within(0.5), pytest.raises(DatabaseResuming):
            await backend(engine)
        assert 0.4 < time.monotonic() - began < 2


async def test_connections_in_use_are_waited_for_until_the_deadline(
    make: Make, settings: Settings
) -> None:
    engine = make(replace(settings, pool_size=1))
    current = request.Request()
    request.current.set(current)
    if isinstance(engine, AsyncEngine):
        async with engine.connect():
            with deadline.within(0.3), pytest.raises(ConnectionsBusy):
                await backend(engine)
    else:
        with engine.connect(), deadline.within(0.3), pytest.raises(ConnectionsBusy):
            await backend(engine)
    assert isinstance(current.failure, ConnectionsBusy)
    assert await backend(engine) > 0


def test_a_database_whose_connections_the_engine_uses_says_so_at_once(settings: Settings) -> None:
    db = psycopg.Database(replace(settings, pool_size=1))
    engine = create_engine(db)
    with (
        engine.connect(),
        pytest.raises(ConnectionsBusy, match="another pool"),
        db.connection(),
    ):
        pass
    engine.dispose()
    db.close()


def test_a_connection_that_rests_in_an_engine_s_pool_is_given_to_who_needs_it(
    settings: Settings,
) -> None:
    db = psycopg.Database(replace(settings, pool_size=1))
    one, other = create_engine(db), create_engine(db)
    for _ in range(2):
        for engine in (one, other):
            with engine.connect() as connection:
                assert connection.scalar(sa.text("select 1")) == 1
        with db.connection() as plain:
            assert plain.execute("select 1").fetchone() == (1,)
    for engine in (one, other):
        engine.dispose()
    db.close()


async def test_the_same_with_an_async_engine(settings: Settings) -> None:
    db = asyncpg.Database(replace(settings, pool_size=1))
    one, other = create_async_engine(db), create_async_engine(db)
    for _ in range(2):
        assert await backend(one)
        assert await backend(other)
        async with db.connection() as plain:
            assert await plain.fetchval("select 1") == 1
    for engine in (one, other):
        await engine.dispose()
    await db.close()


async def test_an_engine_disposed_of_while_in_use_leaves_no_connection_behind(
    settings: Settings,
) -> None:
    db = psycopg.Database(replace(settings, pool_size=1))
    engine = create_engine(db)
    with engine.connect() as connection:
        connection.execute(PID)
        engine.dispose()
    assert await backend(engine)
    assert await backend(engine)
    engine.dispose()
    db.close()
    async_db = asyncpg.Database(replace(settings, pool_size=1))
    async_engine = create_async_engine(async_db)
    async with async_engine.connect() as async_connection:
        await async_connection.execute(PID)
        await async_engine.dispose()
    assert await backend(async_engine)
    assert await backend(async_engine)
    await async_engine.dispose()
    await async_db.close()


@pytest.mark.parametrize(
    ("level", "seen"), [("SERIALIZABLE", "SERIALIZABLE"), ("AUTOCOMMIT", "READ COMMITTED")]
)
def test_what_an_engine_sets_up_when_it_connects_stays(
    settings: Settings, level: str, seen: str
) -> None:
    db = psycopg.Database(replace(settings, pool_size=1))
    engine = create_engine(db, isolation_level=level)

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        connection.execute("set search_path = pg_catalog")
        connection.commit()

    for _ in range(3):
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            assert driver.autocommit == (level == "AUTOCOMMIT")
            assert connection.get_isolation_level() == seen
            assert connection.scalar(sa.text("show search_path")) == "pg_catalog"
            connection.execute(sa.text("set work_mem = '5MB'"))
    with engine.connect() as connection:
        assert connection.scalar(sa.text("show work_mem")) == "4MB"
    engine.dispose()
    db.close()


async def test_statements_are_counted_and_logged_without_their_parameters(
    make: Make, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    engine = make(settings)
    await backend(engine)
    current = request.Request()
    request.current.set(current)
    caplog.set_level(logging.DEBUG, "sunup.statements")
    statement = sa.text("select n from generate_series(1, cast(:most as int)) n")
    await use(engine, lambda connection: connection.execute(statement, {"most": 3}).all())
    assert (current.queries, current.rows) == (1, 3)
    assert current.query_seconds > 0
    assert [record.getMessage()[:36] for record in caplog.records] == [
        "select n from generate_series(1, cas"
    ]


async def test_a_logged_exception_holds_no_personal_data(make: Make, settings: Settings) -> None:
    engine = make(settings)
    email = "@".join(["mesota", "example.com"])  # the traceback quotes the test

    def twice(connection: sa.Connection) -> None:
        connection.execute(sa.text("create temp table t (email text unique)"))
        for _ in range(2):
            connection.execute(sa.text("insert into t values (:e)"), {"e": email})

    with pytest.raises(IntegrityError) as caught:
        await use(engine, twice)
    assert "duplicate key" in logs.exception_text(caught.value)
    assert "mesota" not in logs.exception_text(caught.value)


async def test_the_pool_s_own_lines_are_sqlalchemy_s(
    make: Make, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    engine = make(settings)
    await backend(engine)
    disposed = engine.dispose()
    if disposed is not None:
        await disposed
    assert not [each for each in caplog.records if each.levelno < logging.WARNING]


def test_a_forked_process_has_connections_of_its_own(settings: Settings) -> None:
    db = psycopg.Database(settings)
    engine = create_engine(db)

    def pid() -> int:
        with engine.connect() as connection:
            return int(connection.execute(PID).scalar_one())

    mine = pid()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, str(pid()).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    theirs = int(os.read(reading, 20))
    os.close(reading)
    os.close(writing)
    assert theirs != mine
    assert pid() == mine
    engine.dispose()
    db.close()


@pytest.mark.parametrize("name", ["pool_size", "max_overflow", "poolclass", "creator"])
async def test_an_option_that_is_sunup_s_is_refused(
    make: Make, settings: Settings, name: str
) -> None:
    with pytest.raises(TypeError, match=f"'{name}'; .*DB_POOL_SIZE"):
        make(settings, **{name: 1})


def test_the_other_driver_s_database_is_refused(settings: Settings) -> None:
    with pytest.raises(TypeError, match=r"takes a sunup\.psycopg\.Database"):
        create_engine(asyncpg.Database(settings))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"takes a sunup\.asyncpg\.Database"):
        create_async_engine(psycopg.Database(settings))  # type: ignore[arg-type]
