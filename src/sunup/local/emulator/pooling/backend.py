"""A session of the real PostgreSQL, which several clients may use one after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from .. import wire
from ..dsql.messages import Message
from ..relay import unix_socket
from .stream import Stream

# Takes what the server says; None: it has hung up.
Take = Callable[[Message | None], Awaitable[None]]


class NotOpenedError(Exception):
    """The server refuses the session: its error."""

    def __init__(self, error: Message) -> None:
        super().__init__("the server refuses the session")
        self.error = error


class Backend:
    """`parameters` are those of its start-up message, and `said` what the server said then."""

    def __init__(self, stream: Stream, path: str, parameters: Mapping[str, str]) -> None:
        self._stream = stream
        self._path = path
        self.parameters = dict(parameters)
        self.said: list[Message] = []
        self._key = b""
        self._take: Take | None = None
        self._reading: asyncio.Task[None] | None = None
        self.closed = False

    @classmethod
    async def open(cls, path: str, parameters: Mapping[str, str]) -> "Backend":
        """Begin a session. Raises `NotOpenedError`, `EOFError`, `OSError`."""
        made = cls(await Stream.to(path), path, parameters)
        try:
            made._stream.send((wire.startup(made.parameters).encode(),))
            while (message := await made._stream.read()).kind != b"Z":
                if message.kind == b"E":
                    raise NotOpenedError(message)  # noqa: TRY301
                if message.kind == b"K":
                    made._key = message.body
                elif message.kind == b"S":
                    made.said.append(message)
        except BaseException:
            made._stream.close()
            raise
        made._reading = asyncio.create_task(made._read())
        return made

    def lend(self, take: Take) -> None:
        """What the server says is for this client from now on."""
        self._take = take

    def send(self, message: Message) -> None:
        """Have the server do something."""
        self._stream.send((message.encode(),))

    async def taken(self) -> None:
        """Wait while the server has not taken much of what was sent."""
        await self._stream.taken()

    def rest(self) -> None:
        """No client has it."""
        self._take = None

    def hang_up(self) -> None:
        """Cut the line; who has it is told."""
        self._stream.close()

    def close(self) -> None:
        """End it, with whatever it does."""
        self.closed = True
        self._take = None
        self._stream.close()
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()

    async def cancel(self) -> None:
        """Cancel the statement under way."""
        await asyncio.to_thread(self._cancel)

    def _cancel(self) -> None:
        request = wire.Start(wire.CANCEL_REQUEST, self._key)
        with unix_socket(self._path) as line:
            line.sendall(request.encode())
            line.recv(1)

    async def _read(self) -> None:
        try:
            while True:
                message = await self._stream.read()
                if self._take is not None:
                    await self._take(message)
        except (EOFError, OSError):
            self.closed = True
            self._stream.close()
            if self._take is not None:
                await self._take(None)
