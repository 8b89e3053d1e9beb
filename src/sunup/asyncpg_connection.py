"""asyncpg's own connection, which also counts its statements for the request's log line."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg

from . import request

logger = logging.getLogger("sunup.statements")

T = TypeVar("T")


class Connection(asyncpg.Connection):
    """An `asyncpg.Connection`. Statements are logged at DEBUG, their parameters never."""

    __slots__ = ("lent", "rests_since")

    rests_since: float
    # To another library, whose integration counts: it has statements of its own, such as BEGIN.
    lent: bool

    def descriptor(self) -> int:
        """The file descriptor of the socket, -1 when it is closed or being closed."""
        transport: asyncio.Transport | None = getattr(self, "_transport", None)
        if transport is None or transport.is_closing():
            return -1
        socket = transport.get_extra_info("socket")
        return -1 if socket is None else int(socket.fileno())

    async def ping(self) -> None:
        """One round trip."""
        # An empty statement would do, but asyncpg 0.32 trips over its answer.
        await super().execute("select 1")

    async def execute(self, query: str, *args: Any, **options: Any) -> Any:
        """As in asyncpg: run a command and return its status."""
        return await _measured(
            self, query, super().execute(query, *args, **options), _rows_of_status
        )

    async def executemany(self, command: str, args: Any, **options: Any) -> Any:
        """As in asyncpg: run a command once for each sequence of arguments."""
        return await _measured(
            self, command, super().executemany(command, args, **options), _no_rows
        )

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        """As in asyncpg: run a query and return all rows."""
        return await _measured(self, query, super().fetch(query, *args, **options), len)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        """As in asyncpg: run a query and return its first row."""
        return await _measured(self, query, super().fetchrow(query, *args, **options), _one_or_none)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        """As in asyncpg: run a query and return one value of its first row."""
        return await _measured(self, query, super().fetchval(query, *args, **options), _one_or_none)


async def _measured(
    connection: Connection, query: str, work: Awaitable[T], rows_of: Callable[[T], int]
) -> T:
    if connection.lent:
        return await work
    current = request.current.get()
    began = time.perf_counter()
    rows = 0
    try:
        result = await work
        rows = rows_of(result)
        return result
    finally:
        seconds = time.perf_counter() - began
        if current is not None:
            current.note_query(seconds, rows)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "%s", " ".join(query.split()), extra={"query_ms": round(seconds * 1000, 1)}
            )


def _rows_of_status(status: str) -> int:
    count = status.rpartition(" ")[2]
    return int(count) if count.isdigit() else 0


def _one_or_none(result: object) -> int:
    return 0 if result is None else 1


def _no_rows(_: object) -> int:
    return 0
