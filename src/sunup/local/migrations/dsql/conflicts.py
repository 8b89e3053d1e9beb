"""What Aurora DSQL refuses at COMMIT because of another transaction, done again."""

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

from sunup.failures import sqlstate_of

Result = TypeVar("Result")

# serialization_failure: OC000 (another transaction changed the same) and OC001 (the catalogue was
# changed; the next attempt knows it). Aurora DSQL User Guide, "Concurrency control".
CONFLICT = "40001"
_OF_CATALOGUE = "(OC001)"

# `server unavailable`: at COMMIT it may have been executed (Aurora DSQL User Guide,
# "Troubleshooting"); transaction_resolution_unknown, statement_completion_unknown.
_UNCERTAIN = {"XX000", "08007", "40003"}

# Seconds in which a transaction is tried again, and between two attempts.
_LONGEST = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 2.0


def is_conflict(error: BaseException) -> bool:
    """Whether the server rolled a transaction back because of another one."""
    return sqlstate_of(error) == CONFLICT


def is_uncertain(error: BaseException, connection: "psycopg.Connection[Any]") -> bool:
    """Whether nobody knows what became of a statement that ended with `error`."""
    return connection.closed or sqlstate_of(error) in _UNCERTAIN


def retried(work: Callable[[], Result]) -> Result:
    """Do `work`, a whole transaction, until it meets no other one.

    Not again after any other error: after a lost connection nobody knows whether it was done.
    Raises what `work` raises, a conflict that does not end within a minute as well.
    """
    ends = time.monotonic() + _LONGEST
    pause = _FIRST_PAUSE
    while True:
        try:
            return work()
        except psycopg.Error as error:
            if not is_conflict(error) or time.monotonic() + pause > ends:
                raise
            # A session learns of a change of the catalogue by this error: soon, before the next.
            pause = _FIRST_PAUSE if _OF_CATALOGUE in str(error) else min(_LONGEST_PAUSE, pause * 2)
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
