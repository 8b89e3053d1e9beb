"""One client of the emulated Aurora: TLS, log in, then a relay to the real PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from . import wire
from .certificates import Certificates
from .faults import Faults
from .line import Line
from .opening import Refusal, encrypt
from .options import AuroraOptions
from .places import Places
from .relay import Relay, unix_socket
from .sleep import Sleep
from .timeline import Timeline
from .tokens import Iam

# Longer names are cut, as PostgreSQL does (bytes of UTF-8).
_LONGEST_NAME = 63


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

    def __init__(self, server: Server, client: Line) -> None:
        self._server = server
        self._client = client
        self._upstream: Line | None = None
        self._limit = asyncio.timeout(None)
        self._start: wire.Start | None = None

    async def log_in(self) -> bool:
        """Take the client as far as an open session; false when it was refused or is done.

        Raises `wire.ProtocolError`, `EOFError`, `OSError`.
        """
        try:
            async with self._limit:
                return await self._welcome()
        except TimeoutError:
            self._server.timeline.add("refused", reason="the login took too long")
            if self._start is not None and not self._client.closed:
                text = "canceling authentication due to timeout"
                self._client.close(wire.error("57014", text))
            return False
        except Refusal as refusal:
            user = self._start.user if self._start is not None else ""
            if refusal.reason is not None:
                # Aurora says why in its log export only.
                self._server.timeline.add("refused", reason=refusal.reason, user=user)
            self._client.close(wire.error(refusal.state, str(refusal)))
            return False

    async def _welcome(self) -> bool:
        server = self._server
        self._give_time()
        if server.options.hang_at == "tcp":
            await self._awake()
        start = await encrypt(
            self._client,
            server.certificates.server,
            direct=server.options.direct_tls,
            before=self._wait_in_tls,
        )
        if start.code == wire.CANCEL_REQUEST:
            await self._cancel(start)
            return False
        self._start = start
        # A refused attempt wakes the instance too (Aurora User Guide, auto-pause).
        await self._awake()
        answer = negotiated(start)
        self._check(start)
        if not server.places.enter(self):
            raise Refusal("53300", "sorry, too many clients already")
        await self._client.write(answer + wire.ASK_CLEARTEXT_PASSWORD)
        await self._authenticate(start.user, await wire.read_password(self._client))
        await self._open_upstream(start)
        return True

    async def _cancel(self, start: wire.Start) -> None:
        """Somebody wants a statement to end."""
        await asyncio.to_thread(_forward_cancel, str(self._server.socket), start)

    async def _wait_in_tls(self) -> None:
        if self._server.options.hang_at == "tls":
            await self._awake()

    def _check(self, start: wire.Start) -> None:
        """Raises `Refusal`."""
        server = self._server
        user, parameters = start.user, start.parameters
        if not user:
            raise Refusal("28000", "no PostgreSQL user name specified in startup packet")
        if self._client.tls is None:
            raise self._no_entry(start, "no encryption")
        replication = parameters.get("replication", "").lower()
        asked = replication not in ("", "0", "false", "off", "no", "f", "n")
        if asked and not server.options.iam_auth_for_replication:
            raise self._no_entry(start, "SSL encryption", replication=replication != "database")
        if server.faults.starting:
            raise Refusal("57P03", "the database system is starting up")

    def _no_entry(self, start: wire.Start, how: str, *, replication: bool = False) -> Refusal:
        database = start.parameters.get("database", start.user)
        kind = "replication connection from host" if replication else "host"
        where = "" if replication else f'database "{database}", '
        address = self._client.socket.getpeername()[0]
        words = f'no pg_hba.conf entry for {kind} "{address}", user "{start.user}", {where}{how}'
        return Refusal("28000", words)

    async def _authenticate(self, user: str, token: str) -> None:
        """Raises `Refusal`."""
        server = self._server
        reason = self._against(user, token)
        if reason is None and not await server.may_use_tokens(_cut(user)):
            reason = "the role does not exist, cannot log in, or lacks rds_iam"
        if reason is not None:
            raise Refusal("28000", f'PAM authentication failed for user "{user}"', reason)

    def _against(self, user: str, token: str) -> str | None:
        """Why the token is refused."""
        server = self._server
        options = server.options
        return server.iam.refusal(
            token, host=options.host, port=server.port, user=user, region=options.region
        )

    async def _open_upstream(self, start: wire.Start) -> None:
        parameters = {
            name: value for name, value in start.parameters.items() if not name.startswith("_pq_.")
        }
        if self._server.faults.read_only:
            options = parameters.get("options", "")
            parameters["options"] = f"{options} -c default_transaction_read_only=on".strip()
        tls = self._client.tls
        assert tls is not None
        name, _, bits = tls.cipher() or ("", "", 0)
        # Read by the view pg_stat_ssl: PostgreSQL itself sees a Unix socket.
        parameters["sunup.tls"] = f"{tls.version()} {name} {bits}"
        self._upstream = Line(unix_socket(str(self._server.socket)))
        await self._upstream.write(wire.startup(parameters).encode())

    async def run(self) -> None:
        """Relay until one side ends, or a fault does."""
        assert self._upstream is not None
        await Relay(self._client, self._upstream, self._server.faults).run()

    async def _awake(self) -> None:
        """Wait for the instance; the time of the login counts from its awakening."""
        self._limit.reschedule(None)
        await self._server.sleep.awake()
        self._give_time()

    def _give_time(self) -> None:
        seconds = self._server.options.authentication_timeout
        self._limit.reschedule(asyncio.get_running_loop().time() + seconds)

    def end(self, *, graceful: bool) -> None:
        """Throw the client out: with the server's words, or by cutting the line."""
        if graceful:
            text = "terminating connection due to administrator command"
            self._client.close(wire.error("57P01", text))
        else:
            self._client.abort()
        if self._upstream is not None:
            self._upstream.abort()
        self._server.places.leave(self)

    def close(self) -> None:
        """Close both lines."""
        self._client.close()
        if self._upstream is not None:
            self._upstream.close()


def negotiated(start: wire.Start) -> bytes:
    """The answer to a newer protocol than 3.0, as PostgreSQL 17's. Raises `Refusal`.

    Express clusters run 17 (docs/emulator.md); 18 would know 3.2.
    """
    major, minor = start.code >> 16, start.code & 0xFFFF
    if major != 3:
        words = f"unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0"
        raise Refusal("0A000", words)
    unknown = [name for name in start.parameters if name.startswith("_pq_.")]
    return wire.negotiation(unknown) if minor or unknown else b""


def _cut(name: str) -> str:
    return name.encode("utf-8", "surrogateescape")[:_LONGEST_NAME].decode("utf-8", "ignore")


def _forward_cancel(path: str, start: wire.Start) -> None:
    with unix_socket(path) as upstream:
        upstream.sendall(start.encode())
        upstream.recv(1)
