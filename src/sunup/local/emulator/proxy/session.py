"""One client of the emulated RDS Proxy.

The words: RDS User Guide, "Troubleshooting for RDS Proxy"; their SQLSTATEs are documented nowhere:
0A000 was seen by several, the others are the emulator's choice.
"""

from .. import wire
from ..dsql.messages import Message
from ..line import Line
from ..opening import Refusal
from ..options import RdsProxyOptions
from ..pooling.pool import Pool
from ..pooling.session import PooledSession, Pumps
from ..session import Server
from .pinning import reason_of

# Sent by drivers that are known to work. `statement_timeout` and `ssl_renegotiation_limit` were
# seen to be refused.
_TAKEN = {
    *("user", "database", "client_encoding", "application_name"),
    *("datestyle", "timezone", "extra_float_digits"),
}

_UNSUPPORTED = "Feature not supported: RDS Proxy "


class Session(PooledSession):
    """From the client's first byte to its last."""

    too_late = wire.error("08000", "Timed-out waiting to acquire database connection.")

    def __init__(self, server: Server, client: Line, pool: Pool, pumps: Pumps) -> None:
        super().__init__(server, client, pool, pumps)
        assert isinstance(server.options, RdsProxyOptions)
        self.idle_timeout = server.options.idle_timeout

    def judge(self, message: Message) -> str | None:
        """Why the session is pinned by a message, if it is."""
        return reason_of(message)

    def _check(self, start: wire.Start) -> None:
        if self._client.tls is None:
            raise Refusal("28000", "This RDS Proxy requires TLS connections.")
        if not start.user:
            words = "A user name is missing from the connection startup packet. "
            raise Refusal("28000", f"{words}Provide a user name for this connection.")
        for name, value in start.parameters.items():
            if name == "options" and value:
                raise _refused("currently doesn’t support command-line options.")
            if name == "replication" and value:
                raise _refused("currently doesn’t support streaming replication mode.")
            if name.lower() not in (*_TAKEN, "options") and not name.startswith("_pq_."):
                raise _refused(f"currently doesn’t support the option {name}.")

    async def _authenticate(self, user: str, token: str) -> None:
        server = self._server
        reason = self._against(user, token)
        if reason is not None:
            words = f"The IAM authentication failed for the role {user}. "
            raise Refusal(
                "28000", f"{words}Check the IAM token for this role and try again.", reason
            )
        if not await server.may_use_tokens(user):
            words = f"This RDS proxy has no credentials for the role {user}. "
            raise Refusal(
                "28000",
                f"{words}Check the credentials for this role and try again.",
                "the role does not exist, cannot log in, or lacks rds_iam",
            )

    async def _cancel(self, start: wire.Start) -> None:
        """Nothing: "RDS Proxy doesn't currently support canceling a query" (limitations)."""


def _refused(words: str) -> Refusal:
    return Refusal("0A000", _UNSUPPORTED + words, words)
