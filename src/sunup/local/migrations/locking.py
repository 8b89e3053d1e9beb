"""Locks of migrations: one run at a time, and no traffic that waits behind a waiting ALTER."""

import random
import time
from collections.abc import Callable

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sunup.failures import sqlstate_of

# One number for all apps: PostgreSQL keeps advisory locks apart by database. "sunup" in ASCII.
_LOCK = int.from_bytes(b"sunup", "big")

# Seconds between two attempts to be the one run.
_PAUSE = 0.5

# Seconds that a statement may wait for a table: whatever comes later waits behind it.
PATIENCE = 3

# Seconds in which a migration is tried again.
_LONGEST = 60.0

# lock_not_available, deadlock_detected: they pass.
_PASSING = {"55P03", "40P01"}

_OPEN_TRANSACTIONS = """
    select pid, coalesce(application_name, '') as name, coalesce(state, '') as state,
           extract(epoch from now() - xact_start)::int as seconds
    from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
      and now() - xact_start > interval '1 s'
    order by xact_start limit 3
"""


def be_the_only_one(connection: Connection, on_wait: Callable[[], None]) -> None:
    """Take the lock that all runs take; it ends with the session, however this process ends.

    It is asked for again and again, each time in a transaction of its own: who waits in
    pg_advisory_lock() holds a snapshot, for which CREATE INDEX CONCURRENTLY waits, in turn.
    """
    told = False
    while not connection.scalar(text("select pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):
        connection.commit()
        if not told:
            on_wait()
            told = True
        time.sleep(_PAUSE)
    connection.commit()


def wait_for_tables(connection: Connection, seconds: int) -> None:
    """How long the session's statements wait for a lock from now on; 0: for ever."""
    connection.execute(text(f"set lock_timeout = '{int(seconds)}s'"))


class Retries:
    """Decides whether a migration that found its tables locked is tried again."""

    def __init__(self, on_retry: Callable[[str], None]) -> None:
        self._end = time.monotonic() + _LONGEST
        self._pause = 0.5
        self._on_retry = on_retry

    def again(self, error: BaseException, connection: Connection) -> bool:
        """Whether to try again; waits before it says yes. The transaction has been rolled back."""
        if not is_lock_timeout(error) or time.monotonic() + self._pause > self._end:
            return False
        self._on_retry(f"A table is in use ({blockers(connection)}); trying again")
        time.sleep(self._pause * random.uniform(0.8, 1.2))  # noqa: S311
        self._pause = min(8.0, self._pause * 2)
        return True


def is_lock_timeout(error: BaseException) -> bool:
    """Whether a statement gave up waiting for a lock."""
    return isinstance(error, DBAPIError) and sqlstate_of(error.orig or error) in _PASSING


def blockers(connection: Connection) -> str:
    """The oldest open transactions, which may hold the lock; no text of their statements."""
    rows = connection.execute(text(_OPEN_TRANSACTIONS)).all()
    connection.rollback()
    found = [
        f"pid {row.pid}{f' {row.name}' if row.name else ''}, {row.state or 'at work'}, "
        f"in a transaction for {row.seconds} s"
        for row in rows
    ]
    return "; ".join(found) or "by a transaction that has just begun"
