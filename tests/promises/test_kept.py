"""A connection that is kept beyond its block: whoever uses it is told, and the next is not hurt."""

import asyncio
import gc
from typing import Any

import asyncpg as driver
import psycopg
import pytest

from sunup.asyncpg.connection import Connection

from .test_after import at_work
from .test_outside import Admin, App, asgi, begin, code, goes_well, wsgi

_ = asgi, begin, wsgi

TOLD = "given back when its block ended"


async def _begins(connection: Any) -> None:
    await connection.execute("begin")


async def _inserts(connection: Any) -> None:
    await connection.execute("insert into t values ('stray')")


async def _starts_a_transaction(connection: Any) -> None:
    await connection.transaction().start()


async def _listens(connection: Any) -> None:
    await connection.add_listener("c", print)


async def _prepares(connection: Any) -> None:
    await connection.prepare("select 1")


async def _sets(connection: Any) -> None:
    await connection.execute("set work_mem = '1MB'")


@pytest.mark.parametrize(
    "use", [_begins, _inserts, _starts_a_transaction, _listens, _prepares, _sets]
)
def test_asyncpg_refuses_it_and_the_next_write_is_kept(asgi: App, admin: Admin, use: Any) -> None:
    told: list[str] = []

    async def work() -> None:
        async with asgi.db.connection() as connection:
            pass
        try:
            await use(connection)
        except driver.InterfaceError as error:
            told.append(str(error))
            raise

    async def writes() -> None:
        async with asgi.db.transaction() as connection:
            await connection.execute("insert into t values ('kept')")

    assert code(asgi.ask(work))[0] == 500
    assert TOLD in told[0]
    assert not at_work(admin)
    assert asgi.ask(writes)["statusCode"] == 200
    assert admin("select id from t") == [("kept",)]
    goes_well(asgi)
    thawed_after(asgi)


def thawed_after(app: App, seconds: float = 60) -> None:
    """A plain request after a freeze: what rested for long is asked before it is handed out."""
    db: Any = app.sync_db if app.is_wsgi else app.db
    pools = [db.pool()] if app.is_wsgi else [*db._pools.get().values()]
    for each in pools:
        for connection in each._ledger.idle:
            connection.rests_since -= seconds
    goes_well(app)


def test_asyncpg_s_cursor_and_statement_of_an_earlier_block_are_refused(asgi: App) -> None:
    refused = 0

    async def work() -> None:
        nonlocal refused
        async with asgi.db.connection() as connection:
            statement = await connection.prepare("select 1")
        with pytest.raises(driver.InterfaceError, match=TOLD):
            await statement.fetchval()
        refused += 1

    assert asgi.ask(work)["statusCode"] == 200
    assert refused == 1
    goes_well(asgi)


def _sync_begins(connection: Any) -> None:
    connection.execute("select 1")


def _sync_inserts(connection: Any) -> None:
    connection.execute("insert into t values ('stray')")


def _sync_transaction(connection: Any) -> None:
    with connection.transaction():
        connection.execute("insert into t values ('stray')")


def _sync_fails(connection: Any) -> None:
    connection.execute("select 1/0")


def _sync_copies(connection: Any) -> None:
    with connection.cursor().copy("copy t from stdin") as copy:
        copy.write_row(("stray",))


def _sync_pipeline(connection: Any) -> None:
    with connection.pipeline():
        connection.execute("insert into t values ('stray')")


def _sync_autocommit(connection: Any) -> None:
    connection.autocommit = True
    connection.execute("insert into t values ('stray')")


@pytest.mark.parametrize(
    "use",
    [
        _sync_begins,
        _sync_inserts,
        _sync_transaction,
        _sync_fails,
        _sync_copies,
        _sync_pipeline,
        _sync_autocommit,
    ],
)
def test_psycopg_refuses_it_and_the_next_write_is_kept(wsgi: App, admin: Admin, use: Any) -> None:
    told: list[str] = []

    def work() -> None:
        with wsgi.sync_db.connection() as connection:
            pass
        try:
            use(connection)
        except psycopg.InterfaceError as error:
            told.append(str(error))
            raise

    def writes() -> None:
        with wsgi.sync_db.connection() as connection:
            connection.execute("insert into t values ('kept')")

    assert code(wsgi.ask(work))[0] == 500
    assert TOLD in told[0]
    assert not at_work(admin)
    assert wsgi.ask(writes)["statusCode"] == 200
    assert admin("select id from t") == [("kept",)]
    goes_well(wsgi)
    thawed_after(wsgi)


def test_a_block_that_was_collected_gives_its_connection_back(wsgi: App, admin: Admin) -> None:
    def work() -> None:
        connection = wsgi.sync_db.connection().__enter__()
        gc.collect()
        with pytest.raises(psycopg.InterfaceError, match=TOLD):
            connection.execute("set work_mem = '1MB'")

    assert wsgi.ask(work)["statusCode"] == 200
    assert not at_work(admin)
    goes_well(wsgi)


@pytest.mark.parametrize("hangs", ["put_right", "works"])
def test_a_request_that_ends_while_its_connection_is_put_right_is_the_only_one(
    asgi: App, admin: Admin, monkeypatch: pytest.MonkeyPatch, hangs: str
) -> None:
    """In the middle of being handed out, after a stray use changed what the driver knows."""

    async def strays() -> None:
        async with asgi.db.connection() as connection:
            pass
        await connection.transaction().start()

    async def plain() -> None:
        async with asgi.db.connection() as connection:
            await connection.fetchval("select 1")

    really, calls = getattr(Connection, hangs), 0

    async def hangs_once(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.sleep(30)
        return await really(*arguments)

    assert code(asgi.ask(strays))[0] == 500
    monkeypatch.setattr(Connection, hangs, hangs_once)
    assert asgi.ask(plain, left=0.5)["statusCode"] == 503
    assert calls
    assert not at_work(admin)
    goes_well(asgi)
    thawed_after(asgi)
