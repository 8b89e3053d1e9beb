"""The lock of a psycopg connection, whose wait ends at the deadline."""

import threading
from collections.abc import Callable

import psycopg

from sunup import deadline


class Lock:
    """psycopg's lock of a connection, whose wait ends at the deadline.

    A thread that would wait for itself gets an error: a generator of the connection's, such as
    `cursor.stream()`, holds the lock until it is closed.
    """

    def __init__(self, patience: Callable[[], float]) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._owner: int | None = None

    def __enter__(self) -> None:
        me = threading.get_ident()
        if not self._lock.acquire(blocking=False):
            if self._owner == me:
                raise psycopg.ProgrammingError(
                    "a stream(), copy() or notifies() of this connection is still open: close it"
                )
            in_time = deadline.remaining() > 0
            if not self._lock.acquire(timeout=self._patience()):
                raise deadline.DeadlineExceeded("another thread uses the connection")
            if in_time and deadline.remaining() <= 0:
                # The other one ended at the deadline, too: its transaction has failed.
                self._lock.release()
                raise deadline.DeadlineExceeded("another thread used the connection")
        self._owner = me

    def __exit__(self, *_: object) -> None:
        self._owner = None
        self._lock.release()

    def locked(self) -> bool:
        """Whether somebody uses the connection."""
        return self._lock.locked()
