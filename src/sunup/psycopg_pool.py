"""The psycopg connections of one process: opened, checked after a thaw, handed out, replaced.

psycopg_pool keeps worker threads and timers that a frozen process stops. This one opens in a
thread of its own, so that a caller who gives up at its deadline does not end the waking that the
next request will profit from.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from . import request
from .credentials import CredentialSource
from .failures import ConnectionsBusy, DatabaseUnavailable, while_connecting
from .psycopg_attempt import connect
from .psycopg_connection import Connection, ping, readable
from .settings import Settings
from .waking import PING_TIMEOUT, RESUMING_AFTER, Waking, explained, gave_up, patience, ping_after

logger = logging.getLogger("sunup.database")

# The settings, where credentials are found, the attempt's number.
Connect = Callable[[Settings, CredentialSource, int], Connection]

# No thread: a pool of another library holds the connection for good.
_LENT = 0


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
        self._changed = threading.Condition()
        self._idle: list[tuple[Connection, float]] = []
        self._in_use: dict[Connection, int] = {}
        self._waiting = 0
        self._waking: Waking | None = None
        # The end of the last series of attempts that failed for good, for those who wait for it.
        self._failed: tuple[Waking, BaseException] | None = None
        self._last_failure: DatabaseUnavailable | None = None

    def start(self) -> None:
        """Begin to connect, unless an attempt is under way or the pool is full."""
        with self._changed:
            self._start()

    def acquire(self) -> Connection:
        """A connection that works, until it is released. Raises `DatabaseUnavailable`.

        Raises `DeadlineExceeded` in what a request left running that was answered with a failure.
        """
        request.not_over()
        began = time.time()
        end = began + patience()
        while True:
            with self._changed:
                connection, rests_since = self._take(began, end)
            try:
                self.held_by(connection, request.not_over())
                alive = rests_since is None or self.check(connection, rests_since)
                if alive:
                    connection.keep_time()
            except BaseException:
                self.release(connection, keep=rests_since is None)
                raise
            if alive:
                if rests_since is None:
                    waited = time.time() - began
                    request.note_wait(waited, resuming=waited >= RESUMING_AFTER)
                return connection
            self.release(connection, keep=False)

    def lend(self) -> Connection:
        """A connection for another library's pool, which gives it back by closing it.

        That pool asks with `check` before it hands it out again. Raises `DatabaseUnavailable`.
        """
        connection = self.acquire()
        with self._changed:
            self.no_longer_held(connection)
            self._in_use[connection] = _LENT
        return connection

    def check(self, connection: Connection, rests_since: float) -> bool:
        """Whether a connection works that rests since then (seconds since the epoch).

        Without a round trip where the socket tells.
        """
        rested = time.time() - rests_since
        if 0 <= rested < self._ping_after and not readable(connection):
            return True
        return ping(connection, min(PING_TIMEOUT, patience()))

    def _take(self, began: float, end: float) -> tuple[Connection, float | None]:
        """A resting connection and since when it rests, or one that has just been opened."""
        waited_for: Waking | None = None
        waited = False
        self._waiting += 1
        try:
            while not self._idle:
                if self._failed is not None and self._failed[0] is waited_for:
                    raise self._failed[1]
                self._start()
                waited_for = self._waking
                if waited_for is None:
                    holders = set(self._in_use.values())
                    if holders == {threading.get_ident()}:
                        raise ConnectionsBusy(
                            "this thread itself holds them: nested `connection()`"
                        )
                    if holders == {_LENT}:
                        raise ConnectionsBusy("another pool has them: use its connections")
                remaining = end - time.time()
                if remaining <= 0:
                    raise gave_up(waited_for, self._last_failure, time.time() - began)
                # Wakes up by itself now and then: a waking may have gone stale in a freeze.
                self._changed.wait(min(remaining, 1.0))
                waited = True
                request.not_over()  # it may have been answered meanwhile
            connection, rests_since = self._idle.pop()
            self._in_use[connection] = threading.get_ident()
            return connection, None if waited else rests_since
        finally:
            self._waiting -= 1

    def release(self, connection: Connection, *, keep: bool = True) -> None:
        """Take a connection back; it is put right or closed where it must be."""
        try:
            keep = keep and not connection.closed and (connection.clean or connection.put_right())
        except BaseException:
            self._back(connection, keep=False)
            raise
        self._back(connection, keep=keep)

    def _back(self, connection: Connection, *, keep: bool) -> None:
        with self._changed:
            self.no_longer_held(connection)
            known = self._in_use.pop(connection, None) is not None
            if known and keep:
                self._idle.append((connection, time.time()))
            else:
                connection.close()
            self._changed.notify()

    def reclaim(self, connection: Connection) -> None:
        """Take a connection away from its holder: its request has ended.

        A statement under way is cancelled on the server, a transaction ends.
        """
        with self._changed:
            self.no_longer_held(connection)
            if self._in_use.pop(connection, None) is None:
                return
            self._changed.notify()
        connection.leave()

    def held_by(self, connection: Connection, holder: request.Request | None) -> None:
        """A request uses it; what the request does not give back is taken away at its end."""
        if holder is not None:
            holder.held[connection] = partial(self.reclaim, connection)
            connection.holder = holder
            if holder.ended:  # between two looks of this thread
                raise ConnectionsBusy("the request has ended")

    def no_longer_held(self, connection: Connection) -> None:
        """No request uses it."""
        if connection.holder is not None:
            connection.holder.held.pop(connection, None)
            connection.holder = None

    def close(self) -> None:
        """Close all connections. The pool can be used again."""
        with self._changed:
            self._waking = None
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def _start(self) -> None:
        if self._waking is not None and self._waking.stale:
            self._waking = None  # its thread sees that it is no longer wanted
        for connection in [each for each in self._in_use if each.closed]:
            if self._in_use[connection] == _LENT:
                del self._in_use[connection]
        if self._waking is None and len(self._idle) + len(self._in_use) < self._settings.pool_size:
            self._waking = Waking(self._settings)
            self._last_failure = None
            threading.Thread(
                target=self._open, args=(self._waking,), name="sunup-waking", daemon=True
            ).start()

    def _open(self, waking: Waking) -> None:
        try:
            connection = self._connect(waking)
        except Exception as error:
            with self._changed:
                if self._waking is waking:
                    self._waking = None
                    self._failed = (waking, error)
                    if not self._waiting:
                        logger.warning("connecting in the background failed: %s", error)
                    self._changed.notify_all()
            return
        with self._changed:
            if self._waking is not waking:
                connection.close()  # another attempt took its place, or the pool was closed
                return
            self._waking = None
            self._idle.append((connection, time.time()))
            self._changed.notify_all()

    def _connect(self, waking: Waking) -> Connection:
        while True:
            waking.begin_attempt()
            try:
                connection = self._connect_once(self._settings, self._credentials, waking.tries - 1)
            except Exception as error:
                failure = while_connecting(error)
                if failure is None:
                    raise
                failure = explained(failure, self._settings, self._credentials.ready())
                self._last_failure = failure
                pause = waking.pause_after(failure)
                if pause is None or not self._waiting or self._waking is not waking:
                    raise failure from (error if failure is not error else None)
            else:
                connection.begun(self._settings)
                return connection
            time.sleep(pause)
