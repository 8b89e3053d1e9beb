"""Processes that are not our children any more."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

_PATIENCE, _POLL = 5.0, 0.01


def kill(pid: int) -> None:
    """SIGKILL; nothing where it has ended."""
    assert pid > 1
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def working_in(folder: Path) -> list[psutil.Process]:
    """PostgreSQL's processes on these data: whoever is their parent by now."""
    found = []
    for process in psutil.process_iter(["name"]):
        with suppress(psutil.Error, OSError):
            if process.info["name"] == "postgres" and folder.samefile(process.cwd()):
                found.append(process)
    return found


def kill_all(processes: list[psutil.Process]) -> None:
    """SIGKILL, and wait until they are gone."""
    for each in processes:
        kill(each.pid)
    gone(processes)


def gone(processes: list[psutil.Process]) -> bool:
    """Whether they have ended, within a few seconds; nobody may have reaped them."""
    end = time.monotonic() + _PATIENCE
    while any(map(_lives, processes)):
        if time.monotonic() > end:
            return False
        time.sleep(_POLL)
    return True


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
