"""docs/frameworks.md's recipes: other pools and libraries that take sunup's tokens."""

import json
from typing import Any

import asyncpg
import flask
import psycopg
import pytest
import sqlalchemy as sa
from psycopg_pool import ConnectionPool
from sqlmodel import Field, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from sunup import asyncpg as sunup_asyncpg
from sunup import psycopg as sunup_psycopg
from sunup.adapter.handler import Handler
from sunup.integrations.sqlalchemy import create_async_engine, create_engine
from sunup.local.emulator import AuroraOptions
from sunup.local.testing import Emulate
from sunup.settings import Settings

from ..adapter.test_events import event_2
from ..adapter.test_handler import Context


@pytest.fixture
def aurora(emulate: Emulate, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An Aurora that takes tokens and TLS only, and what the environment is to reach it."""
    aws = emulate(aurora=AuroraOptions())
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    return aws


def test_psycopg_pool_signs_a_token_for_each_connection(aurora: Any) -> None:
    db = sunup_psycopg.Database()
    pool: ConnectionPool[psycopg.Connection[tuple[Any, ...]]] = ConnectionPool(
        kwargs=db.connect_parameters,
        min_size=0,
        max_size=1,
        check=ConnectionPool.check_connection,
        open=False,
    )
    with pool, pool.connection() as connection:
        assert connection.execute("show idle_session_timeout").fetchone() == ("1min",)
        assert connection.pgconn.ssl_in_use


async def test_an_asyncpg_pool_signs_a_token_for_each_connection(aurora: Any) -> None:
    parameters = sunup_asyncpg.Database().connect_parameters()
    async with asyncpg.create_pool(**parameters, min_size=0, max_size=1) as pool:
        assert await pool.fetchval("show idle_session_timeout") == "1min"
        first = await pool.fetchval("select pg_backend_pid()")
        await pool.expire_connections()
        assert await pool.fetchval("select pg_backend_pid()") != first


class Hero(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str


async def test_sqlmodel_s_sessions_work_on_the_engine(settings: Settings) -> None:
    db = sunup_asyncpg.Database(settings)
    engine = create_async_engine(db)
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    async with AsyncSession(engine) as session:
        session.add(Hero(name="Mesota"))
        await session.commit()
        assert [hero.name for hero in await session.exec(select(Hero))] == ["Mesota"]
    await engine.dispose()
    await db.close()


def test_a_flask_app_answers_with_what_an_engine_finds(settings: Settings) -> None:
    db = sunup_psycopg.Database(settings)
    engine = create_engine(db)
    app = flask.Flask(__name__)

    @app.get("/answer/<int:number>")
    def answer(number: int) -> Any:
        with engine.connect() as connection:
            found = connection.execute(sa.text("select cast(:n as int) * 2"), {"n": number})
            return {"answer": found.scalar_one(), "query": flask.request.args["a"]}

    handler = Handler(app, database=db)
    event = event_2(rawPath="/answer/21", rawQueryString="a=%26")
    event["requestContext"]["http"]["method"] = "GET"
    response = handler(event, Context())
    assert response["statusCode"] == 200
    assert json.loads(response["body"]) == {"answer": 42, "query": "&"}
    db.close()
    event["rawPath"] = "/answer/none"
    assert handler(event, Context())["statusCode"] == 404
    handler.close()
    engine.dispose()
