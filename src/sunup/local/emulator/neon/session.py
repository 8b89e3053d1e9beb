"""One client of the emulated Neon: through its proxy, to a session of its own or to the pooler.

The proxy's words and its SQLSTATE (XX000 for nearly all) are in its source, neondatabase/neon,
proxy/src; the pooler is PgBouncer.
"""

import hmac
import re
from collections.abc import Mapping

from .. import wire
from ..dsql.login import ServerNames
from ..line import Line
from ..opening import Refusal, encrypt
from ..options import NeonOptions
from ..pooling.pool import Pool
from ..pooling.session import PooledSession, Pumps
from ..session import Server, negotiated

_NO_ENDPOINT = (
    "Endpoint ID is not specified. Either please upgrade the postgres client library (libpq) for "
    "SNI support or pass the endpoint ID (first part of the domain name) as a parameter: "
    "'?options=endpoint%3D<endpoint-id>'. See more at https://neon.tech/sni"
)
_INSECURE = "connection is insecure (try using `sslmode=require`)"

# Ways to name the endpoint without a server name (Neon, "Connection errors").
_IN_OPTIONS = re.compile(r"(?:^|\s)(?:endpoint|project)(?:=|%3D)\S+")
_IN_PASSWORD = re.compile(r"(?:endpoint|project)=[^;$]+[;$]")

# What PgBouncer keeps for each client (Neon, "Unsupported startup parameter").
_TRACKED = {
    *("user", "database", "client_encoding", "datestyle", "timezone"),
    *("standard_conforming_strings", "application_name"),
}


class Session(PooledSession):
    """From the client's first byte to its last."""

    def __init__(
        self, server: Server, client: Line, pool: Pool, pumps: Pumps, names: ServerNames
    ) -> None:
        super().__init__(server, client, pool, pumps)
        self._names = names

    async def _welcome(self) -> bool:
        server = self._server
        self._give_time()
        start = await encrypt(self._client, server.certificates.server, direct=True)
        if start.code == wire.CANCEL_REQUEST:
            await self._cancel(start)
            return False
        self._start = start
        answer = negotiated(start)
        self._check(start)
        if not server.places.enter(self):
            raise Refusal("53300", "sorry, too many clients already")
        # Neon asks by SCRAM-SHA-256; in the clear where the password names the endpoint.
        await self._client.write(answer + wire.ASK_CLEARTEXT_PASSWORD)
        await self._authenticate(start.user, await wire.read_password(self._client))
        server.sleep.touch()
        await self._awake()
        await self._open_upstream(start)
        return True

    def _check(self, start: wire.Start) -> None:
        if self._client.tls is None:
            raise Refusal("XX000", _INSECURE, _INSECURE)
        if not start.user:
            raise Refusal("XX000", "missing user in startup packet")

    async def _authenticate(self, user: str, password: str) -> None:
        tls, start = self._client.tls, self._start
        assert tls is not None
        assert start is not None
        named = _IN_PASSWORD.match(password)
        in_options = _IN_OPTIONS.search(start.parameters.get("options", ""))
        if self._names.of(tls) is None and not (named or in_options):
            raise Refusal("XX000", _NO_ENDPOINT, "no server name")
        password = password[named.end() :] if named else password
        options = self._server.options
        assert isinstance(options, NeonOptions)
        if not hmac.compare_digest(password.encode(), options.password.encode()):
            words = f"password authentication failed for user '{user}'"
            raise Refusal("28P01", words, "the password is another one")

    def parameters(self, start: wire.Start) -> Mapping[str, str]:
        """Those of the client, without the endpoint's name."""
        given = dict(super().parameters(start))
        given["options"] = _IN_OPTIONS.sub("", given.get("options", "")).strip()
        return {name: value for name, value in given.items() if value}


class Direct(Session):
    """To a session of its own, as the compute's PostgreSQL has it."""

    keeps = True


class Pooled(Session):
    """Through PgBouncer: what a session was told stays with it, for whoever gets it next."""

    too_late = wire.error("08P01", "query_wait_timeout")

    def _check(self, start: wire.Start) -> None:
        super()._check(start)
        for name, value in self.parameters(start).items():
            if name == "options":
                found = re.search(r"(?:-c\s*|--)([\w.]+)=", value)
                words = f"in options: {found[1] if found else value}"
                raise Refusal("08P01", f"unsupported startup parameter {words}", words)
            if name.lower() not in _TRACKED:
                raise Refusal("08P01", f"unsupported startup parameter: {name}", name)
