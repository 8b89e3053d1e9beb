"""One client of the emulated Aurora: TLS, log in, then a relay to the real PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from . import wire
from .certificates import Certificates
from .faults import Faults
from .options import AuroraOptions
from .places import Places
from .sleep import Sleep
from .timeline import Timeline
from .tokens import Iam

_CHUNK = 65536
_FAREWELL = 0.002


@dataclass(frozen=True)
class Server:
    """What a session needs from the server. `socket` is the real PostgreSQL's."""

    options: AuroraOptions
    socket: Path
    port: int
    certificates: Certificates
    iam: Iam
    # Whether a role may log in with a token.
    may_use_tokens: Callable[[str], Awaitable[bool]]
    sleep: Sleep
    places: Places
    faults: Faults
    timeline: Timeline


class Session:
    """From the client's first byte to its last."""

    def __init__(
        self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._upstream: asyncio.StreamWriter | None = None
        self._from_upstream: asyncio.StreamReader | None = None
        self._cut = False

    async def log_in(self) -> bool:
        """Take the client as far as an open session; false when it was refused or is done."""
        server = self._server
        hang_at = server.options.hang_at
        if hang_at == "tcp":
            await server.sleep.awake()
        start = await wire.read_start(self._reader)
        while start.code == wire.GSSENC_REQUEST:
            await self._send(b"N")
            start = await wire.read_start(self._reader)
        encrypted = start.code == wire.SSL_REQUEST
        if encrypted:
            # Unread bytes of the handshake must stay in the kernel until TLS reads them.
            self._writer.transport.pause_reading()  # type: ignore[attr-defined]
            await self._send(b"S")
            if hang_at == "tls":
                await server.sleep.awake()
            await self._writer.start_tls(server.certificates.server)
            start = await wire.read_start(self._reader)
        if start.code == wire.CANCEL_REQUEST:
            await self._forward_cancel(start)
            return False
        # A refused attempt wakes the instance too (Aurora User Guide, auto-pause).
        await server.sleep.awake()
        refusal = await self._refusal(start, encrypted=encrypted)
        if refusal is not None:
            state, message = refusal
            await self._send(wire.error(state, message))
            return False
        await self._open_upstream(start)
        return True

    async def _refusal(self, start: wire.Start, *, encrypted: bool) -> tuple[str, str] | None:
        """The SQLSTATE and the words with which Aurora refuses; None: welcome."""
        server = self._server
        if start.code >> 16 != 3:
            return "0A000", "unsupported frontend protocol"
        parameters = start.parameters
        user = parameters.get("user", "")
        if not encrypted:
            database = parameters.get("database", user)
            return "28000", (
                f'no pg_hba.conf entry for host "127.0.0.1", user "{user}", '
                f'database "{database}", no encryption'
            )
        if server.faults.starting:
            return "57P03", "the database system is starting up"
        if not server.places.enter(self):
            return "53300", "sorry, too many clients already"
        await self._send(wire.ASK_CLEARTEXT_PASSWORD)
        token = await wire.read_password(self._reader)
        reason = server.iam.refusal(
            token,
            host=server.options.host,
            port=server.port,
            user=user,
            region=server.options.region,
        )
        if reason is None and not await server.may_use_tokens(user):
            reason = "the role does not exist, cannot log in, or lacks rds_iam"
        if reason is not None:
            # Aurora says why in its log export only.
            server.timeline.add("refused", reason=reason, user=user)
            return "28000", f'PAM authentication failed for user "{user}"'
        return None

    async def _open_upstream(self, start: wire.Start) -> None:
        parameters = start.parameters
        if self._server.faults.read_only:
            options = parameters.get("options", "")
            parameters["options"] = f"{options} -c default_transaction_read_only=on".strip()
        self._from_upstream, self._upstream = await asyncio.open_unix_connection(
            str(self._server.socket), limit=2**18
        )
        self._upstream.write(wire.startup(parameters).encode())

    async def run(self) -> None:
        """Relay until one side ends, or a fault does."""
        assert self._from_upstream is not None
        assert self._upstream is not None
        directions = [
            asyncio.create_task(self._to_server(self._reader, self._upstream)),
            asyncio.create_task(self._to_client(self._from_upstream, self._writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in directions:
                task.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _to_server(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        faults = self._server.faults
        while data := await source.read(_CHUNK):
            if faults.delay:
                await asyncio.sleep(faults.delay)
            # The statement arrives and is executed; its answer never does.
            self._cut = self._cut or faults.lose_an_answer()
            sink.write(data)
            await sink.drain()

    async def _to_client(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(_CHUNK):
            if self._cut:
                self.end(graceful=False)
                return
            sink.write(data)
            await sink.drain()

    async def _forward_cancel(self, start: wire.Start) -> None:
        reader, writer = await asyncio.open_unix_connection(str(self._server.socket))
        writer.write(start.encode())
        await reader.read()
        writer.close()

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def end(self, *, graceful: bool) -> None:
        """Throw the client out: with the server's words, or by cutting the line."""
        if graceful:
            text = "terminating connection due to administrator command"
            self._writer.write(wire.error("57P01", text))
            self._writer.close()
            # PostgreSQL does not wait for a client, perhaps a frozen one, to say goodbye too.
            asyncio.get_running_loop().call_later(_FAREWELL, self._writer.transport.abort)
        else:
            self._writer.transport.abort()
        if self._upstream is not None:
            self._upstream.transport.abort()
        self._server.places.leave(self)

    def close(self) -> None:
        """Close both lines."""
        self._writer.close()
        if self._upstream is not None:
            self._upstream.close()
