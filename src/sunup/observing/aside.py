"""Work that may take its time, in a thread beside the request: waited for a little, then left."""

import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress

# Seconds that a request waits for it: Lambda freezes the process after the answer.
LIMIT = 0.5
# Of what has not been done: more is thrown away.
_MOST = 100

Job = tuple[Callable[[], object], threading.Event]


class Aside:
    """One thread, made when it is needed, and again in a forked child."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        # Whether the last one was not done in time: then nobody waits until it is.
        self._late = False

    def do(self, job: Callable[[], object], *, until: float | None = None) -> bool:
        """Have it done; returns whether it is. Waits at most `LIMIT`, and not beyond `until`.

        `until` is in seconds since the epoch.
        """
        if self._pid != os.getpid():
            self._jobs, self._thread, self._late = queue.SimpleQueue(), None, False
            self._pid = os.getpid()
        if self._jobs.qsize() >= _MOST:
            return False
        done = threading.Event()
        self._jobs.put((job, done))
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        limit = LIMIT if until is None else min(LIMIT, until - time.time())
        if self._late or limit <= 0:
            return done.is_set()
        self._late = not done.wait(limit)
        return not self._late

    def _work(self) -> None:
        jobs = self._jobs
        while True:
            job, done = jobs.get()
            with suppress(BaseException):  # it is somebody else's, and nobody waits
                job()
            done.set()
            self._late = self._late and not jobs.empty()
