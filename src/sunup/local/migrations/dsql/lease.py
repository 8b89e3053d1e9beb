"""The lock that all runs take on Aurora DSQL, which has no advisory locks: a row, kept alive.

A run shows every few seconds that it lives. One that has not for a minute is taken to have died,
and the lock is taken over: of two that do so at once, one meets the other at COMMIT. A run that was
only stalled finds its lock lost in the transaction that writes (`guard`), which is then undone.
"""

import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg import sql

from sunup import deadline
from sunup.connecting.credentials import CredentialSource
from sunup.failures import DatabaseUnavailable, sqlstate_of
from sunup.local.errors import CommandError
from sunup.local.opening import open_connection
from sunup.settings import Settings

from . import tables
from .conflicts import retried
from .tables import Connection
from .transaction import in_transaction

# Seconds between two signs of life; and after how many without one a run is taken to have died.
RENEWS = 10.0
EXPIRES = 60.0

# Seconds between two attempts to get the lock.
_PAUSE = 1.0

# Seconds for which a sign of life that is under way is waited for at the end, and the end itself.
_PATIENCE = 5.0

_NAME = "migrations"
_RENEW = "update sunup_runs set renewed_at = now() where run = %s"
_UNIQUE_VIOLATION = "23505"


@dataclass(frozen=True)
class Other:
    """Another run: who it is, since when, and seconds since its last sign of life."""

    run: str
    who: str
    since: str
    age: float


class LockLost(CommandError):
    """Another run has the lock, and may have gone on with what this one had begun."""


class _Taken(Exception):
    """Another run took the lock between two statements."""


class Lease:
    """The lock of one run, with a connection of its own for its signs of life."""

    def __init__(self, settings: Settings, credentials: CredentialSource | None) -> None:
        self.run = uuid.uuid4().hex
        self._who = f"{settings.user}, {socket.gethostname()}, process {os.getpid()}"
        self._open: Callable[[], Connection] = lambda: open_connection(settings, credentials)
        self._connection: Connection | None = None
        # Where sunup's tables are, for statements of a session whose search_path may be any.
        self.schema = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="sunup-lease", daemon=True)

    def take(
        self, on_wait: Callable[[Other], None], on_taken_over: Callable[[Other], None]
    ) -> None:
        """Wait for the lock, and take it; `on_wait` is called once if another run lives.

        Raises `DatabaseUnavailable` and what psycopg raises.
        """
        tables.create(self._connected())
        self.schema = tables.schema_of(self._connected())
        told = False
        while True:
            connection = self._connected()
            try:
                other, mine = in_transaction(connection, partial(self._try, connection))
            except (psycopg.Error, _Taken) as error:
                # Another run took it at the same time; or the connection was as old as one may be,
                # and whose the lock is now is asked on the next one.
                taken = isinstance(error, _Taken) or sqlstate_of(error) == _UNIQUE_VIOLATION
                if not taken and not connection.closed:
                    raise
                other, mine = None, False
            if mine:
                if other is not None:
                    on_taken_over(other)
                self._thread.start()
                return
            if other is not None and not told:
                on_wait(other)
                told = True
            time.sleep(_PAUSE * random.uniform(0.5, 1.5))  # noqa: S311

    def guard(self, connection: Connection) -> None:
        """Make the transaction of `connection` fail at COMMIT if the lock is lost by then.

        FOR UPDATE is judged at COMMIT there (Aurora DSQL User Guide, "Concurrency control"). Raises
        `LockLost` where it is lost already.
        """
        row = connection.execute(
            sql.SQL("select run from {} where name = %s for update").format(
                sql.Identifier(self.schema, tables.LOCK)
            ),
            (_NAME,),
        ).fetchone()
        if row is None or row[0] != self.run:
            raise LockLost(
                f"this run gave no sign of life for {EXPIRES:.0f} s, and another one took over",
                "It has stopped. sunup migrate status shows what is applied.",
            )

    def give_back(self) -> None:
        """End the lock, or let it expire where the database cannot be reached."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE)
        if self._connection is None:
            return
        failures = (psycopg.Error, DatabaseUnavailable, deadline.DeadlineExceeded)
        with suppress(*failures), deadline.within(_PATIENCE):
            # That a connection has ended shows when it is used.
            with suppress(psycopg.Error):
                self._connected().execute("select 1")
            connection = self._connected()
            in_transaction(connection, partial(self._delete, connection))
        self._connection.close()

    def _delete(self, connection: Connection) -> None:
        connection.execute("delete from sunup_lock where name = %s and run = %s", (_NAME, self.run))
        connection.execute("delete from sunup_runs where run = %s", (self.run,))

    def _try(self, connection: Connection) -> tuple[Other | None, bool]:
        """The run that has or had the lock, and whether it is ours now; in a transaction."""
        row = connection.execute("select run from sunup_lock where name = %s", (_NAME,)).fetchone()
        if row is not None and row[0] == self.run:
            return None, True  # the answer was lost
        other = None if row is None else _described(connection, str(row[0]))
        if other is not None and other.age < EXPIRES:
            return other, False
        connection.execute(
            "insert into sunup_runs (run, who) values (%s, %s)", (self.run, self._who)
        )
        if other is None:
            connection.execute(
                "insert into sunup_lock (name, run) values (%s, %s)", (_NAME, self.run)
            )
            return None, True
        connection.execute("delete from sunup_runs where run = %s", (other.run,))
        taken = connection.execute(
            "update sunup_lock set run = %s where name = %s and run = %s",
            (self.run, _NAME, other.run),
        )
        if taken.rowcount != 1:
            raise _Taken
        return other, True

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = self._open()
            self._connection.autocommit = True
        return self._connection

    def _renew(self) -> None:
        while not self._ended.wait(RENEWS):
            # Whoever writes finds out what became of the lock.
            with suppress(psycopg.Error, DatabaseUnavailable):
                connection = self._connected()
                # Each change of the schema, the run's own, too, makes the next statement fail once.
                retried(partial(connection.execute, _RENEW, (self.run,)))


def _described(connection: Connection, run: str) -> Other:
    row = connection.execute(
        "select who, to_char(since at time zone 'UTC', 'HH24:MI:SS'),"
        " extract(epoch from now() - renewed_at)::float8 from sunup_runs where run = %s",
        (run,),
    ).fetchone()
    if row is None:
        return Other(run, "unknown", "", EXPIRES)
    return Other(run, str(row[0]), f"{row[1]} UTC", float(str(row[2])))
