"""A transaction that is run again, where the server has refused it for what others did meanwhile.

No input or output here, and no waiting: the drivers' `Database.run` does both.
"""

import random
import time

from sunup import deadline, request
from sunup.deadline import DeadlineExceeded
from sunup.failures import (
    ConnectionLost,
    ConnectionsBusy,
    DatabaseResuming,
    TransactionConflict,
    plain_text,
    sqlstate_of,
)

from .waking import LONGEST_WAIT

# serialization_failure (on Aurora DSQL each conflict, OC000, and a changed schema, OC001),
# deadlock_detected: PostgreSQL, "Serialization Failure Handling".
AGAIN = frozenset(("40001", "40P01"))

# asyncpg's, after a migration: outside of a transaction it prepares the statement again itself.
_OUTDATED = ("InvalidCachedStatementError", "OutdatedSchemaCacheError")

# The same, as psycopg passes it on (PostgreSQL, plancache.c).
_OUTDATED_PLAN = "cached plan must not change result type"

# Seconds of the first pause, at most; each one may be twice as long. The pauses are random: those
# who met would meet again.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 1.0

# Seconds that have to be left for another run.
_RESERVE = 0.05


class Retries:
    """Of one piece of work, which has begun at `began` (seconds since the epoch).

    `doubtful` is what the request may have executed until then (`request.doubts`).
    """

    def __init__(self, began: float, doubtful: object) -> None:
        self._began = began
        self._end = min(began + LONGEST_WAIT, time.time() + deadline.remaining())
        self._runs = 0
        self._doubtful = doubtful
        self._conflict: BaseException | None = None
        self._refusals = 0

    def ended_well(self) -> None:
        """What a run met that was got over is not the request's failure any more."""
        if self._runs:
            request.note_failure(None)

    def pause_after(
        self, error: BaseException, *, broken: bool = False, sent: bool = True
    ) -> float | None:
        """Seconds to wait before the next run; None: `error` is not about others.

        `broken`: the run's own connection is. `sent`: its COMMIT may have been. Raises
        `TransactionConflict` where there is no time for another run.
        """
        self._runs += 1
        doubtful = request.doubts() != self._doubtful
        broken = (
            broken
            and not doubtful
            and any(
                isinstance(each, ConnectionLost) and (each.nothing_executed or not sent)
                for each in (error, error.__cause__)
            )
        )
        now = time.time()
        left = self._end - now - _RESERVE
        if refused_for_others(error):
            self._conflict = error
            self._refusals += 1
        elif (
            self._conflict is not None
            and left <= 0
            and isinstance(error, (DatabaseResuming, ConnectionsBusy, DeadlineExceeded))
            and not (sent or doubtful)
        ):
            # The run that there was no time for is not why the work was not done.
            error = self._conflict
        elif not broken:
            return None
        ceiling = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._runs, 10), left)
        pause = random.uniform(0, max(0.0, ceiling))  # noqa: S311  # jitter, not a secret
        if left <= 0:
            if broken or not _is_direct(error):
                return None
            often = "once" if self._refusals == 1 else f"{self._refusals} times"
            conflict = TransactionConflict(
                f"refused {often} in {now - self._began:.1f} s: {plain_text(error)}"
            )
            request.note_failure(conflict)
            raise conflict from error
        current = request.active()
        if current is not None:
            current.retries += 1
        return pause


def note_conflict(error: Exception) -> None:
    """Have the request answered with 503, where the app lets a conflict pass.

    That is unless something else was executed, or the app's database works again.
    """
    if refused_for_others(error):
        request.note_failure(TransactionConflict(plain_text(error)), error)


def _is_direct(error: BaseException) -> bool:
    """Whether it is the driver's or a library's word, and not what the app has made of it."""
    library = type(error).__module__.partition(".")[0] in ("sqlalchemy", "django")
    return library or sqlstate_of(error) is not None


def refused_for_others(error: BaseException) -> bool:
    """Whether the same transaction, run again, may succeed: it has left nothing behind."""
    ahead: list[object] = [error]
    while ahead:
        each = ahead.pop()
        if not isinstance(each, BaseException):
            continue
        if isinstance(each, TransactionConflict):
            return True
        state = sqlstate_of(each)
        if state in AGAIN or type(each).__name__ in _OUTDATED:
            return True
        if state == "0A000" and _OUTDATED_PLAN in str(each):
            return True
        # Not its context: that may be an older failure, which the caller is just handling.
        members = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        ahead += [each.__cause__, *members]
    return False
