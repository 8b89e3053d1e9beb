"""The asyncpg connections of one event loop: opened, checked after a thaw, handed out, replaced.

asyncpg's own pool relies on timers, which stand still in a frozen process, and spends a round trip
on each release. This one opens in its own task, so that a caller that gives up at its deadline
does not end the waking that others benefit from. Where the process may be frozen then, and nobody
else waits, the attempt under way is closed; the database goes on resuming.
"""

import asyncio
import logging
import time
from collections import deque
from functools import partial

from sunup import request
from sunup.connecting.credentials import CredentialSource
from sunup.connecting.ledger import LENT, Ledger, note_wait
from sunup.connecting.waking import Waking, patience, ping_after
from sunup.deadline import DeadlineExceeded
from sunup.failures import ConnectionsBusy, DatabaseUnavailable
from sunup.settings import Settings

from .attempt import connected
from .connection import Connection
from .meaning import MEANING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .ending import Endings

logger = logging.getLogger("sunup.database")


class Pool:
    """At most `pool_size` connections, all of one event loop. One attempt to connect at a time."""

    _made: "Endings | None" = None

    def __init__(self, settings: Settings, credentials: CredentialSource) -> None:
        self._settings = settings
        self._credentials = credentials
        self._loop = asyncio.get_running_loop()
        self._ping_after = ping_after(settings)
        self._ledger: Ledger[Connection] = Ledger(settings, credentials, MEANING, self.reclaim)
        self._waiters: deque[asyncio.Future[Connection]] = deque()
        self._opening: asyncio.Task[None] | None = None

    @property
    def _endings(self) -> "Endings":
        """Seldom needed: imported and made only then."""
        made = self._made
        if made is None:
            from .ending import Endings

            made = Endings(self._loop, self._ledger, self._rest, self._discard)
            made = self.__dict__.setdefault("_made", made)  # another thread may be as far
        return made

    def open(self) -> None:
        """Begin to connect, unless an attempt is under way or the pool is full."""
        waking = self._ledger.begin_waking()
        if waking is not None:
            if self._opening is not None:
                self._opening.cancel()  # it has gone stale
            # Not `create_task`: the task belongs to no request, and may go on after a freeze.
            self._opening = asyncio.Task(self._open(waking), loop=self._loop, name="sunup-waking")
            self._opening.add_done_callback(partial(self._opened, waking))

    async def acquire(self) -> Connection:
        """A connection that works, until it is released. Raises `DatabaseUnavailable`.

        Raises `DeadlineExceeded` in what was left running by a request that was answered with a
        failure.
        """
        with request.noting_failures:
            return self._at_hand() or await self._acquire()

    def _at_hand(self) -> Connection | None:
        """A connection that surely works, without a turn of the loop: the usual case."""
        ledger = self._ledger
        if not ledger.idle:
            return None
        last = ledger.idle[-1]
        if not (last.is_fresh(self._ping_after) and last.clean):
            return None
        holder = request.not_over()
        connection = ledger.take(asyncio.current_task())
        ledger.hold(connection, holder)
        return connection

    async def _acquire(self) -> Connection:
        ledger = self._ledger
        began = time.time()
        limit = patience()
        holder = request.not_over()
        while ledger.idle:
            # Counted as in use while it is tested, so that nobody opens one too many.
            connection = ledger.take(asyncio.current_task())
            try:
                ledger.hold(connection, holder)
                alive = await self.check(connection)
                # Who kept it from an earlier block may have changed what the driver knows of it.
                alive = alive and (connection.clean or await connection.put_right())
            except BaseException:
                self.release(connection)
                raise
            if alive:
                return connection
            self._discard(connection)
        connection = await self._wait(began, limit, holder)
        ledger.in_use[connection] = asyncio.current_task()
        try:
            ledger.hold(connection, request.not_over())  # it may have been answered meanwhile
        except (DeadlineExceeded, ConnectionsBusy):
            self.release(connection)
            raise
        note_wait(began)
        return connection

    async def lend(self) -> Connection:
        """A connection for another library's pool, which gives it back by closing it.

        That pool calls `check` before it hands it out again. Raises `DatabaseUnavailable`.
        """
        connection = await self.acquire()
        self._ledger.let_go(connection)
        self._ledger.in_use[connection] = LENT
        connection.lent = True
        return connection

    async def _wait(self, began: float, limit: float, holder: request.Request | None) -> Connection:
        self.open()
        self._ledger.check_hope(asyncio.current_task())
        waiter: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(max(0.0, limit - (time.time() - began))):
                return await waiter
        except TimeoutError:
            self._withdraw(waiter, holder)
            raise self._ledger.gave_up(time.time() - began) from None
        except asyncio.CancelledError:
            self._withdraw(waiter, holder)
            raise

    def _withdraw(
        self, waiter: "asyncio.Future[Connection]", holder: request.Request | None
    ) -> None:
        self._ledger.given_up(holder, self._forsake)
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self._offer(waiter.result())

    def _forsake(self, waking: Waking) -> None:
        """Close the attempt under way, unless somebody waits for it."""
        if self._waiters or self._opening is None or not self._ledger.end_waking(waking):
            return
        if self._loop.is_closed():
            self._lose()
            return
        opening, self._opening = self._opening, None
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001  # raises nothing
            # Before the freeze: the adapter waits for this task.
            self._endings.close(opening)
        elif self._loop.is_running():
            self._loop.call_soon_threadsafe(self._endings.close, opening)
        else:
            from .standing import turn

            opening.cancel()
            turn(self._loop, opening)

    async def give_back(self, connection: Connection, *, keep: bool = True) -> None:
        """As `release`, until the connection is put right or closed.

        Also when cancelled, and cancelled again: an event loop that ends now would take with it
        what is begun in the background, and the statement, its transaction and the socket would
        outlive the request.
        """
        self.release(connection, keep=keep)
        if self._made is not None:
            await self._made.wait(connection)

    def release(self, connection: Connection, *, keep: bool = True) -> None:
        """Take a connection back; it is put right or closed where it must be.

        Nothing is awaited, so that nothing can interrupt it.
        """
        if not self._ledger.is_out(connection):
            return  # it was taken away from its holder
        keep = keep and time.time() < connection.retires
        if self._loop.is_closed():
            self._endings.sever(connection)
        elif connection.is_dead():
            self._discard(connection)
        elif keep and connection.clean:
            self._rest(connection)
        else:
            self._endings.begin(connection, keep=keep)

    def reclaim(self, connection: Connection) -> None:
        """Take a connection away from its holder: its request has ended.

        A statement under way is cancelled on the server, a transaction ends.
        """
        self._endings.reclaim(connection)

    def abandon(self) -> None:
        """Close all sockets: the loop has ended, and with it what could say goodbye."""
        for connection in [*self._ledger.idle, *self._ledger.in_use]:
            self._endings.sever(connection)
        self._ledger.idle.clear()
        self._ledger.waking = None
        self._lose()

    def _lose(self) -> None:
        """Close the attempt under way, whose loop was closed: garbage alone leads to its socket."""
        opening, self._opening = self._opening, None
        if opening is not None and not opening.done():
            from .standing import collect, give_up

            give_up(opening)
            del opening
            collect()

    def hold(self, connection: Connection, holder: request.Request | None) -> None:
        """A request uses it, by way of another library's pool."""
        self._ledger.hold(connection, holder)

    def let_go(self, connection: Connection) -> None:
        """No request uses it."""
        self._ledger.let_go(connection)

    async def close(self) -> None:
        """Close all connections and end the waking. The pool can be used again."""
        self._ledger.waking = None
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
            self._opening = None
        self._fail(DatabaseUnavailable("the Database was closed"))
        for connection in list(self._ledger.in_use):
            self.reclaim(connection)
        # What is just being put right comes back as idle.
        while self._ledger.idle or self._endings.tasks:
            while self._ledger.idle:
                self.reclaim(self._ledger.take(None))
            await asyncio.wait(self._endings.tasks)

    def _rest(self, connection: Connection) -> None:
        self._ledger.let_go(connection)
        connection.rests_since = time.time()
        self._offer(connection)

    def _offer(self, connection: Connection) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                # Taken from here on, even though its new holder has not run yet.
                self._ledger.give(connection, None)
                waiter.set_result(connection)
                return
        self._ledger.rest(connection)

    def _fail(self, error: BaseException) -> bool:
        told = False
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(error)
                told = True
        return told

    def _discard(self, connection: Connection) -> None:
        self._ledger.forget(connection)
        if not connection.is_closed():
            connection.terminate()
        if self._waiters:
            self.open()

    async def check(self, connection: Connection) -> bool:
        """Whether a connection that has rested since `rests_since` works.

        Without a round trip where the socket shows it.
        """
        return await connection.works(self._ping_after)

    def _opened(self, waking: Waking, task: "asyncio.Task[None]") -> None:
        if task.cancelled() and self._ledger.end_waking(waking):
            self._opening = None  # by an app that cancels every task that there is
            if self._waiters:
                self.open()

    async def _open(self, waking: Waking) -> None:
        try:
            connection = await connected(
                self._settings,
                self._credentials,
                self._ledger,
                waking,
                wanted=lambda: bool(self._waiters),
                check=self.check,
            )
        except Exception as error:
            if self._ledger.end_waking(waking):
                self._opening = None
                if not self._fail(error):
                    logger.warning("connecting in the background failed: %s", error)
            return
        if not self._ledger.end_waking(waking):
            connection.terminate()
            return
        self._opening = None
        self._offer(connection)
        if self._waiters:
            self.open()
