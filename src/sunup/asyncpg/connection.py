"""asyncpg's own connection, which knows whether it is clean, and counts its statements."""

import asyncio
import select
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, get_args

import asyncpg

from sunup import deadline, request
from sunup.connecting import timing
from sunup.connecting.savepoints import SPOILED
from sunup.connecting.session import ENDED, GONE, ISOLATED, Isolation, Session
from sunup.connecting.waking import PING_TIMEOUT, patience

from .wire import Wire

T = TypeVar("T")

_LEVELS = get_args(Isolation)

# Turns of the event loop until asyncpg has what was in the socket: select, TLS, protocol.
_TURNS_TO_READ = 4


class Connection(asyncpg.Connection):
    """An `asyncpg.Connection`. Statements are logged at DEBUG, their parameters never."""

    __slots__ = (
        "_acknowledged",
        "_poll",
        "asked_to_cancel",
        "holder",
        "lent",
        "parting",
        "rests_since",
        "retires",
        "session",
        "severed",
        "spare",
        "wire",
    )

    # asyncpg's own, which its types do not show.
    _listeners: dict[str, Any]
    _log_listeners: set[Any]
    _query_loggers: set[Any]
    _termination_listeners: set[Any]
    _aborted: bool
    _addr: Any
    _cancellations: set[asyncio.Task[Any]]
    _loop: asyncio.AbstractEventLoop
    _params: Any
    _protocol: Any
    _stmt_cache: Any
    _server_caps: Any
    _transport: Any
    _top_xact: Any
    # The request that uses it.
    holder: request.Request | None

    # In seconds since the epoch: when it was given back; when it is too old to be handed out.
    rests_since: float
    retires: float
    # To another library, whose integration counts: it adds its own statements, such as BEGIN.
    lent: bool
    # Lent, and resting in the other pool.
    spare: bool
    # Somebody has begun to close it.
    parting: bool
    # By a request of our own, or in vain.
    asked_to_cancel: bool
    # From outside of its loop, which may not have heard of it.
    severed: bool

    def __init__(self, protocol: Any, *arguments: Any) -> None:
        self.session = Session()
        self.holder = None
        self.rests_since = time.time()
        self.retires = deadline.NEVER
        self.lent = self.spare = False
        self.parting = self.asked_to_cancel = self.severed = False
        # Whether the server has told that what was cancelled has ended.
        self._acknowledged: asyncio.Future[None] | None = None
        self._poll: select.poll | None = None
        # asyncpg forgets it, and with it what a cancel request needs, when it closes.
        watched: Any = Wire(protocol, self.session, self.terminate)
        self.wire: Any = watched
        super().__init__(watched, *arguments)

    async def _get_statement(
        self, query: str, timeout: float | None, *, named: str | bool = False, **options: Any
    ) -> Any:
        if named is True and not self.session.engine.prepared:
            # A cursor's: the name would stay in a session that is another client's next.
            named = ""
        return await super()._get_statement(query, timeout, named=named, **options)  # type: ignore[misc]

    @property
    def clean(self) -> bool:
        """Whether it can be handed on as it is: by the protocol, the driver and the session.

        Asked of one that is not dead.
        """
        return (
            self._top_xact is None
            and self.session.clean
            and not self._listeners
            and not self._log_listeners
            and not self._termination_listeners
            and not self._query_loggers
            and not self._protocol.is_in_transaction()
            and not self._protocol._is_cancelling()  # noqa: SLF001
        )

    @property
    def busy(self) -> bool:
        """Whether a statement may be under way on the server."""
        return bool(self.session.active or self._cancelling)

    @property
    def _cancelling(self) -> bool:
        if self._aborted:
            return False
        told = self._acknowledged
        return self._protocol._is_cancelling() and not (told and told.done())  # noqa: SLF001

    def _cancel_current_command(self, waiter: Any, *told: Any) -> None:
        # asyncpg's protocol says that it is cancelling until the next statement. (0.31 tells less.)
        self._acknowledged = told[0] if told else None
        super()._cancel_current_command(waiter, *told)  # type: ignore[misc]

    @property
    def _cancel_is_lost(self) -> bool:
        """Whether what should ask the server to cancel was cancelled itself: all waits are vain."""
        return self._acknowledged is not None and self._cancelling and not self._cancellations

    async def put_right(self) -> bool:
        """Make it clean, in the time that is left for it; False: it has to be closed.

        A cancelled statement is waited for, an open transaction rolled back, the session reset.
        """
        session = self.session
        if session.active or not session.can_be_reset or self._cancel_is_lost:
            return False  # another task still uses it, or nothing else helps
        if self._cancelling and not session.engine.cancels:
            return False  # the statement goes on until its end
        try:
            async with asyncio.timeout(deadline.for_cleaning()):
                self._top_xact = None
                for listeners in (self._log_listeners, self._termination_listeners):
                    listeners.clear()
                self._listeners.clear()
                self._query_loggers.clear()
                if not session.aborted:
                    # Waits for the end of what was cancelled; only then is the status known.
                    await self.ping()
                if self._protocol.is_in_transaction():
                    await super().execute("rollback")
                if session.touched:
                    await super().execute(session.engine.reset)
                    session.was_reset()
        except Exception:
            return False
        return not self.is_dead() and self.clean

    async def begin_with(self, text: str, isolation: Any) -> str:
        """Begin a transaction and run more in the same round trip; the tag of its last command."""
        wire = self._protocol
        wire.behind_begin, wire.tag = text, ""
        try:
            await self.transaction(isolation=isolation).start()
        finally:
            wire.behind_begin = ""
        return wire.tag.decode() if isinstance(wire.tag, bytes) else str(wire.tag)

    async def check_isolation(self, wanted: str) -> None:
        """Raise `InterfaceError` where a request's one transaction has a lower isolation."""
        has = getattr(self._top_xact, "_isolation", None)
        if has is None:  # the role's own
            has = str(await self.fetchval("show transaction_isolation")).replace(" ", "_")
        if _LEVELS.index(wanted) > _LEVELS.index(has):
            raise asyncpg.InterfaceError(ISOLATED.format(wanted=wanted))

    async def commit_joined(self) -> None:
        """Commit what `begin_with` began."""
        await self._top_xact.commit()

    def check_joined(self) -> None:
        """Raise `InterfaceError` where a request's one transaction cannot be committed."""
        self.check_savepoints()
        if self.is_closed():
            raise asyncpg.InterfaceError("the connection was closed")
        if self._top_xact is None or not self._protocol.is_in_transaction():
            raise asyncpg.InterfaceError(ENDED)

    def check_savepoints(self) -> None:
        """Raise `InterfaceError` where only a rollback is taken, for lack of savepoints."""
        if self.session.savepoints.spoiled:
            raise asyncpg.InterfaceError(SPOILED)

    async def begin_anew(self, text: str) -> None:
        """See `Savepoints`."""
        await self._protocol.begin_anew(text)

    def forget_statements(self) -> None:
        """Have all statements prepared again: the app may have ended those that are."""
        self._stmt_cache.clear()

    def has_open_savepoints(self) -> bool:
        """Whether a `connection.transaction()` of the app's was begun and not ended."""
        if self.is_closed():
            return False
        savepoints: dict[str, None] = self._protocol.savepoints
        found = bool(savepoints)
        savepoints.clear()
        return found

    async def unmeasured(self, text: str) -> None:
        """Run statements that are not the app's."""
        await super().execute(text)

    async def store(self, text: str, *values: Any) -> None:
        """Change the request's receipt. Raises `InterfaceError` where it is not there any more."""
        if not str(await super().execute(text, *values)).endswith(" 1"):
            raise asyncpg.InterfaceError(GONE)

    def adopt(self) -> None:
        """Make its present state the one that each block starts with."""
        self.session.adopt()

    async def close(self, *, timeout: float | None = None) -> None:
        """As in asyncpg; at once where its goodbye would wait for a statement."""
        busy = self.busy
        if busy and not self.session.engine.cancels:
            self.terminate()
            return
        self.parting = True
        try:
            await super().close(timeout=timeout)
        except asyncio.CancelledError:
            if busy:
                self._cancel_apart()
            raise

    def terminate(self) -> None:
        """As in asyncpg: close it at once. A statement that was cancelled does not go on."""
        if self._cancelling:
            # asyncpg's own request ends with this connection, or has ended with its loop.
            self._cancel_apart()
        super().terminate()

    def _cancel_apart(self) -> None:
        from .standing import cancel

        cancel(self)

    async def leave(self) -> None:
        """Close it in the time that is left for it; a statement under way is cancelled."""
        if not self.session.engine.cancels:
            self.terminate()  # a goodbye would wait for the statement
        elif self._cancel_is_lost or self.parting:
            from .standing import sever

            sever(self)
        else:
            try:
                await self.close(timeout=deadline.for_cleaning())
            except Exception:
                self.asked_to_cancel = True  # who does not answer this does not answer that
                self.terminate()

    def is_dead(self) -> bool:
        """Whether it is known to be closed."""
        return self.severed or self.is_closed()

    def is_spare(self) -> bool:
        """Whether another pool has it, and does not use it."""
        return self.spare

    async def works(self, ping_after: float) -> bool:
        """Whether it works after a rest, without a round trip where the socket shows it.

        One that rested for longer than `ping_after` seconds is tested with one.
        """
        if self.is_dead() or time.time() >= self.retires:
            return False
        if self.is_fresh(ping_after):
            return True
        if self._readable():
            # Read it before asking: asyncpg would take a farewell for the answer, and wait on.
            for _ in range(_TURNS_TO_READ):
                await asyncio.sleep(0)
            if self.is_closed():
                return False
        try:
            async with asyncio.timeout(min(PING_TIMEOUT, patience())):
                await self.ping()
        except Exception:
            # Whatever it is, this connection is useless. When the server's farewell was read
            # but not yet its end, asyncpg raises its InternalClientError, which has no base class.
            return False
        return True

    def is_fresh(self, ping_after: float) -> bool:
        """Whether it surely works: it rested for a short time, and its socket is silent."""
        now = time.time()
        fresh = 0 <= now - self.rests_since < ping_after and now < self.retires
        return fresh and not self.is_dead() and not self._readable()

    def _readable(self) -> bool:
        """Whether the server sent something unasked: nearly always that it closed the session."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return True
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(transport.get_extra_info("socket"), select.POLLIN)
        return bool(self._poll.poll(0))

    async def ping(self) -> None:
        """One round trip."""
        # An empty statement would do, but asyncpg 0.32 trips over its answer.
        await super().execute("select 1")

    async def execute(self, query: str, *args: Any, **options: Any) -> Any:
        """As in asyncpg: run a command and return its status."""
        return await _measured(
            self, query, super().execute(query, *args, **options), _rows_of_status
        )

    async def executemany(self, command: str, args: Any, **options: Any) -> Any:
        """As in asyncpg: run a command once for each sequence of arguments."""
        return await _measured(
            self, command, super().executemany(command, args, **options), _no_rows
        )

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        """As in asyncpg: run a query and return all rows."""
        return await _measured(self, query, super().fetch(query, *args, **options), len)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        """As in asyncpg: run a query and return its first row."""
        return await _measured(self, query, super().fetchrow(query, *args, **options), _one_or_none)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        """As in asyncpg: run a query and return one value of its first row."""
        return await _measured(self, query, super().fetchval(query, *args, **options), _one_or_none)


async def _measured(
    connection: Connection, query: str, work: Awaitable[T], rows_of: Callable[[T], int]
) -> T:
    if connection.lent:
        return await work
    began = timing.begin()
    rows = 0
    try:
        result = await work
        rows = rows_of(result)
        return result
    finally:
        timing.end(began, query, rows)


def _rows_of_status(status: str) -> int:
    count = status.rpartition(" ")[2]
    return int(count) if count.isdigit() else 0


def _one_or_none(result: object) -> int:
    return 0 if result is None else 1


def _no_rows(_: object) -> int:
    return 0
