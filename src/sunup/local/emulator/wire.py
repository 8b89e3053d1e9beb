"""The start of PostgreSQL's frontend/backend protocol, as far as a front has to speak it.

PostgreSQL manual, "Frontend/Backend Protocol", message formats.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from .line import Line

SSL_REQUEST, GSSENC_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
PROTOCOL_3_0 = 196608

# What a client begins TLS with that does not ask first (PostgreSQL 17: sslnegotiation=direct).
TLS_HANDSHAKE = b"\x16"
ALPN = "postgresql"

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
        texts = [part.decode("utf-8", "surrogateescape") for part in self.body.split(b"\0")]
        pairs = zip(texts[::2], texts[1::2], strict=False)
        return {name: value for name, value in pairs if name}

    @property
    def user(self) -> str:
        """Who wants in; empty where nobody is named."""
        return self.parameters.get("user", "")

    def encode(self) -> bytes:
        """The message as it goes over the wire."""
        return struct.pack("!II", len(self.body) + 8, self.code) + self.body


def startup(parameters: dict[str, str]) -> Start:
    """A start-up message."""
    body = b"".join(encoded(f"{name}\0{value}\0") for name, value in parameters.items())
    return Start(PROTOCOL_3_0, body + b"\0")


async def read_start(client: Line) -> Start:
    """Read a client's first message. Raises `ProtocolError`, `EOFError`."""
    length, code = struct.unpack("!II", await client.read(8))
    if not 8 <= length <= _LONGEST_LOGIN_MESSAGE:
        # As PostgreSQL's log says; the client of a web server sends this, too.
        raise ProtocolError(f"invalid length of startup packet: {length}")
    return Start(code, await client.read(length - 8))


async def read_password(client: Line) -> str:
    """Read the answer to `ASK_CLEARTEXT_PASSWORD`."""
    kind, length = struct.unpack("!cI", await client.read(5))
    if kind != b"p" or not 4 <= length <= _LONGEST_LOGIN_MESSAGE:
        raise ProtocolError("expected a password")
    return (await client.read(length - 4)).rstrip(b"\0").decode("utf-8", "replace")


def error(state: str, message: str, *, severity: str = "FATAL", hint: str | None = None) -> bytes:
    """An error response."""
    fields = {"S": severity, "V": severity, "C": state, "M": message}
    if hint is not None:
        fields["H"] = hint
    body = b"".join(encoded(f"{code}{text}\0") for code, text in fields.items()) + b"\0"
    return struct.pack("!cI", b"E", len(body) + 4) + body


def negotiation(unknown: Sequence[str]) -> bytes:
    """NegotiateProtocolVersion: 3.0 is the newest, and these options are not known."""
    body = b"".join(encoded(f"{name}\0") for name in unknown)
    return struct.pack("!cIII", b"v", len(body) + 12, PROTOCOL_3_0, len(unknown)) + body


def encoded(text: str) -> bytes:
    """A string of the protocol, without its end."""
    return text.encode("utf-8", "surrogateescape")
