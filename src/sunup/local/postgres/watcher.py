"""Runs a server, and stops it when the last process that uses it has ended, however it ended.

A script with the standard library only: `python watcher.py DATA`, and on its standard input what
`Plan` says, as JSON. It is nobody's child. The kernel gives it the lock on the users' file when no
user is left; its own lock, which it inherits, says for as long as it lives that the server does.
"""

import errno
import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypedDict

# Seconds after which a server that should stop is told more firmly.
_STOP_TIMEOUT = 10.0
_POLL = 0.05


class Plan(TypedDict):
    """What to do; relative paths are in the folder of the data, which may be moved meanwhile."""

    folder: str  # where the data is
    users: str
    lock: int  # the file descriptor of the lock that is inherited
    account: dict[str, Any]  # whose the server is: subprocess's arguments
    initdb: list[str]  # nothing where there is data
    made: str  # where initdb makes the data, which are then moved to `data`
    data: str
    server: list[str]
    socket: str  # a folder, made for the server's socket and removed at the end; else nothing
    pid: int  # of a server whose watcher was killed; else 0
    note: str  # a file, removed at the end where its `users` are these
    thrown: str  # a folder, removed at the end with all that is in it; else nothing


class _Process(Protocol):
    def send_signal(self, sig: int, /) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...


class _Adopted:
    """A process of somebody else's."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def send_signal(self, sig: int, /) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._pid, sig)

    def wait(self, timeout: float | None = None) -> int:
        end = None if timeout is None else time.monotonic() + timeout
        while not self._has_ended():
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired([], timeout or 0)
            time.sleep(_POLL)
        return 0

    def _has_ended(self) -> bool:
        try:
            os.kill(self._pid, 0)
            text = Path(f"/proc/{self._pid}/stat").read_text(encoding="utf-8", errors="replace")
        except ProcessLookupError:
            return True
        except OSError:
            return False  # there is no /proc
        # A zombie: the first process of a container may reap late, or never.
        return text.rpartition(")")[2].split()[0] == "Z"


class _Group:
    """`initdb` with its children, which would go on writing: it is killed, not stopped."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def send_signal(self, _: int, /) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        return self._process.wait(timeout)


class Watcher:
    """One server, from its start to its end."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lock = threading.Lock()
        self._running: _Process | None = None
        self._ending = threading.Event()

    def run(self) -> None:
        """Make the data where there are none, run the server, and clean up after it.

        One that did not start leaves its words to its users.
        """
        plan = self._plan
        try:
            if plan["pid"]:
                self._wait(lambda: _Adopted(plan["pid"]))
            elif self._made():
                if plan["socket"]:
                    make_own(plan["socket"], plan["account"])
                self._wait(lambda: self._start(plan["server"]))
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            sys.stderr.write(f"FATAL:  {where}{error.strerror or error}\n")
        finally:
            self._clean()

    def end(self) -> None:
        """Fast shutdown (SIGINT), then immediate (SIGQUIT), as in the PostgreSQL manual."""
        with self._lock:
            self._ending.set()
            running = self._running
        if running is None:
            return
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            running.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                running.wait(_STOP_TIMEOUT)
                return

    def _made(self) -> bool:
        plan = self._plan
        if not plan["initdb"]:
            return True
        status = self._wait(lambda: _Group(self._start(plan["initdb"])))
        if status == 0:
            Path(plan["made"]).replace(plan["data"])
        return status == 0

    def _wait(self, start: Callable[[], _Process]) -> int:
        with self._lock:
            if self._ending.is_set():
                return 1
            running = self._running = start()
        status = running.wait()
        with self._lock:
            self._running = None  # its number may be another's from now on
        return status

    def _start(self, command: list[str]) -> "subprocess.Popen[bytes]":
        account = self._plan["account"]
        # A session of its own: Ctrl-C is not for the server.
        return subprocess.Popen(command, start_new_session=True, **account)  # noqa: S603

    def _clean(self) -> None:
        plan = self._plan
        with suppress(OSError, ValueError, LookupError, TypeError):
            note = Path(plan["note"])
            content = json.loads(note.read_text(encoding="utf-8"))
            if Path(content["users"]).samefile(plan["users"]):
                note.unlink()
        left = [plan["made"]] if plan["made"] != plan["data"] else []
        if plan["socket"] and not is_others(plan["socket"], plan["account"]):
            left.append(plan["socket"])
        for each in left:
            _remove(each)
        if plan["thrown"]:
            self._throw_away(plan["thrown"])

    def _throw_away(self, folder: str) -> None:
        """After all else: our lock is in it, and who finds it gone waits no longer."""
        if not self._ending.is_set():
            os.close(self._plan["lock"])  # a user that waits for it is told what the log says
            self._ending.wait()
        _remove(folder)


def is_others(folder: str, account: dict[str, Any]) -> bool:
    """Whether something is there that is not a folder of ours, or of the server's."""
    try:
        found = os.lstat(folder)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    ours = {os.geteuid(), account.get("user", os.geteuid())}
    return not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours


def make_own(folder: str, account: dict[str, Any]) -> None:
    """Make it for the server, or see that it is ours: another's would wait for our passwords.

    Raises `OSError`.
    """
    with suppress(FileExistsError):
        Path(folder).mkdir(mode=0o700)
    if is_others(folder, account):
        raise PermissionError(errno.EPERM, "belongs to somebody else", folder)
    if account:
        os.chown(folder, account["user"], account["group"], follow_symlinks=False)


def _remove(folder: str) -> None:
    end = time.monotonic() + _STOP_TIMEOUT
    while os.path.lexists(folder) and time.monotonic() < end:
        shutil.rmtree(folder, ignore_errors=True)  # a killed process may still have written


def main() -> None:
    """Return at once, and watch in a process of its own."""
    plan: Plan = json.load(sys.stdin)
    os.chdir(plan["folder"])
    users = os.open(plan["users"], os.O_RDWR)
    if os.fork():
        os._exit(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    watcher = Watcher(plan)

    def end() -> None:
        fcntl.flock(users, fcntl.LOCK_EX)
        watcher.end()

    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=watcher.end).start())
    threading.Thread(target=end, daemon=True).start()
    watcher.run()


if __name__ == "__main__":
    main()
