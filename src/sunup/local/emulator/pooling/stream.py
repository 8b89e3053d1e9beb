"""A connection of PostgreSQL's protocol whose messages are read, and passed on, one by one."""

import asyncio
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

from .. import wire
from ..dsql.messages import Message


class Stream:
    """To a client, or to a server. Used by one reader and any number of writers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, path: str) -> Self:
        """Connect to a Unix socket. Raises `OSError`."""
        return cls(*await asyncio.open_unix_connection(path))

    @classmethod
    async def of(cls, connection: socket.socket) -> Self:
        """On a connection that is there."""
        return cls(*await asyncio.open_unix_connection(sock=connection))

    async def read(self) -> Message:
        """The next message. Raises `wire.ProtocolError`, `EOFError`, `OSError`."""
        kind, length = struct.unpack("!cI", await self._reader.readexactly(5))
        if length < 4:
            raise wire.ProtocolError(f"a message of {length} bytes")
        return Message(kind, await self._reader.readexactly(length - 4))

    def send(self, messages: Iterable[bytes]) -> None:
        """Never waits: what the other side does not take yet is kept."""
        self._writer.write(b"".join(messages))

    async def taken(self) -> None:
        """Wait while much of what was sent is still here. Raises `OSError`."""
        await self._writer.drain()

    async def finish(self) -> None:
        """Hang up when all was sent."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    def close(self) -> None:
        """Hang up, without waiting."""
        self._writer.transport.abort()
