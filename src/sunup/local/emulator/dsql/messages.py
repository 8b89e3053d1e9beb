"""PostgreSQL's messages, one by one.

PostgreSQL manual, "Frontend/Backend Protocol", message formats.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from .. import wire
from ..line import Line

# Longer messages end the connection without a word (awslabs/agent-plugins, DSQL's troubleshooting;
# the guide says 08P01).
_LONGEST = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """Its type's letter, and what follows its length."""

    kind: bytes
    body: bytes = b""

    def encode(self) -> bytes:
        """As it goes over the wire."""
        return struct.pack("!cI", self.kind, len(self.body) + 4) + self.body

    def texts(self, count: int) -> list[str]:
        """The first strings of the body. Raises `wire.ProtocolError`."""
        parts = self.body.split(b"\0", count)
        if len(parts) <= count:
            raise wire.ProtocolError("a string of a message does not end")
        return [part.decode("utf-8", "surrogateescape") for part in parts[:count]]


@dataclass(frozen=True)
class Failure:
    """An error that ends a statement."""

    state: str
    words: str
    hint: str | None = None

    def message(self) -> Message:
        """As the client gets it."""
        return decoded(wire.error(self.state, self.words, severity="ERROR", hint=self.hint))


def decoded(data: bytes) -> Message:
    """One whole message."""
    return Message(data[:1], data[5:])


def query(text: str) -> Message:
    """A query of the simple protocol."""
    return Message(b"Q", text.encode("utf-8", "surrogateescape") + b"\0")


def complete(tag: str) -> Message:
    """That a statement is done."""
    return Message(b"C", tag.encode() + b"\0")


def ready(status: str) -> Message:
    """That the next query may come; the state of the transaction: I, T or E."""
    return Message(b"Z", status.encode())


def one_text(name: str, value: str) -> list[Message]:
    """A result of one row with one column of text."""
    return [Message(b"T", text_column(name)), row(value)]


def row(value: str) -> Message:
    """A row of one text."""
    data = value.encode()
    return Message(b"D", struct.pack("!HI", 1, len(data)) + data)


def text_column(name: str) -> bytes:
    """The body of a row description."""
    return (
        struct.pack("!H", 1) + name.encode() + b"\0" + struct.pack("!IHIhiH", 0, 0, 25, -1, -1, 0)
    )


def fields(error: Message) -> dict[str, str]:
    """What an error response says."""
    parts = error.body.split(b"\0")
    texts = [part.decode("utf-8", "replace") for part in parts if part]
    return {text[:1]: text[1:] for text in texts}


def tag(done: Message) -> str:
    """What a statement says that it has done: `INSERT 0 1`."""
    return done.body.rstrip(b"\0").decode("utf-8", "replace")


def error_of(answers: Sequence[Message]) -> Message | None:
    """The error among them."""
    return next((each for each in answers if each.kind == b"E"), None)


def state_of(answers: Sequence[Message]) -> str:
    """The SQLSTATE of the error among them, else nothing."""
    error = error_of(answers)
    return "" if error is None else fields(error).get("C", "")


class Incoming:
    """The messages of a client, whose start-up is done."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._buffer = bytearray()

    async def read(self) -> Message:
        """The next one. Raises `wire.ProtocolError`, `EOFError`, `OSError`."""
        await self._have(5)
        kind, length = struct.unpack_from("!cI", self._buffer)
        if not 4 <= length <= _LONGEST:
            raise wire.ProtocolError(f"a message of {length} bytes")
        await self._have(length + 1)
        body = bytes(self._buffer[5 : length + 1])
        del self._buffer[: length + 1]
        return Message(kind, body)

    async def _have(self, count: int) -> None:
        while len(self._buffer) < count:
            part = await self._line.read_some()
            if not part:
                raise EOFError
            self._buffer += part
