"""sunup's own connections through an RDS Proxy: nothing pins, and any session will do."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from sunup import asyncpg, deadline, psycopg
from sunup.failures import ConnectionLost, DatabaseFull, DatabaseUnavailable, TokenRefused
from sunup.integrations.sqlalchemy import (
    create_async_engine,
    create_engine,
    run_async_transaction,
    run_transaction,
)
from sunup.local.emulator import Emulator, NeonOptions, RdsProxyOptions
from sunup.local.testing import Emulate
from sunup.settings import Settings

from .test_proxy import connect, pinned

Admin = Callable[[str], list[tuple[object, ...]]]

TABLE = "create table things (id int generated always as identity, name text, at timestamptz)"
GRANT = "grant select, insert on things to app"
INSERT = "insert into things (name, at) values ({}, now()) returning id"
COUNT = "select count(*) from things where name = {} and at <= now()"
SLEEP = "select pg_sleep(20)"


async def by_asyncpg(settings: Settings, name: str) -> None:
    db = asyncpg.Database(settings)
    async with db.connection() as connection:
        await connection.fetchval(INSERT.format("$1"), name)
        assert await connection.fetchval(COUNT.format("$1"), name) == 1
        assert await connection.fetchval("select $1::int[]", [1, 2]) == [1, 2]
        await connection.executemany(INSERT.format("$1"), [(name,), (name,)])
    async with db.transaction(isolation="serializable") as connection:
        await connection.fetchval(INSERT.format("$1"), name)
        async with connection.transaction():
            assert await connection.fetchval(COUNT.format("$1"), name) == 4
        assert len([each async for each in connection.cursor("select * from things")]) >= 4
    assert await db.run(lambda each: each.fetchval(COUNT.format("$1"), name), single=True) == 4
    assert await db.run(lambda each: each.fetchval(COUNT.format("$1"), name)) == 4
    with deadline.within(0.5), pytest.raises(deadline.DeadlineExceeded):
        async with db.connection() as connection, asyncio.timeout(deadline.remaining()):
            try:
                await connection.execute(SLEEP)
            except asyncio.CancelledError:
                raise deadline.DeadlineExceeded from None
    async with db.connection() as connection:
        assert await connection.fetchval(COUNT.format("$1"), name) == 4
    await db.close()


async def by_psycopg(settings: Settings, name: str) -> None:
    db = psycopg.Database(settings)

    def count(connection: Any) -> Any:
        return connection.execute(COUNT.format("%s"), (name,)).fetchone()

    with db.connection() as connection:
        connection.execute(INSERT.format("%s"), (name,))
        assert count(connection) == (1,)
    with db.connection() as connection:
        connection.cursor().executemany(INSERT.format("%s"), [(name,)] * 6)
    with db.transaction() as connection, connection.transaction():
        assert count(connection) == (7,)
    for _ in range(7):  # psycopg prepares what is repeated, unless told otherwise
        assert db.run(count, isolation="serializable") == (7,)
    with (
        deadline.within(0.5),
        pytest.raises(deadline.DeadlineExceeded),
        db.connection() as connection,
    ):
        connection.execute(SLEEP)
    with db.connection() as connection:
        assert count(connection) == (7,)
    db.close()


async def by_sqlalchemy(settings: Settings, name: str) -> None:
    db = psycopg.Database(settings)
    engine = create_engine(db)
    insert, count = sa.text(INSERT.format(":name")), sa.text(COUNT.format(":name"))
    for number in range(7):
        with engine.begin() as connection:
            connection.execute(insert, {"name": name})
            assert connection.execute(count, {"name": name}).scalar() == number + 1
    found = run_transaction(engine, lambda each: each.execute(count, {"name": name}).scalar())
    assert found == 7
    with engine.connect() as plain:
        automatic = plain.execution_options(isolation_level="AUTOCOMMIT")
        assert automatic.execute(count, {"name": name}).scalar() == 7
    with deadline.within(0.5), pytest.raises(deadline.DeadlineExceeded), engine.connect() as late:
        late.execute(sa.text(SLEEP))
    with engine.connect() as connection:
        assert connection.execute(count, {"name": name}).scalar() == 7
    engine.dispose()
    db.close()


async def by_async_sqlalchemy(settings: Settings, name: str) -> None:
    db = asyncpg.Database(settings)
    engine = create_async_engine(db)
    insert, count = sa.text(INSERT.format(":name")), sa.text(COUNT.format(":name"))
    for number in range(7):
        async with engine.begin() as connection:
            await connection.execute(insert, {"name": name})
            assert (await connection.execute(count, {"name": name})).scalar() == number + 1
    async with engine.connect() as plain:
        automatic = await plain.execution_options(isolation_level="AUTOCOMMIT")
        assert (await automatic.execute(count, {"name": name})).scalar() == 7

    async def counted(connection: Any) -> Any:
        return (await connection.execute(count, {"name": name})).scalar()

    assert await run_async_transaction(engine, counted) == 7
    with deadline.within(0.5), pytest.raises((TimeoutError, DBAPIError)):
        async with engine.connect() as connection, asyncio.timeout(deadline.remaining()):
            await connection.execute(sa.text(SLEEP))
    async with engine.connect() as connection:
        assert (await connection.execute(count, {"name": name})).scalar() == 7
    await engine.dispose()
    await db.close()


KINDS: dict[str, Callable[[Settings, str], Awaitable[None]]] = {
    "asyncpg": by_asyncpg,
    "psycopg": by_psycopg,
    "sqlalchemy": by_sqlalchemy,
    "async sqlalchemy": by_async_sqlalchemy,
}


@contextmanager
def others(aws: Emulator) -> Iterator[None]:
    """Another client that takes sessions in turn, and pins one more."""
    with connect(aws) as busy, connect(aws) as keeping:
        keeping.execute("set work_mem = '8MB'")
        busy.execute("select 1")
        yield


@pytest.mark.parametrize("kind", KINDS)
async def test_the_work_of_a_request_does_not_pin(
    emulate: Emulate, admin: Admin, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = emulate(engine="rds-proxy", rds_proxy=RdsProxyOptions(sessions=4))
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    admin(TABLE)
    admin(GRANT)
    settings = Settings.from_environment(aws.environ)
    assert settings.engine.name == "rds-proxy"
    began = time.monotonic()
    with others(aws):
        before = len(pinned(aws))
        await KINDS[kind](settings, kind)
        assert pinned(aws)[before:] == []
    assert time.monotonic() - began < 5


class Waiting:
    """What a request's connection does while the proxy has no session for it."""

    @staticmethod
    async def by_asyncpg(settings: Settings, taken: Callable[[], None]) -> DatabaseUnavailable:
        db = asyncpg.Database(settings)
        async with db.connection() as connection:
            await connection.execute("select 1")
        taken()
        with pytest.raises(DatabaseUnavailable) as caught:
            async with db.connection() as connection:
                await connection.execute("select 1")
        await db.close()
        return caught.value

    @staticmethod
    async def by_psycopg(settings: Settings, taken: Callable[[], None]) -> DatabaseUnavailable:
        db = psycopg.Database(settings)
        with db.connection() as connection:
            connection.execute("select 1")
        taken()
        with pytest.raises(DatabaseUnavailable) as caught, db.connection() as connection:
            connection.execute("select 1")
        db.close()
        return caught.value


@pytest.mark.parametrize("engine", ["rds-proxy", "neon-pooler"])
@pytest.mark.parametrize("work", [Waiting.by_asyncpg, Waiting.by_psycopg])
async def test_without_a_session_nothing_was_executed_and_no_login_helps(
    emulate: Emulate, monkeypatch: pytest.MonkeyPatch, work: Any, engine: str
) -> None:
    aws = emulate(
        engine=engine,
        rds_proxy=RdsProxyOptions(sessions=1, borrow_timeout=0.1),
        neon=NeonOptions(pool_size=1, borrow_timeout=0.1),
    )
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment(aws.environ)
    words = "Timed-out waiting" if engine == "rds-proxy" else "query_wait_timeout"
    with connect(aws, password=aws.console.password("app")) as other:
        lost = await work(settings, lambda: other.execute("begin"))
        assert isinstance(lost, ConnectionLost)
        assert lost.nothing_executed
        for database in (asyncpg.Database(settings), psycopg.Database(settings)):
            with deadline.within(0.4), pytest.raises(DatabaseFull, match=words):
                await used(database)
            await ended(database)
        other.execute("commit")
    for database in (asyncpg.Database(settings), psycopg.Database(settings)):
        await used(database)
        await ended(database)


async def test_a_refused_token_is_named_as_one(
    emulate: Emulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = emulate(engine="rds-proxy")
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    aws.do("credentials/revoke")
    settings = Settings.from_environment(aws.environ)
    for database in (asyncpg.Database(settings), psycopg.Database(settings)):
        with deadline.within(0.5), pytest.raises(TokenRefused):
            await used(database)
        await ended(database)


async def used(database: Any) -> None:
    if isinstance(database, asyncpg.Database):
        async with database.connection() as connection:
            await connection.execute("select 1")
        return
    with database.connection() as connection:
        connection.execute("select 1")


async def ended(database: Any) -> None:
    closed = database.close()
    if closed is not None:
        await closed
