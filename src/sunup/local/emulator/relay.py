"""Between a client that is logged in and the real PostgreSQL: bytes, both ways, and faults."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from .faults import Faults
from .line import Line

# Of everybody: what was read is sent, or copied, before anything else is read.
_BUFFER = memoryview(bytearray(256 * 1024))

# What means: not now.
_LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Relay:
    """Runs in the event loop's callbacks: a task for each piece would halve the throughput."""

    def __init__(self, client: Line, server: Line, faults: Faults) -> None:
        self._faults = faults
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._up = _Direction(client, server, self._end, self._of_client)
        self._down = _Direction(server, client, self._end, self._of_server)
        self._answer_is_lost = False

    async def run(self) -> None:
        """Until one side ends, or a fault does."""
        self._up.start()
        self._down.start()
        try:
            await self._ended
        finally:
            self._up.stop()
            self._down.stop()

    def _of_client(self, data: memoryview) -> None:
        faults = self._faults
        if faults.reset_next and faults.lose_an_answer():
            # The statement arrives and is executed; its answer never does.
            self._answer_is_lost = True
        if faults.delay:
            self._up.stop()
            self._loop.call_later(faults.delay, self._up.send_and_go_on, bytes(data))
        else:
            self._up.send(data)

    def _of_server(self, data: memoryview) -> None:
        if self._answer_is_lost:
            self._up.sink.abort()
            self._down.sink.abort()
            self._end()
        else:
            self._down.send(data)

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


class _Direction:
    """Reads as long as what it read could be sent; `take` gets what it reads."""

    def __init__(
        self, source: Line, sink: Line, end: Callable[[], None], take: Callable[[memoryview], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.source, self.sink = source, sink
        self._end = end
        self._take = take
        self._unsent = b""
        self._reading = False
        self._receive = source.socket.recv_into
        self._pending = source.tls.pending if source.tls is not None else None

    def start(self) -> None:
        """Read from now on."""
        if not self.source.closed:
            self._reading = True
            self._loop.add_reader(self.source.socket.fileno(), self._read)
            if self._pending is not None and self._pending():
                self._loop.call_soon(self._read)  # decrypted already: the socket stays silent

    def stop(self) -> None:
        """Read no more."""
        self._reading = False
        if not self.source.closed:
            self._loop.remove_reader(self.source.socket.fileno())
        if not self.sink.closed:
            self._loop.remove_writer(self.sink.socket.fileno())

    def send_and_go_on(self, data: bytes) -> None:
        """What was held back is sent now."""
        if not (self.source.closed or self.sink.closed):
            self.start()
            self.send(data)

    def send(self, data: memoryview | bytes) -> None:
        """Send it all; while that cannot be, nothing is read."""
        try:
            sent = self.sink.socket.send(data)
        except _LATER:
            sent = 0
        except (OSError, ValueError):
            self._end()
            return
        if sent < len(data):
            self._unsent = bytes(data[sent:])
            self.stop()
            self._loop.add_writer(self.sink.socket.fileno(), self._send_rest)

    def _send_rest(self) -> None:
        if self.sink.closed:
            return
        self._loop.remove_writer(self.sink.socket.fileno())
        data, self._unsent = self._unsent, b""
        self.start()
        self.send(data)

    def _read(self) -> None:
        if not self._reading:
            return
        try:
            count = self._receive(_BUFFER)
        except _LATER:
            return
        except (OSError, ValueError):
            count = 0
        if not count:
            self._end()
            return
        self._take(_BUFFER[:count])
        # A read yields one record of TLS; the socket is silent about the others.
        if self._pending is not None and self._pending():
            self._loop.call_soon(self._read)


def unix_socket(path: str) -> socket.socket:
    """A connection to a server on a Unix socket. Raises `OSError`."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.connect(path)  # local: accepted at once, or refused
    except BaseException:
        with suppress(OSError):
            made.close()
        raise
    return made
