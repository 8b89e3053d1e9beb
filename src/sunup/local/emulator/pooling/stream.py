"""A connection of PostgreSQL's protocol whose messages are read, and passed on, one by one."""

import asyncio
import socket
from contextlib import suppress
from typing import Self

from ..dsql.messages import Upstream


class Stream(Upstream):
    """As `Upstream`, for either side; it may wait until the other one has taken what was sent."""

    @classmethod
    async def to(cls, path: str) -> Self:
        """Connect to a Unix socket. Raises `OSError`."""
        return cls(*await asyncio.open_unix_connection(path))

    @classmethod
    async def of(cls, connection: socket.socket) -> Self:
        """On a connection that is there."""
        return cls(*await asyncio.open_unix_connection(sock=connection))

    async def taken(self) -> None:
        """Wait while much of what was sent is still here. Raises `OSError`."""
        await self._writer.drain()

    async def finish(self) -> None:
        """Hang up when all was sent."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
