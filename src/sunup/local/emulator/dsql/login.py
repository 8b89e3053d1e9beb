"""A client's way into the emulated Aurora DSQL: TLS with a server name, settings, its token."""

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from .. import wire
from ..line import Line
from ..opening import Refusal, encrypt
from ..timeline import Timeline
from ..tokens import Iam
from . import settings, tokens
from .options import DsqlOptions
from .rate import Rate
from .sleep import Sleep

# A refused login (awslabs/agent-plugins; what the wake's is, nobody has recorded).
_STATE = "08006"


class ServerNames:
    """Which server name (SNI) a TLS connection was begun with."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._names: WeakKeyDictionary[object, str] = WeakKeyDictionary()
        context.sni_callback = self._note  # type: ignore[assignment]  # of a socket, not an object

    def of(self, tls: ssl.SSLSocket) -> str | None:
        """The name, if there was one."""
        return self._names.get(tls)

    def _note(self, tls: ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        if name is not None:
            self._names[tls] = name


@dataclass(frozen=True)
class Door:
    """What decides who gets in. `granted` says whether the caller may be a role."""

    options: DsqlOptions
    context: ssl.SSLContext
    names: ServerNames
    iam: Iam
    rate: Rate
    sleep: Sleep
    granted: Callable[[str], Awaitable[bool]]
    timeline: Timeline


class Login:
    """One attempt. `start` is what the client has said of itself so far."""

    def __init__(self, door: Door, client: Line) -> None:
        self._door = door
        self._client = client
        self.start: wire.Start | None = None

    async def pass_door(self, enter: Callable[[], bool]) -> wire.Start | None:
        """The start-up message of who may come in; None for who wanted something else.

        `enter` takes a place, if there is one. Raises `Refusal`, `wire.ProtocolError`, `EOFError`,
        `OSError`.
        """
        door = self._door
        start = await encrypt(self._client, door.context, direct=True)
        if start.code == wire.CANCEL_REQUEST:
            return None  # without effect (facts of 2026-10: several reports)
        self.start = start
        negotiated = self._check(start)
        if not await door.sleep.admit():
            raise _refused("waking up cluster, please retry later")
        if not door.rate.take():
            raise Refusal("53400", "Unable to accept connection, rate exceeded.", "too fast")
        if not enter():
            words = "Unable to accept connection, too many open connections."
            raise Refusal("53300", words)
        await self._client.write(negotiated + wire.ASK_CLEARTEXT_PASSWORD)
        await self._authenticate(start.user, await wire.read_password(self._client))
        return start

    def _check(self, start: wire.Start) -> bytes:
        """The answer to a newer protocol than 3.0. Raises `Refusal`."""
        major, minor = start.code >> 16, start.code & 0xFFFF
        if major != 3:
            words = f"unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0"
            raise Refusal("0A000", words)
        tls = self._client.tls
        if tls is None:
            raise _refused("a secure connection is required")
        options = start.parameters.get("options", "")
        if self._door.names.of(tls) is None and not settings.names_cluster(options):
            raise _refused("sni was not received")
        if not start.user:
            raise Refusal("28000", "no PostgreSQL user name specified in startup packet")
        database = start.parameters.get("database", start.user)
        if database != "postgres":
            raise Refusal("3D000", f'database "{database}" does not exist')
        failure = settings.refused_at_start(start.parameters)
        if failure is not None:
            raise Refusal(failure.state, failure.words, failure.words)
        unknown = [name for name in start.parameters if name.startswith("_pq_.")]
        return wire.negotiation(unknown) if minor or unknown else b""

    async def _authenticate(self, user: str, token: str) -> None:
        """Raises `Refusal`."""
        door, options = self._door, self._door.options
        hint = tokens.refusal(door.iam, token, host=options.host, user=user, region=options.region)
        if hint is None and user != "admin" and not await door.granted(user):
            hint = (
                f"User: {options.caller} is not authorized to perform: dsql:DbConnect on database "
                f"role: {user}"
            )
        if hint is not None:
            raise _refused("access denied", hint)


def _refused(what: str, hint: str | None = None) -> Refusal:
    return Refusal(_STATE, f"unable to accept connection, {what}", hint or what, hint=hint)
