"""One client's connection, in the clear or through TLS, on a non-blocking socket.

Not asyncio's streams and transports: those cost a relay more than half of its throughput, read
ahead of a change to TLS, and end a TLS connection only when the other side says goodbye too.
"""

import asyncio
import select
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")

# Reset the connection instead of a goodbye, and send nothing that is still queued.
_AT_ONCE = struct.pack("ii", 1, 0)


class Line:
    """Used by one task at a time; `close` and `abort` may come from anywhere on the loop."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)  # noqa: FBT003
        with suppress(OSError):  # a Unix socket has none
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self.closed = False

    @property
    def tls(self) -> ssl.SSLSocket | None:
        """The TLS connection, when it is one."""
        return self.socket if isinstance(self.socket, ssl.SSLSocket) else None

    @property
    def hung_up(self) -> bool:
        """Whether the other side sends no more, whatever is unread; false where none can tell."""
        if self.closed or not hasattr(select, "POLLRDHUP"):  # Linux has it
            return self.closed
        poll = select.poll()
        poll.register(self.socket.fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    async def peek(self) -> bytes:
        """The next byte, which stays unread; empty at the end. Not through TLS."""
        return await self._retried(partial(self.socket.recv, 1, socket.MSG_PEEK))

    async def read(self, count: int) -> bytes:
        """Exactly so many bytes, none beyond. Raises `EOFError`, `OSError`."""
        data = b""
        while len(data) < count:
            part = await self._retried(partial(self.socket.recv, count - len(data)))
            if not part:
                raise EOFError
            data += part
        return data

    async def read_some(self) -> bytes:
        """What has come, at least a byte; empty at the end. Raises `OSError`."""
        return await self._retried(partial(self.socket.recv, 65536))

    async def write(self, data: bytes) -> None:
        """Send all of it. Raises `OSError`."""
        while data:
            sent = await self._retried(partial(self.socket.send, data), self._loop.add_writer)
            data = data[sent:]

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on through TLS, as the server. Raises `ssl.SSLError`, `OSError`."""
        self.socket.getpeername()  # of a client that is gone, `wrap_socket` may leak the socket
        made = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.socket = made
        await self._retried(made.do_handshake)

    def close(self, farewell: bytes = b"") -> None:
        """Say what there is to say, without waiting for anybody, and hang up."""
        if not self.closed:
            with suppress(OSError, ValueError):
                if farewell:
                    self.socket.send(farewell)
                if self.tls is not None:
                    self.tls.unwrap()  # says goodbye; the answer is not waited for
            with suppress(OSError, ValueError):
                # What is left unread would make the kernel reset the connection.
                self.socket.recv(65536)
            self._hang_up()

    def abort(self) -> None:
        """Cut the line."""
        if not self.closed:
            with suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self._hang_up()

    def _hang_up(self) -> None:
        self.closed = True
        self._forget()
        self.socket.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionAbortedError())

    def _forget(self) -> None:
        descriptor = self.socket.fileno()
        if descriptor >= 0:
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)

    async def _retried(
        self, step: Callable[[], T], watch: Callable[..., object] | None = None
    ) -> T:
        """Do what may have to wait for the socket; `watch` says for what, unless TLS does."""
        while True:
            if self.closed:
                raise ConnectionAbortedError
            try:
                return step()
            except ssl.SSLWantReadError:
                await self._ready(self._loop.add_reader)
            except ssl.SSLWantWriteError:
                await self._ready(self._loop.add_writer)
            except BlockingIOError:
                await self._ready(watch or self._loop.add_reader)

    async def _ready(self, watch: Callable[..., object]) -> None:
        self._waiter = self._loop.create_future()
        watch(self.socket.fileno(), _wake, self._waiter)
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._forget()


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
