"""The start of PostgreSQL's frontend/backend protocol, as far as a front has to speak it.

PostgreSQL manual, "Frontend/Backend Protocol", message formats.
"""

import asyncio
import struct
from dataclasses import dataclass

SSL_REQUEST, GSSENC_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
PROTOCOL_3_0 = 196608

ASK_CLEARTEXT_PASSWORD = struct.pack("!cII", b"R", 8, 3)

# A token is 1 to 2 KB; anything longer is not a login.
_LONGEST_LOGIN_MESSAGE = 64 * 1024


class ProtocolError(Exception):
    """The client does not speak the protocol."""


@dataclass(frozen=True)
class Start:
    """The first message of a client, without its length. `code` says what it asks for."""

    code: int
    body: bytes

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of a start-up message: user, database, options, ..."""
        parts = self.body.rstrip(b"\0").split(b"\0")
        texts = [part.decode("utf-8", "replace") for part in parts]
        return dict(zip(texts[::2], texts[1::2], strict=False))

    def encode(self) -> bytes:
        """The message as it goes over the wire."""
        return struct.pack("!II", len(self.body) + 8, self.code) + self.body


def startup(parameters: dict[str, str]) -> Start:
    """A start-up message."""
    body = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items())
    return Start(PROTOCOL_3_0, body + b"\0")


async def read_start(reader: asyncio.StreamReader) -> Start:
    """Read a client's first message. Raises `ProtocolError`, `IncompleteReadError`."""
    length, code = struct.unpack("!II", await reader.readexactly(8))
    if not 8 <= length <= _LONGEST_LOGIN_MESSAGE:
        raise ProtocolError(f"a start-up message of {length} bytes")
    return Start(code, await reader.readexactly(length - 8))


async def read_password(reader: asyncio.StreamReader) -> str:
    """Read the answer to `ASK_CLEARTEXT_PASSWORD`."""
    kind, length = struct.unpack("!cI", await reader.readexactly(5))
    if kind != b"p" or not 4 <= length <= _LONGEST_LOGIN_MESSAGE:
        raise ProtocolError("expected a password")
    return (await reader.readexactly(length - 4)).rstrip(b"\0").decode("utf-8", "replace")


def error(state: str, message: str, *, severity: str = "FATAL") -> bytes:
    """An error response."""
    fields = {"S": severity, "V": severity, "C": state, "M": message}
    body = b"".join(f"{code}{text}\0".encode() for code, text in fields.items()) + b"\0"
    return struct.pack("!cI", b"E", len(body) + 4) + body
