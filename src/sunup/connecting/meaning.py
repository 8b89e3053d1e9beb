"""What a driver's exception means: which failure, and whether its statement was executed.

What PostgreSQL says by SQLSTATE is here; what is particular to a driver is in the driver's room.
"""

import re
from collections.abc import Collection

from sunup.failures import (
    AccessRefused,
    ConnectionLost,
    DatabaseFull,
    DatabaseMissing,
    DatabaseReadOnly,
    DatabaseResuming,
    DatabaseUnavailable,
    DatabaseUnreachable,
    PasswordRefused,
    TokenRefused,
    plain_text,
    sqlstate_of,
)

_BY_SQLSTATE: dict[str | None, type[DatabaseUnavailable]] = {
    "53300": DatabaseFull,
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
        if state is not None and state[:2] == "28" and "PAM" in detail:
            return TokenRefused(detail)
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
        return (type(error).__name__ in self._unsent and self._is_driver_s(error)) or sqlstate_of(
            error
        ) in _NOTHING_EXECUTED_SQLSTATES

    def _is_database_s(self, error: BaseException) -> bool:
        return isinstance(error, OSError) or self._is_driver_s(error)

    def _is_driver_s(self, error: BaseException) -> bool:
        return type(error).__module__.split(".")[0] == self._package
