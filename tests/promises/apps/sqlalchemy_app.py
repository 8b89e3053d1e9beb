"""ASGI on SQLAlchemy's async engine."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from sunup.asyncpg import Database
from sunup.integrations.sqlalchemy import create_async_engine

from . import works_async


class Session:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(self, statement: str) -> object:
        return await self._connection.exec_driver_sql(statement)

    async def value(self, statement: str) -> object:
        return (await self._connection.exec_driver_sql(statement)).scalar_one()

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        return self._connection.begin_nested()


class Sessions(works_async.Sessions):
    def __init__(self, db: Database) -> None:
        self._engine = create_async_engine(db)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Session]:
        async with self._engine.connect() as connection:
            yield Session(connection)
            await connection.commit()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        async with self._engine.begin() as connection:
            yield Session(connection)


def make() -> tuple[Any, Database]:
    """The app and its database."""
    db = Database()
    return works_async.app(Sessions(db)), db
