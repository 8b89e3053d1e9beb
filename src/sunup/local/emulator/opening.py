"""How a client opens a session, the same at each front: TLS, then the start-up message."""

import ssl
from collections.abc import Awaitable, Callable

from . import wire
from .line import Line


class Refusal(Exception):
    """A FATAL error for the client: the SQLSTATE and the words. `reason` is for the log only."""

    def __init__(
        self, state: str, words: str, reason: str | None = None, *, hint: str | None = None
    ) -> None:
        super().__init__(words)
        self.state = state
        self.reason = reason
        self.hint = hint


async def encrypt(
    client: Line,
    context: ssl.SSLContext,
    *,
    direct: bool,
    before: Callable[[], Awaitable[None]] | None = None,
) -> wire.Start:
    """The client's start-up message, through TLS if it asks for that.

    `direct`: TLS may begin without asking. `before` is waited for before the handshake. Raises
    `wire.ProtocolError`, `EOFError`, `OSError`.
    """
    if direct and await client.peek() == wire.TLS_HANDSHAKE:
        await _start_tls(client, context, before)
        tls = client.tls
        if tls is None or tls.selected_alpn_protocol() != wire.ALPN:
            raise wire.ProtocolError("direct TLS without the protocol's name")
        return await wire.read_start(client)
    start = await wire.read_start(client)
    while start.code == wire.GSSENC_REQUEST:
        await client.write(b"N")
        start = await wire.read_start(client)
    if start.code == wire.SSL_REQUEST:
        await client.write(b"S")
        await _start_tls(client, context, before)
        start = await wire.read_start(client)
    return start


async def _start_tls(
    client: Line, context: ssl.SSLContext, before: Callable[[], Awaitable[None]] | None
) -> None:
    if before is not None:
        await before()
    try:
        # What was sent in the clear behind the request is no handshake, and ends it.
        await client.start_tls(context)
    except ssl.SSLError as error:
        raise wire.ProtocolError(f"no TLS: {error.reason or error}") from None
