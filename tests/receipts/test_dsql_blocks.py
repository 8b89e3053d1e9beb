"""Blocks that fail, and transactions in transactions, on Aurora DSQL, which has no savepoints.

What is answered with success is there; what was undone is not; nothing half is ever committed.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from sunup import Handler, exactly_once
from sunup.asyncpg import Database as AsyncpgDatabase
from sunup.integrations.sqlalchemy import create_async_engine, create_engine
from sunup.local.emulator import Emulator
from sunup.local.testing import Emulate
from sunup.psycopg import Database as PsycopgDatabase
from sunup.receipts.texts import CREATE
from sunup.settings import Settings

from ..local.emulator.dsql.clients import connect
from .apps import Client

TABLES = (CREATE.strip().partition(";")[0], "create table t (id int primary key, v text)")
FIRST, SECOND = "insert into t values (1, 'first')", "insert into t values (2, 'second')"


class Failed(Exception):
    """The app's own."""


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "t"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    v: Mapped[str | None]


# asyncpg: each works with a `Database`.


async def nested_failure(db: AsyncpgDatabase) -> None:
    async with db.connection() as c:
        await c.execute(FIRST)
        with suppress(Exception):
            async with c.transaction():
                await c.execute(SECOND)
                raise Failed


async def nested_refusal(db: AsyncpgDatabase) -> None:
    async with db.connection() as c:
        await c.execute(FIRST)
        with suppress(Exception):
            async with c.transaction():
                await c.execute(FIRST)


async def nested_failure_first(db: AsyncpgDatabase) -> None:
    async with db.connection() as c:
        with suppress(Failed):
            async with c.transaction():
                await c.execute(FIRST)
                raise Failed
        await c.execute(SECOND)


async def nested_reading_fails(db: AsyncpgDatabase) -> None:
    async with db.connection() as c:
        await c.execute(FIRST)
        with suppress(Failed):
            async with c.transaction():
                await c.fetch("select * from t")
                raise Failed


async def second_block_fails(db: AsyncpgDatabase) -> None:
    async with db.connection() as c:
        await c.execute(FIRST)
    with suppress(Failed):
        async with db.connection() as c:
            await c.execute(SECOND)
            raise Failed


async def second_block_reads_and_fails(db: AsyncpgDatabase) -> None:
    async with db.connection() as c:
        await c.execute(FIRST)
    with suppress(Failed):
        async with db.connection() as c:
            await c.fetch("select * from t")
            raise Failed


async def first_block_fails(db: AsyncpgDatabase) -> None:
    with suppress(Failed):
        async with db.connection() as c:
            await c.execute(FIRST)
            raise Failed
    async with db.connection() as c:
        await c.execute(SECOND)


# psycopg.


def sync_nested_failure_and_a_block(db: PsycopgDatabase) -> None:
    with db.connection() as c:
        c.execute(FIRST)
        with suppress(Failed), c.transaction():
            c.execute(SECOND)
            raise Failed
    with db.connection() as c:
        c.execute("select 1")


def sync_second_block_fails(db: PsycopgDatabase) -> None:
    with db.connection() as c:
        c.execute(FIRST)
    with suppress(Failed), db.connection() as c:
        c.execute(SECOND)
        raise Failed


def sync_second_block_rolls_back(db: PsycopgDatabase) -> None:
    with db.connection() as c:
        c.execute(FIRST)
    with db.connection() as c:
        c.execute(SECOND)
        c.rollback()


def sync_second_block_reads_and_fails(db: PsycopgDatabase) -> None:
    with db.connection() as c:
        c.execute(FIRST)
    with suppress(Failed), db.connection() as c:
        c.execute("select * from t")
        raise Failed


def sync_first_block_rolls_back(db: PsycopgDatabase) -> None:
    with db.connection() as c:
        c.execute(FIRST)
        c.rollback()
        c.execute(SECOND)


# SQLAlchemy: each works with an engine.


async def orm_commit_and_refresh(engine: AsyncEngine) -> None:
    async with async_sessionmaker(engine, expire_on_commit=False)() as s:
        row = Row(id=1, v="first")
        s.add(row)
        await s.commit()
        await s.refresh(row)


async def orm_rolled_back_and_used_again(engine: AsyncEngine) -> None:
    async with async_sessionmaker(engine)() as s:
        s.add(Row(id=1, v="first"))
        await s.flush()
        await s.rollback()
        s.add(Row(id=2, v="second"))
        await s.commit()


async def orm_transactions_in_turn(engine: AsyncEngine) -> None:
    async with engine.connect() as c:
        for number in (1, 0, 2):
            with suppress(Failed):
                async with c.begin():
                    if number:
                        await c.execute(text(FIRST if number == 1 else SECOND))
                    if number == 1:
                        raise Failed


async def orm_second_rolls_back(engine: AsyncEngine) -> None:
    sessions = async_sessionmaker(engine)
    async with sessions() as s:
        s.add(Row(id=1, v="first"))
        await s.commit()
    async with sessions() as s:
        s.add(Row(id=2, v="second"))
        await s.flush()
        await s.rollback()


async def orm_nested_first(engine: AsyncEngine) -> None:
    async with async_sessionmaker(engine)() as s:
        with suppress(Failed):
            async with s.begin_nested():
                s.add(Row(id=1, v="first"))
                await s.flush()
                raise Failed
        s.add(Row(id=2, v="second"))
        await s.commit()


async def orm_nested_later(engine: AsyncEngine) -> None:
    async with async_sessionmaker(engine)() as s:
        s.add(Row(id=1, v="first"))
        await s.flush()
        with suppress(Failed):
            async with s.begin_nested():
                s.add(Row(id=2, v="second"))
                await s.flush()
                raise Failed
        await s.commit()


def sync_orm_write_read_write(engine: Any) -> None:
    sessions = sessionmaker(engine)
    with sessions() as s, s.begin():
        s.add(Row(id=1, v="first"))
    with sessions() as s:
        s.scalars(select(Row)).all()
    with sessions() as s, s.begin():
        s.add(Row(id=2, v="second"))


def sync_orm_second_rolls_back(engine: Any) -> None:
    sessions = sessionmaker(engine)
    with sessions() as s, s.begin():
        s.add(Row(id=1, v="first"))
    with sessions() as s:
        s.add(Row(id=2, v="second"))
        s.flush()
        s.rollback()


def sync_orm_nested_first(engine: Any) -> None:
    with sessionmaker(engine)() as s:
        with suppress(Failed), s.begin_nested():
            s.add(Row(id=1, v="first"))
            s.flush()
            raise Failed
        s.add(Row(id=2, v="second"))
        s.commit()


# Of each: the status, and which rows are there. On PostgreSQL all of them are 201; what cannot be
# undone alone is a 500, and nothing is there.
WORKS: dict[Callable[[Any], Any], tuple[int, list[int]]] = {
    nested_failure: (500, []),
    nested_refusal: (500, []),
    nested_failure_first: (201, [2]),
    nested_reading_fails: (201, [1]),
    second_block_fails: (500, []),
    second_block_reads_and_fails: (201, [1]),
    first_block_fails: (201, [2]),
    sync_nested_failure_and_a_block: (500, []),
    sync_second_block_fails: (500, []),
    sync_second_block_rolls_back: (500, []),
    sync_second_block_reads_and_fails: (201, [1]),
    sync_first_block_rolls_back: (201, [2]),
    orm_commit_and_refresh: (201, [1]),
    orm_rolled_back_and_used_again: (201, [2]),
    orm_transactions_in_turn: (201, [2]),
    orm_second_rolls_back: (500, []),
    orm_nested_first: (201, [2]),
    orm_nested_later: (500, []),
    sync_orm_write_read_write: (201, [1, 2]),
    sync_orm_second_rolls_back: (500, []),
    sync_orm_nested_first: (201, [2]),
}


@pytest.fixture
def aws(emulate: Emulate, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    aws = emulate(engine="dsql")
    for name, value in aws.admin_environ.items():
        monkeypatch.setenv(name, value)
    with connect(aws) as connection:
        for statement in TABLES:
            connection.execute(statement.encode())
    return aws


def asgi(work: Callable[[], Awaitable[None]]) -> Any:
    async def app(scope: Any, _: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await work()
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    return app


def wsgi(work: Callable[[], None]) -> Any:
    def app(_: Any, start_response: Any) -> Any:
        work()
        start_response("201 Created", [])
        return [b"done"]

    return app


@pytest.fixture(params=WORKS, ids=lambda work: work.__name__)
def work(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def client(aws: Emulator, work: Any) -> Iterator[Client]:
    settings = Settings.from_environment(aws.admin_environ)
    name = work.__name__
    db: Any = PsycopgDatabase(settings) if name.startswith("sync") else AsyncpgDatabase(settings)
    used, dispose = db, None
    if "orm" in name:
        used = create_engine(db) if name.startswith("sync") else create_async_engine(db)
        dispose = used.dispose
    made = (wsgi if name.startswith("sync") else asgi)(lambda: work(used))
    handler = Handler(exactly_once(made, database=used), settings=settings)
    yield Client(handler)
    for end in (dispose, db.close):
        ended = end() if end is not None else None
        if ended is not None:
            handler.submit(ended).result(10)
    handler.close()


def rows(aws: Emulator) -> list[int]:
    with connect(aws) as connection:
        return [row[0] for row in connection.execute("select id from t order by id").fetchall()]


def test_what_is_answered_is_what_is_there(client: Client, aws: Emulator, work: Any) -> None:
    status, there = WORKS[work]
    answer = client("/work", "key-1")
    assert (answer["statusCode"], rows(aws)) == (status, there), answer
    if status == 201:
        assert client("/work", "key-1")["headers"]["idempotent-replayed"] == "true"
        assert rows(aws) == there
    with connect(aws) as connection:
        connection.execute("delete from t")
    again = client("/work", "key-2")
    assert (again["statusCode"], rows(aws)) == (status, there), again


async def test_a_transaction_in_a_transaction_needs_no_receipt(
    aws: Emulator,
) -> None:
    settings = Settings.from_environment(aws.admin_environ)
    db = AsyncpgDatabase(settings)
    async with db.transaction() as c:
        with suppress(Failed):
            async with c.transaction():
                await c.execute(FIRST)
                raise Failed
        await c.execute(SECOND)
    assert rows(aws) == [2]
    with pytest.raises(Exception, match="Aurora DSQL has no savepoints"):
        async with db.transaction() as c:
            await c.execute(FIRST)
            with suppress(Failed):
                async with c.transaction():
                    await c.execute("update t set v = 'third'")
                    raise Failed
    assert rows(aws) == [2]
    async with db.transaction() as c:
        await c.execute(FIRST)
    assert rows(aws) == [1, 2]
    await db.close()


def test_nor_does_psycopg_s(aws: Emulator) -> None:
    db = PsycopgDatabase(Settings.from_environment(aws.admin_environ))
    with db.transaction() as c:
        with suppress(Failed), c.transaction():
            c.execute(FIRST)
            raise Failed
        c.execute(SECOND)
    assert rows(aws) == [2]
    refused = pytest.raises(psycopg.InterfaceError, match="Aurora DSQL has no savepoints")
    with refused, db.transaction() as c:
        c.execute(FIRST)
        with suppress(Failed), c.transaction():
            c.execute("update t set v = 'third'")
            raise Failed
    assert rows(aws) == [2]
    with db.transaction() as c:
        c.execute(FIRST)
    assert rows(aws) == [1, 2]
    db.close()
