"""State that belongs to one process and must not be shared with a forked child.

Lambda Managed Instances run several processes in one sandbox, and pre-forking servers fork after
the app's import: a socket that two processes use is a broken connection for both.
"""

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Local(Generic[T]):
    """A value made anew in each process that asks for it."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._pid: int | None = None
        self._value: T
        # Kept alive: a collected connection would say goodbye on the parent's socket.
        self._inherited: list[T] = []

    def get(self) -> T:
        """This process's value."""
        if self._pid != os.getpid():
            if self._pid is not None:
                self._inherited.append(self._value)
            self._value = self._make()
            self._pid = os.getpid()
        return self._value
