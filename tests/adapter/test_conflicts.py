"""What a client is told when an app lets a serialization failure pass."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy

from sunup import Handler
from sunup.asyncpg import Database as AsyncpgDatabase
from sunup.integrations.sqlalchemy import create_engine
from sunup.psycopg import Database as PsycopgDatabase
from sunup.settings import Settings

from ..receipts.apps import Client

Admin = Callable[[str], list[tuple[object, ...]]]
View = Callable[[], None]

READ = "select n from counter"
WRITE = "update counter set n = n + 1"


@pytest.fixture
def meet(admin: Admin) -> Callable[[], None]:
    """Called between the app's two statements: another one changes the row, the first time."""
    admin("create table counter (n int not null)")
    admin("insert into counter values (0)")
    met: list[int] = []

    def change() -> None:
        if not met:
            met.append(1)
            admin("update counter set n = n + 100")

    return change


def on_asyncpg(settings: Settings, meet: Callable[[], None]) -> tuple[Any, Any]:
    db = AsyncpgDatabase(settings)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        async with db.transaction(isolation="repeatable_read") as connection:
            await connection.fetchval(READ)
            meet()
            await connection.execute(WRITE)
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    return app, db


def on_psycopg(settings: Settings, meet: Callable[[], None]) -> tuple[Any, Any]:
    db = PsycopgDatabase(settings)

    def app(_: Any, start_response: Any) -> Any:
        with db.connection() as connection:
            connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
            connection.execute(READ)
            meet()
            connection.execute(WRITE)
        start_response("201 Created", [])
        return [b"done"]

    return app, db


def on_sqlalchemy(settings: Settings, meet: Callable[[], None]) -> tuple[Any, Any]:
    db = PsycopgDatabase(settings)
    engine = create_engine(db, isolation_level="REPEATABLE READ")

    def app(_: Any, start_response: Any) -> Any:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(READ))
            meet()
            connection.execute(sqlalchemy.text(WRITE))
        start_response("201 Created", [])
        return [b"done"]

    app.close = engine.dispose  # type: ignore[attr-defined]
    return app, db


@pytest.fixture(params=[on_asyncpg, on_psycopg, on_sqlalchemy])
def client(
    request: pytest.FixtureRequest, settings: Settings, meet: Callable[[], None]
) -> Iterator[Client]:
    app, db = request.param(settings, meet)
    handler = Handler(app, settings=settings)
    yield Client(handler)
    getattr(app, "close", lambda: None)()
    closed = db.close()
    if closed is not None:
        handler.submit(closed).result(10)
    handler.close()


def test_a_conflict_may_be_repeated_and_the_repetition_succeeds(
    client: Client, admin: Admin
) -> None:
    answer = client("/count")
    assert answer["statusCode"] == 503
    content = json.loads(answer["body"])
    assert (content["code"], content["executed"]) == ("transaction_conflict", "no")
    assert answer["headers"]["retry-after"] == "1"
    assert admin(READ) == [(100,)]
    assert client("/count")["statusCode"] == 201
    assert admin(READ) == [(101,)]
