"""State that belongs to one process and must not be shared with a forked child.

Lambda Managed Instances run several processes in one sandbox, and pre-forking servers fork after
the app's import: a socket that two processes use is a broken connection for both.
"""

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Local(Generic[T]):
    """A value made once in each process that asks for it, whichever of its threads asks."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        # With the process that made it, so that no thread sees one without the other.
        self._made: tuple[int, T] | None = None
        # By process: a fork may find the parent's lock held by a thread that the child lacks.
        # Reentrant: a signal's handler may ask while its own thread makes the value.
        self._locks: dict[int, threading.RLock] = {}
        # Kept alive: a collected connection would say goodbye on the parent's socket.
        self._inherited: list[T] = []

    def get(self) -> T:
        """This process's value."""
        pid = os.getpid()
        made = self._made
        if made is not None and made[0] == pid:
            return made[1]
        with self._locks.setdefault(pid, threading.RLock()):
            before = self._made
            if before is not None and before[0] == pid:
                return before[1]
            made = (pid, self._make())
            if self._made is not None and self._made is not before:
                return self._made[1]  # the handler's
            if before is not None:
                self._inherited.append(before[1])
            self._made = made
            return made[1]
