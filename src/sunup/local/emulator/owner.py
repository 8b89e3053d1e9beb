"""What a front asks the real PostgreSQL as its owner, one question after the other."""

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg


class Owner:
    """A connection that is made anew when somebody has ended it. On one event loop."""

    def __init__(self, socket_folder: str, database: str = "postgres") -> None:
        self._socket_folder = socket_folder
        self._database = database
        self._connection: psycopg.AsyncConnection | None = None
        self._lock = asyncio.Lock()

    async def fetch(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Ask; the rows, where there are any. Raises `psycopg.Error`."""
        async with self._lock:
            if self._connection is None or self._connection.closed:
                self._connection = await self._connect()
            try:
                cursor = await self._connection.execute(query.encode(), parameters or None)
            except psycopg.OperationalError:
                # The owner may end all sessions, this one too.
                await self._connection.close()
                self._connection = await self._connect()
                cursor = await self._connection.execute(query.encode(), parameters or None)
            return await cursor.fetchall() if cursor.description else []

    async def close(self) -> None:
        """Ask nothing any more."""
        if self._connection is not None:
            await self._connection.close()

    async def _connect(self) -> psycopg.AsyncConnection:
        # For replication: that does not count as one of the server's `max_connections`.
        return await psycopg.AsyncConnection.connect(
            host=self._socket_folder,
            user="postgres",
            dbname=self._database,
            autocommit=True,
            replication="database",
            cursor_factory=psycopg.AsyncClientCursor,
        )
