"""psycopg's own connection, which knows whether it is clean."""

import socket
import time
from collections import deque
from typing import Any

import psycopg

from sunup import deadline, request
from sunup.connecting.waking import retires
from sunup.settings import Settings

from .cursor import ServerCursor
from .timed import ACTIVE, CANCELLING, IDLE, IN_TRANSACTION, Timed


class Connection(Timed):
    """A `psycopg.Connection`: opened, put right and closed by sunup's pool."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.server_cursor_factory = ServerCursor
        # The request that uses it.
        self.holder: request.Request | None = None
        # In seconds since the epoch: when it was given back; when it is too old to be handed out.
        self.rests_since = time.time()
        self.retires = deadline.NEVER
        # Lent, and resting in the other pool.
        self.spare = False
        # Taken away from its holder, whose request has ended.
        self.taken = False
        self._state: tuple[object, ...] = ()

    def begun(self, settings: Settings) -> None:
        """It has been opened: its present state is what each block begins with."""
        session = self.session
        session.engine = settings.engine
        self.retires = retires(settings)
        if session.engine.sessions:
            session.startup_timeout = session.timeout = settings.statement_timeout
        if not session.engine.prepared:
            self.prepare_threshold = None
        self._state = self._driver_state()

    def is_dead(self) -> bool:
        """Whether it is known to be closed."""
        return self.closed

    def is_spare(self) -> bool:
        """Whether another library has it, and does not use it."""
        return self.spare

    @property
    def clean(self) -> bool:
        """Whether it can be handed on as it is: by the protocol, the driver and the session."""
        return (
            self.pgconn.transaction_status == IDLE
            and self.session.clean
            and self._num_transactions == 0
            and self._tpc is None
            and not self._notifies_backlog
            and self._pipeline is None
            and self._driver_state() == self._state
        )

    def put_right(self) -> bool:
        """Make it clean, in at most `deadline.CLEANING` seconds; False: it has to be closed.

        An open transaction is rolled back, the session reset, the driver's settings put back.
        """
        session = self.session
        status = self.pgconn.transaction_status
        in_use = session.active or self._num_transactions or self._pipeline is not None
        if in_use or self._tpc is not None or not session.can_be_reset:
            return False
        if status != IDLE and status not in IN_TRANSACTION:
            return False
        self._cleaning_until = time.time() + deadline.for_cleaning()
        try:
            if status != IDLE:
                self.rollback()
            if session.touched:
                self.autocommit = True
                self.texts.append("select 1")  # what is not the app's is no change of its
                psycopg.Cursor(self).execute(session.engine.reset)
                session.was_reset()
            self._notifies_backlog = deque()
            if self._state and self._driver_state() != self._state:
                self._put_driver_state_back()
        except psycopg.Error:
            return False
        finally:
            self._cleaning_until = None
        return self.clean

    def adopt(self) -> None:
        """Make its present state the one that each block starts with."""
        self.session.adopt()
        self._state = self._driver_state()

    def leave(self) -> None:
        """End it; a statement under way, perhaps another thread's, is cancelled first."""
        if self.closed:
            return
        if self.pgconn.transaction_status == ACTIVE and self.session.engine.cancels:
            self._try_cancel(timeout=CANCELLING)
        if not self.session.active:
            self.close()
            return
        # Closing is the business of the thread that uses it, which sees the end of the stream.
        self._leaving = True
        try:
            with socket.socket(fileno=socket.dup(self.pgconn.socket)) as ours:
                ours.shutdown(socket.SHUT_RDWR)
        except (OSError, psycopg.Error):
            pass

    def keep_time(self) -> None:
        """Have the server's statement_timeout follow the deadline, where that is needed."""
        session = self.session
        milliseconds = session.timeout_to_set()
        if milliseconds is not None and self.pgconn.transaction_status == IDLE:
            touched = session.touched
            with self.lock:
                self.wait(self._exec_command(f"set statement_timeout = {milliseconds}"))
            session.touched = touched
            session.timeout = milliseconds / 1000

    def _driver_state(self) -> tuple[object, ...]:
        return (
            self.autocommit,
            self.isolation_level,
            self.read_only,
            self.deferrable,
            self.row_factory,
            self.cursor_factory,
            self.prepare_threshold,
            self.prepared_max,
            self.server_cursor_factory,
            len(self._notice_handlers),
            len(self._notify_handlers),
        )

    def _put_driver_state_back(self) -> None:
        state: Any = self._state
        self.autocommit, self.isolation_level, self.read_only, self.deferrable = state[:4]
        self.put_factories_back()
