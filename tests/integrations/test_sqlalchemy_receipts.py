"""What a session or a connection of SQLAlchemy's may do in a request's one transaction."""

import asyncio
import inspect
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from sunup import Handler, exactly_once
from sunup.asyncpg import Database as AsyncpgDatabase
from sunup.failures import ConnectionsBusy
from sunup.integrations.sqlalchemy import create_async_engine, create_engine
from sunup.psycopg import Database as PsycopgDatabase
from sunup.settings import Settings

from ..receipts.apps import TABLES, Client
from ..receipts.conftest import Admin, Start, names

INSERT = text("insert into things (name) values (:name)")
_kept: list[Any] = []


@pytest.fixture
def begin(settings: Settings, admin: Admin) -> Iterator[Start]:
    """Starts an app of one view, which gets the engine and the query; async or not."""
    for statement in TABLES.split(";"):
        admin(statement)
    with ExitStack() as stack:

        def start(view: Any, **options: Any) -> Client:
            engine: Any
            db: Any
            if inspect.iscoroutinefunction(view):
                db = AsyncpgDatabase(settings)
                engine = create_async_engine(db)

                async def app(scope: Any, receive: Any, send: Any) -> None:
                    if scope["type"] != "http":
                        raise NotImplementedError
                    status = await view(engine, scope["query_string"].decode())
                    await send({"type": "http.response.start", "status": status, "headers": []})
                    await send({"type": "http.response.body", "body": b"done"})

                served: Any = app
            else:
                db = PsycopgDatabase(settings)
                engine = create_engine(db)

                def wsgi(environ: Any, start_response: Any) -> Any:
                    start_response(f"{view(engine, environ['QUERY_STRING'])} X", [])
                    return [b"done"]

                served = wsgi
            handler = Handler(exactly_once(served, database=engine, **options), settings=settings)

            def end() -> None:
                for left in (engine.dispose(), db.close()):
                    if left is not None:
                        handler.submit(left).result(10)
                handler.close()
                _kept.clear()

            stack.callback(end)
            return Client(handler)

        yield start


def succeeds(client: Client, admin: Admin) -> None:
    """With a key, and without one; and nothing is left open."""
    for name, key in (("fine", "key-fine"), ("plain", None)):
        assert client(f"/?{name}", key)["statusCode"] == 201
        assert names(admin)[-1] == name
    left = "select count(*) from pg_stat_activity where state like 'idle in%'"
    assert admin(left) == [(0,)]


async def insert(engine: AsyncEngine, name: str) -> None:
    async with AsyncSession(engine) as session:
        await session.execute(INSERT, {"name": name})
        await session.commit()


def insert_now(engine: sqlalchemy.Engine, name: str) -> None:
    with Session(engine) as session:
        session.execute(INSERT, {"name": name})
        session.commit()


def test_several_commits_on_one_connection(begin: Start, admin: Admin) -> None:
    def view(engine: sqlalchemy.Engine, name: str) -> int:
        with engine.connect() as connection:
            connection.execute(INSERT, {"name": f"{name}-1"})
            connection.commit()
            connection.execute(INSERT, {"name": f"{name}-undone"})
            connection.rollback()
            connection.execute(INSERT, {"name": name})
            connection.commit()
            connection.execute(INSERT, {"name": f"{name}-forgotten"})
        return 201

    client = begin(view)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert names(admin) == ["a-1", "a"]
    succeeds(client, admin)


def test_several_async_ones(begin: Start, admin: Admin) -> None:
    async def view(engine: AsyncEngine, name: str) -> int:
        async with engine.connect() as connection:
            await connection.execute(INSERT, {"name": f"{name}-1"})
            await connection.commit()
            await connection.execute(INSERT, {"name": f"{name}-undone"})
            await connection.rollback()
            await connection.execute(INSERT, {"name": name})
            await connection.commit()
            await connection.execute(INSERT, {"name": f"{name}-forgotten"})
        return 201

    client = begin(view)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert names(admin) == ["a-1", "a"]
    succeeds(client, admin)


def test_nested_ones_and_begin(begin: Start, admin: Admin) -> None:
    async def view(engine: AsyncEngine, name: str) -> int:
        async with engine.begin() as connection:
            await connection.execute(INSERT, {"name": f"{name}-1"})
        async with AsyncSession(engine) as session:
            await session.execute(INSERT, {"name": name})
            with pytest.raises(sqlalchemy.exc.IntegrityError):
                async with session.begin_nested():
                    await session.execute(INSERT, {"name": name})
            await session.commit()
        return 201

    client = begin(view)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert names(admin) == ["a-1", "a"]
    succeeds(client, admin)


@pytest.mark.parametrize(("level", "status"), [("AUTOCOMMIT", 500), ("READ COMMITTED", 201)])
def test_an_isolation_level_ends_with_its_connection(
    begin: Start, admin: Admin, level: str, status: int
) -> None:
    async def view(engine: AsyncEngine, name: str) -> int:
        if name == "a":
            async with engine.connect() as connection:
                connection = await connection.execution_options(isolation_level=level)
                await connection.execute(INSERT, {"name": f"{name}-1"})
                await connection.commit()
        await insert(engine, name)
        return 201

    client = begin(view)
    assert client("/?a", "key-1")["statusCode"] == status
    assert names(admin) == ([] if status == 500 else ["a-1", "a"])
    succeeds(client, admin)


@pytest.mark.parametrize(("level", "status"), [("AUTOCOMMIT", 500), ("READ COMMITTED", 201)])
def test_a_sync_one_ends_with_it_too(begin: Start, admin: Admin, level: str, status: int) -> None:
    def view(engine: sqlalchemy.Engine, name: str) -> int:
        if name == "a":
            with engine.connect() as connection:
                connection = connection.execution_options(isolation_level=level)
                connection.execute(INSERT, {"name": f"{name}-1"})
                connection.commit()
        insert_now(engine, name)
        return 201

    client = begin(view)
    assert client("/?a", "key-1")["statusCode"] == status
    assert names(admin) == ([] if status == 500 else ["a-1", "a"])
    succeeds(client, admin)


@pytest.mark.parametrize("of_the_engine", [True, False])
def test_work_in_autocommit_is_refused_and_never_lost(
    begin: Start, admin: Admin, of_the_engine: bool
) -> None:
    async def view(engine: AsyncEngine, name: str) -> int:
        if of_the_engine:
            engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            if not of_the_engine:
                connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(INSERT, {"name": name})
        return 201

    client = begin(view)
    assert client("/?a", "key-1")["statusCode"] == 500
    assert names(admin) == []


def test_another_level_is_refused_and_the_next_request_is_as_ever(
    begin: Start, admin: Admin
) -> None:
    async def view(engine: AsyncEngine, name: str) -> int:
        if name == "a":
            async with engine.connect() as connection:
                connection = await connection.execution_options(isolation_level="SERIALIZABLE")
                await connection.execute(INSERT, {"name": name})
                await connection.commit()
        await insert(engine, name)
        return 201

    client = begin(view)
    assert client("/?a", "key-1")["statusCode"] == 500
    assert names(admin) == []
    succeeds(client, admin)


def test_what_would_not_be_a_part_of_it_is_refused(begin: Start, admin: Admin) -> None:
    async def view(engine: AsyncEngine, name: str) -> int:
        if name == "dispose":
            await engine.dispose()
        await insert(engine, name)
        return 201

    client = begin(view)
    assert client("/?dispose", "key-1")["statusCode"] == 500
    assert names(admin) == []
    succeeds(client, admin)


def test_a_session_within_a_session_is_refused(begin: Start, admin: Admin) -> None:
    async def view(engine: AsyncEngine, name: str) -> int:
        if name == "a":
            async with AsyncSession(engine) as session:
                await session.execute(text("select 1"))
                with pytest.raises(ConnectionsBusy):
                    await insert(engine, name)
        await insert(engine, name)
        return 201

    client = begin(view)
    assert client("/?a", "key-1")["statusCode"] == 201
    succeeds(client, admin)


def test_a_session_that_is_never_closed_does_not_hold_up_the_end(
    begin: Start, admin: Admin
) -> None:
    async def view(engine: AsyncEngine, name: str) -> int:
        session = AsyncSession(engine)
        await session.execute(INSERT, {"name": name})
        await session.commit()
        await session.execute(text("select 1"))
        _kept.append(session)
        return 201

    client = begin(view)
    for name in ("a", "b"):
        assert client(f"/?{name}", f"key-{name}")["statusCode"] == 201
    assert names(admin) == ["a", "b"]


def test_nor_does_a_sync_one(begin: Start, admin: Admin) -> None:
    def view(engine: sqlalchemy.Engine, name: str) -> int:
        session = Session(engine)
        session.execute(INSERT, {"name": name})
        session.commit()
        session.execute(text("select 1"))
        _kept.append(session)
        return 201

    client = begin(view)
    for name in ("a", "b"):
        assert client(f"/?{name}", f"key-{name}")["statusCode"] == 201
    assert names(admin) == ["a", "b"]


def test_what_a_task_still_does_in_a_session_is_waited_for(begin: Start, admin: Admin) -> None:
    async def view(engine: AsyncEngine, name: str) -> int:
        async def audit() -> None:
            async with AsyncSession(engine) as session:
                await session.execute(INSERT, {"name": f"{name}-1"})
                await asyncio.sleep(0.3)
                await session.execute(INSERT, {"name": f"{name}-2"})
                await session.commit()

        _kept.append(asyncio.create_task(audit()))
        await asyncio.sleep(0.05)
        return 201

    client = begin(view)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert names(admin) == ["a-1", "a-2"]


def test_a_session_that_was_left_with_changes_is_an_error(begin: Start, admin: Admin) -> None:
    async def view(engine: AsyncEngine, name: str) -> int:
        session = AsyncSession(engine)
        _kept.append(session)
        await session.execute(INSERT, {"name": name})
        return 201

    client = begin(view)
    assert client("/?a", "key-1")["statusCode"] == 500
    assert names(admin) == []


def test_a_timeout_of_the_app_s_own_undoes_its_block_alone(begin: Start, admin: Admin) -> None:
    async def view(engine: AsyncEngine, name: str) -> int:
        await insert(engine, f"{name}-1")
        if name == "a":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1), AsyncSession(engine) as session:
                    await session.execute(INSERT, {"name": f"{name}-undone"})
                    await session.execute(text("select pg_sleep(30)"))
        await insert(engine, name)
        return 201

    client = begin(view)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert names(admin) == ["a-1", "a"]
    succeeds(client, admin)


@pytest.mark.parametrize("turns", range(1, 40, 3))
def test_however_often_it_is_cancelled_nothing_is_left(
    begin: Start, admin: Admin, turns: int
) -> None:
    async def view(engine: AsyncEngine, name: str) -> int:
        await insert(engine, name)
        return 201

    client = begin(view)
    app = client.handler._run._app  # type: ignore[attr-defined]

    async def cancelled(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["query_string"] != b"a":
            await app(scope, receive, send)
            return
        task = asyncio.ensure_future(app(scope, receive, send))
        for _ in range(turns):
            await asyncio.sleep(0)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([task])
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    client.handler._run._app = cancelled  # type: ignore[attr-defined]
    client("/?a", "key-1")
    succeeds(client, admin)
    assert client("/?b", "key-b")["statusCode"] == 201


def test_what_an_engine_asks_of_its_first_connection_is_nothing_of_the_app_s(
    settings: Settings,
) -> None:
    from sunup import request

    db = PsycopgDatabase(settings)
    engine = create_engine(db)
    current = request.Request("POST", "/")
    token = request.begin(current)
    try:
        with engine.connect() as connection:
            connection.execute(text("select 1"))
        assert current.executed == "no"
    finally:
        request.end(token)
    engine.dispose()
    db.close()
