"""A small PostgreSQL that may be killed in each way there is, and comes back within a second."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from sunup.local import servers
from sunup.local.postgres import folder, watcher

from .processes import gone, kill, kill_all, working_in

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "autovacuum": "off",
    "recovery_init_sync_method": "syncfs",
    "min_wal_size": "32MB",
    "wal_keep_size": "64MB",
    "wal_retrieve_retry_interval": "100ms",
    # A COMMIT's record is written this long (microseconds) before it is flushed, so that a kill can
    # come in between.
    "commit_delay": "3000",
    "commit_siblings": "0",
}
# Seconds.
_PATIENCE = 30.0
_POLL = 0.01


class Cluster:
    """One server on a data folder of its own; its Unix socket is beside it."""

    def __init__(self, data: Path, settings: dict[str, str] | None = None) -> None:
        self.data = data
        self.binaries = servers.find()
        # Not in the data: a standby's are a copy of these.
        self.host = data.with_suffix(".socket")
        watcher.make_own(str(self.host), folder.account())
        self.settings = settings or {}
        self._postmaster: subprocess.Popen[bytes] | None = None
        # Held while it is brought down and up again: one fault of the whole server at a time.
        self.busy = threading.Lock()

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.host / ".s.PGSQL.5432"

    def make(self) -> None:
        """Make the data."""
        made = folder.prepare(self.data, self.binaries)
        self.run(
            *("initdb", f"--pgdata={made}", "--username=postgres", "--auth=trust"),
            *("--encoding=UTF8", "--no-sync", "--no-instructions", "--wal-segsize=1"),
            *self.binaries.initdb_options,
        )
        made.rename(self.data)

    def run(self, name: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as the server's user."""
        subprocess.run(
            [str(self.binaries.folder / name), *arguments],
            check=True,
            capture_output=True,
            cwd="/",
            **folder.account(),
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = SETTINGS | {"unix_socket_directories": str(self.host)} | self.settings
        pairs = [f"{name}={value}" for name, value in settings.items()]
        with self.data.with_suffix(".log").open("ab") as log:
            self._postmaster = subprocess.Popen(
                [
                    *(str(self.binaries.folder / "postgres"), "-D", str(self.data)),
                    *(each for pair in pairs for each in ("-c", pair)),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
                **folder.account(),
            )
        self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                if time.monotonic() > end or self._process.poll() is not None:
                    raise
                time.sleep(_POLL)
            else:
                return

    def connect(self) -> "psycopg.Connection[tuple[Any, ...]]":
        """A connection that no fault is aimed at."""
        return psycopg.connect(
            host=str(self.host), user="postgres", dbname="postgres", autocommit=True
        )

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own."""
        with self.connect() as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def backends(self) -> list[int]:
        """The processes that serve clients."""
        found = []
        for child in working_in(self.data):
            with suppress(psutil.Error):
                if "[local]" in " ".join(child.cmdline()):
                    found.append(child.pid)
        return found

    def kill_backend(self, pid: int) -> None:
        """SIGKILL; the postmaster ends all the others, and recovers as from a crash."""
        kill(pid)
        time.sleep(0.1)
        self.wait()

    def kill_postmaster(self) -> None:
        """SIGKILL for it alone: the others end when they notice. Then start anew."""
        kill(self._process.pid)
        self._process.wait()
        left = working_in(self.data)
        if not gone(left):
            kill_all(left)
        self.start()

    def kill_all(self, first: int = 0) -> None:
        """SIGKILL for each of its processes; for this one without any delay."""
        if first:
            kill(first)
        kill(self._process.pid)
        kill_all(working_in(self.data))
        self._process.wait()

    def crash(self, first: int = 0) -> None:
        """All killed at once, and started anew."""
        self.kill_all(first)
        self.start()

    def restart(self) -> None:
        """A fast restart: transactions are rolled back, sessions ended."""
        self.stop()
        self.start()

    def terminate(self, pid: int) -> None:
        """As an administrator ends one session."""
        with suppress(psycopg.OperationalError):
            self.rows(f"select pg_terminate_backend({pid})")

    def stop(self) -> None:
        """Fast shutdown; nothing where it does not run."""
        if self._postmaster is not None and self._postmaster.poll() is None:
            self._postmaster.send_signal(signal.SIGINT)
            self._postmaster.wait(_PATIENCE)

    def alone(self, what: Callable[[], None]) -> bool:
        """Do this to the whole server; False: somebody else is doing something to it."""
        if not self.busy.acquire(blocking=False):
            return False
        try:
            what()
        finally:
            self.busy.release()
        return True

    @property
    def _process(self) -> "subprocess.Popen[bytes]":
        assert self._postmaster is not None
        return self._postmaster
