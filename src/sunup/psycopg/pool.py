"""The psycopg connections of one process: opened, checked after a thaw, handed out, replaced.

psycopg_pool keeps worker threads and timers that a frozen process stops. This one opens in its
own thread, so that a caller that gives up at its deadline does not end the waking that others
benefit from. Where the process may be frozen then, and nobody else waits, it is ended.
"""

import logging
import threading
import time
from collections.abc import Callable

from sunup import request
from sunup.connecting.credentials import CredentialSource
from sunup.connecting.ledger import LENT, Ledger, note_wait
from sunup.connecting.waking import PING_TIMEOUT, Waking, patience, ping_after
from sunup.settings import Settings

from .attempt import FORSAKEN_WITHIN, connect
from .connection import Connection
from .meaning import MEANING
from .probe import ping, readable

logger = logging.getLogger("sunup.database")

# The settings, where credentials are found, the series of attempts that this one belongs to.
Connect = Callable[[Settings, CredentialSource, Waking], Connection]


class Pool:
    """At most `pool_size` connections of one process. One attempt to connect at a time.

    `connect` makes one attempt, for a library that has its own way to open connections.
    """

    def __init__(
        self, settings: Settings, credentials: CredentialSource, connect: Connect = connect
    ) -> None:
        self._connect_once = connect
        self._settings = settings
        self._credentials = credentials
        self._ping_after = ping_after(settings)
        # Guards the ledger, and wakes those who wait.
        self._changed = threading.Condition()
        self._ledger: Ledger[Connection] = Ledger(settings, credentials, MEANING, self.reclaim)
        self._waiting = 0
        self._opening: threading.Thread | None = None
        # The end of the last series of attempts that failed for good, for those who wait for it.
        self._failed: tuple[Waking, BaseException] | None = None

    def open(self) -> None:
        """Begin to connect, unless an attempt is under way or the pool is full."""
        with self._changed:
            self._begin()

    def acquire(self) -> Connection:
        """A connection that works, until it is released. Raises `DatabaseUnavailable`.

        Raises `DeadlineExceeded` in what was left running by a request that was answered with a
        failure.
        """
        with request.noting_failures:
            return self._acquire()

    def _acquire(self) -> Connection:
        request.not_over()
        began = time.time()
        end = began + patience()
        while True:
            with self._changed:
                connection, waited = self._take(began, end)
            try:
                self.hold(connection, request.not_over())
                alive = waited or self.check(connection)
                # Who kept it from an earlier block may have changed what the driver knows of it.
                alive = alive and (connection.clean or connection.put_right())
                if alive:
                    connection.keep_time()
            except BaseException:
                self.release(connection, keep=waited)
                raise
            if alive:
                if waited:
                    note_wait(began)
                return connection
            self.release(connection, keep=False)

    def lend(self) -> Connection:
        """A connection for another library's pool, which gives it back by closing it.

        That pool calls `check` before it hands it out again. Raises `DatabaseUnavailable`.
        """
        connection = self.acquire()
        with self._changed:
            self._ledger.let_go(connection)
            self._ledger.in_use[connection] = LENT
        return connection

    def check(self, connection: Connection) -> bool:
        """Whether a connection that has rested since `rests_since` works.

        Without a round trip where the socket shows it.
        """
        if time.time() >= connection.retires:
            return False
        rested = time.time() - connection.rests_since
        if 0 <= rested < self._ping_after and not readable(connection):
            return True
        return ping(connection, min(PING_TIMEOUT, patience()))

    def _take(self, began: float, end: float) -> tuple[Connection, bool]:
        """A connection, and whether it was waited for: then it has just been opened or given back.

        What was taken without waiting may have rested for a long time.
        """
        ledger = self._ledger
        waited_for: Waking | None = None
        waited = False
        self._waiting += 1
        try:
            while not ledger.idle:
                if self._failed is not None and self._failed[0] is waited_for:
                    raise self._failed[1]
                self._begin()
                waited_for = ledger.waking
                ledger.check_hope(threading.get_ident())
                remaining = end - time.time()
                if remaining <= 0:
                    ledger.given_up(request.active(), self._forsake)
                    raise ledger.gave_up(time.time() - began)
                # Wakes up now and then anyway: a waking may have gone stale in a freeze.
                self._changed.wait(min(remaining, 1.0))
                waited = True
                request.not_over()  # it may have been answered meanwhile
            return ledger.take(threading.get_ident()), waited
        finally:
            self._waiting -= 1

    def _forsake(self, waking: Waking) -> None:
        """Close the attempt under way, unless somebody waits for it."""
        with self._changed:
            if self._waiting or not self._ledger.end_waking(waking):
                return
        self._end_opening(waking)

    def release(self, connection: Connection, *, keep: bool = True) -> None:
        """Take a connection back; it is put right or closed where it must be."""
        try:
            keep = keep and time.time() < connection.retires and not connection.is_dead()
            keep = keep and (connection.clean or connection.put_right())
        except BaseException:
            self._back(connection, keep=False)
            raise
        self._back(connection, keep=keep)

    def _back(self, connection: Connection, *, keep: bool) -> None:
        ledger = self._ledger
        with self._changed:
            ledger.let_go(connection)
            keep = keep and ledger.is_out(connection)
            if keep:
                connection.rests_since = time.time()
                ledger.rest(connection)
            else:
                ledger.forget(connection)
            self._changed.notify()
        if not keep:
            connection.leave()

    def reclaim(self, connection: Connection) -> None:
        """Take a connection away from its holder: its request has ended.

        A statement under way is cancelled on the server, a transaction ends.
        """
        with self._changed:
            if not self._ledger.is_out(connection):
                self._ledger.let_go(connection)
                return  # it was given back
            connection.taken = True
            self._ledger.forget(connection)
            self._changed.notify()
        connection.leave()

    def hold(self, connection: Connection, holder: request.Request | None) -> None:
        """A request uses it; what the request does not give back is taken away at its end."""
        self._ledger.hold(connection, holder)

    def held_by(self, connection: Connection, user: object) -> None:
        """It is this one's, whichever thread works for it."""
        with self._changed:
            if self._ledger.is_out(connection):
                self._ledger.in_use[connection] = user

    def let_go(self, connection: Connection) -> None:
        """No request uses it."""
        self._ledger.let_go(connection)

    def close(self) -> None:
        """Close all connections, and end the waking. The pool can be used again."""
        with self._changed:
            waking, self._ledger.waking = self._ledger.waking, None
            idle, self._ledger.idle = self._ledger.idle, []
            in_use = list(self._ledger.in_use)
        if waking is not None:
            self._end_opening(waking)
        for connection in idle:
            connection.close()
        for connection in in_use:
            self.reclaim(connection)

    def _end_opening(self, waking: Waking) -> None:
        waking.forsaken = True
        if self._opening is not None:
            # It is not waited for longer than it needs to notice: it may be asking for credentials.
            self._opening.join(2 * FORSAKEN_WITHIN)

    def _begin(self) -> None:
        waking = self._ledger.begin_waking()
        if waking is not None:
            # It belongs to no request, and knows no deadline.
            run = request.apart().run
            self._opening = threading.Thread(
                target=run, args=(self._open, waking), name="sunup-waking", daemon=True
            )
            self._opening.start()

    def _open(self, waking: Waking) -> None:
        try:
            connection = self._connect(waking)
        except Exception as error:
            with self._changed:
                if self._ledger.end_waking(waking):
                    self._failed = (waking, error)
                    if not self._waiting:
                        _tell(error)
                    self._changed.notify_all()
            return
        if connection is None:
            return
        with self._changed:
            if not self._ledger.end_waking(waking):
                connection.close()
                return
            connection.rests_since = time.time()
            self._ledger.rest(connection)
            self._changed.notify_all()

    def _connect(self, waking: Waking) -> Connection | None:
        """A connection; None when nobody waits for one and the first attempt has failed."""
        while True:
            waking.begin_attempt()
            try:
                connection = self._connect_once(self._settings, self._credentials, waking)
            except Exception as error:
                pause = self._ledger.pause_after(error, waking)
                with self._changed:
                    # A caller that comes from here on starts over, with the whole patience.
                    if not self._waiting and self._ledger.end_waking(waking):
                        _tell(self._ledger.last_failure)
                    if self._ledger.waking is not waking:
                        return None
            else:
                connection.begun(self._settings)
                return connection
            time.sleep(pause)


def _tell(failure: BaseException | None) -> None:
    logger.warning("connecting in the background failed: %s", failure)
