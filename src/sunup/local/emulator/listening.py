"""Sockets for the emulator's servers, on loopback only."""

import asyncio
import socket
import weakref
from collections.abc import Awaitable, Callable

Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

# Queued by the kernel until they are accepted: a burst of instances connects at once.
_BACKLOG = 1024


def bound(port: int) -> socket.socket:
    """A TCP socket on a loopback port (0: a free one) that does not listen yet.

    Several may be bound to one port: one that never listens keeps it reserved.
    """
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it on, each
    # small message waits 40 ms for a delayed acknowledgement.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    made.setblocking(False)  # noqa: FBT003
    return made


class Listener:
    """Listens on one port, kept reserved while nobody listens and connections are refused.

    Not asyncio's Server: one that is closed while it accepts loses the client, which then hangs.
    """

    def __init__(self, accept: Accept) -> None:
        self._accept = accept
        self._reserved = bound(0)  # never listens
        self.port: int = self._reserved.getsockname()[1]
        self._listener: socket.socket | None = None
        self._attaching: set[asyncio.Task[None]] = set()
        self._transports: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()

    def open(self) -> None:
        """Begin to listen, unless it already does."""
        if self._listener is None:
            self._listener = bound(self.port)
            self._listener.listen(_BACKLOG)
            asyncio.get_running_loop().add_reader(self._listener, self._accept_one, self._listener)

    def deafen(self) -> None:
        """Stop listening: clients waiting to be accepted are reset, new ones are refused."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def close(self) -> None:
        """Stop listening and give the port back."""
        self.deafen()
        self._reserved.close()
        for task in self._attaching:
            task.cancel()

    async def drop(self) -> None:
        """Cut the connections that are still closing: TLS waits for a goodbye that may not come."""
        for transport in list(self._transports):
            if isinstance(transport, asyncio.Transport):
                transport.abort()
        for _ in range(3):  # the loop closes the sockets in a later round
            await asyncio.sleep(0)

    def _accept_one(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setblocking(False)  # noqa: FBT003
        task = asyncio.create_task(self._attach(connection))
        self._attaching.add(task)
        task.add_done_callback(self._attaching.discard)

    async def _attach(self, connection: socket.socket) -> None:
        protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=2**18), self._accept)
        try:
            loop = asyncio.get_running_loop()
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection)
            self._transports.add(transport)
        except BaseException:
            connection.close()
            raise
