"""Who uses a server: the kernel counts them, so that whoever is killed does not count.

Two files lie beside the data. Each user holds a shared lock (flock) on the one; `watcher.py`, which
runs the server, holds the other, and waits to be alone on the first.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .failure import PostgresFailed

# Seconds that a server may take to stop: longer than the watcher's patience with it.
_STOP_TIMEOUT = 25.0
_POLL = 0.01


@dataclass(frozen=True)
class Place:
    """Where a server's data are, and what lies beside them."""

    data: Path

    @property
    def users(self) -> Path:
        """Locked by each user."""
        return self.data.with_name(f"{self.data.name}.users")

    @property
    def lock(self) -> Path:
        """Locked while a server runs, or begins to."""
        return self.data.with_name(f"{self.data.name}.lock")

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.data.with_name(f"{self.data.name}.log")


@contextmanager
def using(place: Place, *, alone: bool = False) -> Iterator[None]:
    """Be one of the users until the block ends; the last one waits until the server is gone.

    `alone`: nobody else can know of it, so it ends although a forked process still runs. Raises
    `PostgresFailed` and `OSError`.
    """
    users, owner = _join(place), os.getpid()
    try:
        yield
    finally:
        # A forked process counts as long as it lives, and does not speak for its parent.
        if os.getpid() == owner:
            if alone:
                fcntl.flock(users, fcntl.LOCK_UN)
            users.close()
            _wait_if_last(place)


def _join(place: Place) -> IO[bytes]:
    end = time.monotonic() + _STOP_TIMEOUT
    while True:
        file = place.users.open("ab")
        if _locked(file, fcntl.LOCK_SH) and _is_at(file, place.users):
            return file
        file.close()  # a server ends here, and will be started again
        if time.monotonic() > end:
            raise PostgresFailed(f"the server on {place.data} does not end")
        time.sleep(_POLL)


def to_start(place: Place) -> IO[bytes] | None:
    """The lock of who starts the server and then runs it; nothing where another has it."""
    with place.lock.open("ab") as opened:
        # Not 0 to 2, where those are closed: it is inherited, and there the heir has its own.
        file = os.fdopen(fcntl.fcntl(opened.fileno(), fcntl.F_DUPFD_CLOEXEC, 3), "ab")
    if _locked(file, fcntl.LOCK_EX) and _is_at(file, place.lock):
        return file
    file.close()
    return None


def _wait_if_last(place: Place) -> None:
    end = time.monotonic() + _STOP_TIMEOUT
    while time.monotonic() < end and _is_locked(place.lock) and not _has_users(place):
        time.sleep(_POLL)


def _has_users(place: Place) -> bool:
    """Whether others may share its lock, and do: a watcher has it alone."""
    try:
        with place.users.open("ab") as file:
            return not _locked(file, fcntl.LOCK_EX) and _locked(file, fcntl.LOCK_SH)
    except OSError:
        return False


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return not _locked(file, fcntl.LOCK_SH)
    except OSError:
        return False


def _locked(file: IO[bytes], how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether it is still there: its folder may have been removed, and made again."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
