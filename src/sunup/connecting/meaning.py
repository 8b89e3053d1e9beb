"""What a driver's exception means: which failure, and whether its statement was executed.

What PostgreSQL says by SQLSTATE is here; what is particular to a driver is in the driver's room.
"""

import re
from collections.abc import Collection

from sunup.failures import (
    AccessRefused,
    ConnectionLost,
    ConnectionsThrottled,
    DatabaseFull,
    DatabaseMissing,
    DatabaseReadOnly,
    DatabaseResuming,
    DatabaseUnavailable,
    DatabaseUnreachable,
    PasswordRefused,
    TokenRefused,
    hint_of,
    plain_text,
    sqlstate_of,
)

_BY_SQLSTATE: dict[str | None, type[DatabaseUnavailable]] = {
    "53300": DatabaseFull,
    "53400": ConnectionsThrottled,
    "57P03": DatabaseResuming,
    "28P01": PasswordRefused,
    "28000": AccessRefused,
    "42501": AccessRefused,
    "3D000": DatabaseMissing,
}

# The server ended the session; class 08 is a connection's exception.
_LOST_SQLSTATES = {"57P01", "57P02", "57P05"}
# idle_session_timeout: the server was waiting for a statement, so none was executed.
_NOTHING_EXECUTED_SQLSTATES = {"57P05"}

# What Aurora DSQL says when it takes no connection (SQLSTATE 08006 or none), behind "unable to
# accept connection, ": its User Guide, "Troubleshooting", and what others have recorded.
_DSQL_REFUSES = "unable to accept connection, "
_DSQL_TEXTS: "Texts" = (
    (r"waking up cluster", DatabaseResuming),
    (r"rate exceeded", ConnectionsThrottled),
    (r"too many open connections", DatabaseFull),
    (r"access denied", TokenRefused),
)
# The only reason of a refused token that passes (awslabs/agent-plugins, "dsql": retry once).
_PASSING_HINT = "Signature expired"

# RDS Proxy's words (RDS User Guide, "Troubleshooting for RDS Proxy"; with which SQLSTATE is not
# documented).
_PROXY_REFUSES = "IAM authentication failed"
# RDS Proxy's and PgBouncer's: who got no session of the database in time had nothing executed.
_NO_SESSION = r"Timed-out waiting to acquire database connection|query_wait_timeout"

_DSQL_CURE = (
    "Aurora DSQL names the reason. `not authorized`: the IAM policy does not allow dsql:DbConnect "
    "(for the user admin: dsql:DbConnectAdmin) on the cluster's ARN, or DB_USER is not this IAM "
    "role's: AWS IAM GRANT <user> TO '<the role's ARN>', which `sunup database create` does. "
    "`Signature expired`: this machine's clock is off."
)

# What Aurora DSQL says to a client that was set up for another server.
_OF_ANOTHER_ENGINE = (
    (
        "setting configuration parameter",
        "A server that takes no such setting is Aurora DSQL: set DB_ENGINE=dsql.",
    ),
    (
        "sni was not received",
        "Aurora DSQL knows a cluster by its name: DB_HOST must be the cluster's endpoint.",
    ),
)

Texts = tuple[tuple[str, type[DatabaseUnavailable]], ...]


class Meaning:
    """The meanings of one driver's exceptions.

    `package` is where they are defined. `texts` are patterns of messages that come without an
    SQLSTATE when connecting fails, the first match wins. `unsent` names the exceptions which say
    that the statement never began, `broken` those after which the connection is useless.
    """

    def __init__(
        self,
        package: str,
        *,
        texts: Texts,
        unsent: Collection[str] = (),
        broken: Collection[str] = (),
    ) -> None:
        self._package = package
        self._texts = texts
        self._unsent = frozenset(unsent)
        self._broken = frozenset(broken)

    def while_connecting(self, error: BaseException) -> DatabaseUnavailable | None:
        """What a failed attempt to connect means; None when it is not the database's (a bug)."""
        if isinstance(error, DatabaseUnavailable):
            return error
        detail = plain_text(error)
        state = sqlstate_of(error)
        for words, cure in _OF_ANOTHER_ENGINE:
            if words in detail.lower():
                failure = AccessRefused(detail)
                failure.cure = cure  # type: ignore[misc]
                return failure
        if _DSQL_REFUSES in detail.lower():
            return _refused_by_dsql(detail, hint_of(error))
        if (
            state is not None
            and state[:2] == "28"
            and ("PAM" in detail or _PROXY_REFUSES in detail)
        ):
            return TokenRefused(detail)
        if re.search(_NO_SESSION, detail):
            return DatabaseFull(detail)
        if state in _BY_SQLSTATE:
            return _BY_SQLSTATE[state](detail)
        if isinstance(error, TimeoutError):
            return DatabaseResuming("no answer to the connection attempt")
        if not self._is_database_s(error):
            return None
        for pattern, meaning in self._texts:
            if re.search(pattern, detail):
                return meaning(detail)
        return DatabaseUnreachable(detail)

    def while_using(self, error: BaseException, *, closed: bool) -> DatabaseUnavailable | None:
        """What an exception raised while a connection was in use means; None: the app's own.

        `closed` says whether the driver found the connection dead.
        """
        state = sqlstate_of(error)
        if state is None and error.__context__ is not None:
            # A rollback on the dead connection hides what the server said.
            state = sqlstate_of(error.__context__)
        if is_uncertain(error):
            return ConnectionLost(plain_text(error))
        if state == "25006":
            return DatabaseReadOnly(plain_text(error))
        lost = state is not None and (state in _LOST_SQLSTATES or state[:2] == "08")
        lost = lost or (type(error).__name__ in self._broken and self._is_driver_s(error))
        if lost or (closed and self._is_database_s(error)):
            failure = ConnectionLost(plain_text(error))
            failure.nothing_executed = (
                self.was_not_executed(error) or state in _NOTHING_EXECUTED_SQLSTATES
            )
            return failure
        return None

    def was_not_executed(self, error: BaseException) -> bool:
        """Whether the statement never began, although the connection is lost."""
        if self._is_driver_s(error) and re.search(_NO_SESSION, str(error)):
            return True
        return (type(error).__name__ in self._unsent and self._is_driver_s(error)) or sqlstate_of(
            error
        ) in _NOTHING_EXECUTED_SQLSTATES

    def _is_database_s(self, error: BaseException) -> bool:
        return isinstance(error, OSError) or self._is_driver_s(error)

    def _is_driver_s(self, error: BaseException) -> bool:
        return type(error).__module__.split(".")[0] == self._package


def is_uncertain(error: BaseException) -> bool:
    """Whether an answer of the server's does not tell what became of a COMMIT.

    Aurora DSQL's "server unavailable" (its User Guide, "Troubleshooting"): the transaction might
    have been committed.
    """
    return sqlstate_of(error) == "XX000" and "server unavailable" in str(error)


def _refused_by_dsql(detail: str, hint: str) -> DatabaseUnavailable:
    found = [kind for pattern, kind in _DSQL_TEXTS if re.search(pattern, detail, re.IGNORECASE)]
    kind = found[0] if found else AccessRefused
    failure = kind(f"{detail} ({hint})" if hint else detail)
    if isinstance(failure, TokenRefused):
        # Of this one: what Aurora may mean does not apply.
        failure.cure = _DSQL_CURE  # type: ignore[misc]
        if _PASSING_HINT not in hint:
            failure.patience = 0.0  # type: ignore[misc]
    return failure
