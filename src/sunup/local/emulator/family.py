"""A sandbox's processes: the one that was started and all that came from it."""

import asyncio
import os
import signal
import time
from contextlib import suppress

import psutil

from .limits import ProcessorShare

# Seconds in which killed processes are gone.
_LONGEST = 2.0

# How often nobody must be found.
_SURE = 3


class Family:
    """The process `pid`, the leader of its own group, and its children, grandchildren and so on.

    A child may be in a session of its own, or outlive its parent. Where cgroups can be written the
    group knows them all. Elsewhere a child is known by its parents, and by `mark`, a text in the
    environment that it inherited: one that has neither any more is not found.
    """

    def __init__(self, pid: int, share: ProcessorShare, mark: str) -> None:
        self._pid = pid
        self._share = share
        self._mark = mark

    def signal(self, number: int) -> None:
        """Send a signal to all that are quickly found. Raises `ProcessLookupError` without any."""
        others = [pid for pid in self._share.pids() if pid != self._pid]
        for pid in others:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        os.killpg(self._pid, number)

    async def kill(self) -> None:
        """End all of them. May take up to two seconds where they multiply."""
        end = time.monotonic() + _LONGEST
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        empty = 0
        # Once may be the moment between the end of one and the beginning of the next.
        while empty < _SURE and time.monotonic() < end:
            left = self._everybody()
            empty = 0 if left else empty + 1
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.002)

    def _everybody(self) -> list[int]:
        """All but the first: that one is a child of ours, and a zombie until it is asked about."""
        found = self._share.pids() if self._share.available else self._marked()
        return [pid for pid in found if pid != self._pid and not _is_zombie(pid)]

    def _marked(self) -> list[int]:
        found = []
        with suppress(psutil.Error):
            found = [each.pid for each in psutil.Process(self._pid).children(recursive=True)]
        for each in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if self._mark in each.environ().get("AWS_LAMBDA_LOG_STREAM_NAME", ""):
                    found.append(each.pid)
        return found


def ended(status: int) -> str:
    """In the words of Lambda's own log lines; a negative `status` is a signal's number."""
    if status == 0:
        return "Runtime exited without providing a reason"
    if status > 0:
        return f"Runtime exited with error: exit status {status}"
    # Go's os/exec, in which Lambda's supervisor is written: strsignal's words, in small letters.
    words = signal.strsignal(-status) or f"signal {-status}"
    return f"Runtime exited with error: signal: {words.lower()}"


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except (psutil.Error, OSError):
        return True
