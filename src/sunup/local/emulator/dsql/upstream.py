"""The session on the server behind the front: what is sent, and what belongs to its answer.

PostgreSQL manual, "Message flow".
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterable, Sequence

from .. import wire
from .messages import Message, query
from .transaction import Digest

FLUSH = b"H\0\0\0\x04"
SYNC = b"S\0\0\0\x04"

# What is kept of one answer, to be told only when it is complete.
_MOST_HELD = 1024 * 1024

# What ends the answer to a message; to the others, ReadyForQuery does.
_ENDS = {
    b"P": (b"1",),
    b"B": (b"2",),
    b"C": (b"3",),
    b"D": (b"T", b"n"),
    b"E": (b"C", b"I", b"s", b"G"),
    b"Q": (b"G",),
}

# Takes the beginning of an answer that is too long to be kept; says what a client copies.
Tell = Callable[[Sequence[Message]], Awaitable[None]]
Copied = Callable[[], Awaitable[tuple[bytes, ...]]]


class Upstream:
    """The session on the server behind the front."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, path: str, parameters: dict[str, str]) -> "Upstream":
        """Connect, and say who wants in. Raises `OSError`."""
        made = cls(*await asyncio.open_unix_connection(path))
        made._writer.write(wire.startup(parameters).encode())
        return made

    def send(self, messages: Iterable[bytes]) -> None:
        """Never waits: what the server does not take yet is kept."""
        self._writer.write(b"".join(messages))

    async def read(self) -> Message:
        """The next message. Raises `EOFError`, `OSError`."""
        kind, length = struct.unpack("!cI", await self._reader.readexactly(5))
        return Message(kind, await self._reader.readexactly(length - 4))

    async def command(self, text: str) -> tuple[list[Message], str]:
        """Do something of the front's own; the answers, and the transaction's state after it.

        By the extended protocol under a name: the client's unnamed statement stays.
        """
        sql = text.encode()
        self.send(
            (
                Message(b"P", b"sunup\0" + sql + b"\0\0\0").encode(),
                Message(b"B", b"sunup\0sunup\0\0\0\0\0\0\0").encode(),
                Message(b"E", b"sunup\0\0\0\0\0").encode(),
                Message(b"C", b"Psunup\0").encode(),
                Message(b"C", b"Ssunup\0").encode(),
                SYNC,
            )
        )
        answers = []
        while (answer := await self.read()).kind != b"Z":
            answers.append(answer)
        if any(each.kind == b"E" for each in answers):
            # What failed left the statement behind.
            self.send((Message(b"C", b"Ssunup\0").encode(),))
            await self.sync()
        return answers, answer.body.decode()

    async def query(self, text: str) -> None:
        """Do something of the front's own that cannot fail, and ends the unnamed statement."""
        self.send((query(text).encode(),))
        while (await self.read()).kind != b"Z":
            pass

    async def sync(self) -> None:
        """End a cycle of the extended protocol."""
        self.send((SYNC,))
        while (await self.read()).kind != b"Z":
            pass

    async def exchange(
        self, data: Sequence[bytes], kind: bytes, told: Digest, tell: Tell | None
    ) -> tuple[list[Message], bool]:
        """Send a message, or a COPY's; what it is answered, and whether none of it was told."""
        self.send((*data, FLUSH) if kind in b"PBDEC" else data)
        copies = len(data) > 1 or data[0][:1] == b"d"
        return await self._answers(kind, told, tell, copies=copies)

    def close(self) -> None:
        """Hang up, without waiting."""
        self._writer.transport.abort()

    async def _answers(
        self, kind: bytes, told: Digest, tell: Tell | None, *, copies: bool
    ) -> tuple[list[Message], bool]:
        """Those to one message, and whether none was told already."""
        ends = _ENDS.get(kind, ())
        kept, size, whole = list[Message](), 0, True
        while True:
            answer = await self.read()
            if answer.kind == b"Z":
                break
            kept.append(answer)
            told.add((answer,))
            size += len(answer.body)
            if answer.kind == b"E" and kind != b"Q":
                self.send((SYNC,))
                ends = ()
            elif answer.kind == b"G" and copies:
                continue
            elif answer.kind in ends:
                break
            if size > _MOST_HELD and tell is not None:
                await tell(kept)
                kept, size, whole = [], 0, False
        return kept, whole
