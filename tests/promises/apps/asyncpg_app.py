"""ASGI on `sunup.asyncpg`."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sunup.asyncpg import Database

from . import works_async


class Session:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def execute(self, statement: str) -> object:
        return await self._connection.execute(statement)

    async def value(self, statement: str) -> object:
        return await self._connection.fetchval(statement)

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        made: AbstractAsyncContextManager[object] = self._connection.transaction()
        return made


class Sessions(works_async.Sessions):
    commits_each = True

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Session]:
        async with self._db.connection() as connection:
            yield Session(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        async with self._db.transaction() as connection:
            yield Session(connection)


def make() -> tuple[Any, Database]:
    """The app and its database."""
    db = Database()
    return works_async.app(Sessions(db)), db
