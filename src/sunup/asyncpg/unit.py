"""One transaction for all that a request does: each of its blocks joins it.

The blocks take turns, as with a pool of one connection. What a block did is kept by a savepoint at
its end; what one that failed did is undone.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from sunup import deadline, request
from sunup.connecting.session import FAILED, KEEP, NOBODY, UNDO
from sunup.connecting.waking import patience
from sunup.engines import AURORA
from sunup.failures import ConnectionsBusy, DatabaseUnavailable

from .connection import Connection
from .meaning import MEANING, was_cancelled

if TYPE_CHECKING:
    from .pool import Pool

logger = logging.getLogger("sunup.receipts")

# Called with the connection and `keep`.
Give = Callable[..., Awaitable[None]]


class Unit:
    """`take` gets a connection for it, `give` takes it back: whether it is worth keeping."""

    def __init__(self, database: object, take: Callable[[], Awaitable[Connection]], give: Give):
        self.database = database
        # What a block failed with last, or the commit: running all again may help.
        self.failure: BaseException | None = None
        self.engine = AURORA
        self._take = take
        self._give = give
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._user: object = None
        # A connection of another library's that has the turn; the isolation level it wants.
        self.holder: Any = None
        self.isolation: str | None = None
        # What the next block begins with.
        self._ahead = ""

    async def begin(self, claim: Any, isolation: str | None) -> bool:
        """Begin the transaction with a claim's statements; whether the last one returned a row.

        Raises `DatabaseUnavailable`, and what the server says.
        """
        connection = self._connection = await self._take()
        request.note_failure(None)
        self.engine = connection.session.engine
        try:
            tag = await connection.begin_with(claim.text(self.engine), isolation or self.isolation)
        except BaseException as error:
            meant = self._meant(error, connection)
            await self._give_back(keep=not isinstance(meant, DatabaseUnavailable))
            raise meant from None
        connection.session.join(claim.restart(self.engine))
        self._ahead = ""
        return tag.endswith(" 1")

    async def fetchrow(self, statement: Any) -> Any:
        """A row for sunup itself, by a text and its values; None where there is none."""
        connection = self._mine()
        with _ours(connection):
            try:
                return await connection.fetchrow(statement.text, *statement.values)
            except Exception as error:
                raise self._meant(error, connection) from None

    async def commit(self, statement: Any, before: str = "") -> None:
        """Run a statement (its text, its values) and commit, when the last block has ended.

        `before` are statements without values.

        Raises `ConnectionLost` where it is not known whether that has happened, unless the failure
        says `nothing_executed`. The connection is given back in each case.
        """
        busy: ConnectionsBusy | None = None
        if self.holder is not None and self.holder.is_left:
            self.holder.take_away()
        try:
            await self._wait_for_turn(min(patience(), deadline.AFTERWARDS))
        except ConnectionsBusy as error:
            busy = error
        if busy is not None:
            if self.holder is None or self._mine().session.active:
                raise busy
            self.holder.take_away()
            await self._wait_for_turn(0.1)
        connection = self._mine()
        sent = False
        try:
            with _ours(connection):
                connection.check_joined()
                if self._ahead not in ("", KEEP):
                    await self._send_ahead(connection)
                if before:
                    await connection.unmeasured(before)
                await connection.store(statement.text, *statement.values)
                connection.session.joined = False
                sent = True
                await connection.commit_joined()
        except BaseException as error:
            meant = self._meant(error, connection)
            if isinstance(meant, DatabaseUnavailable) and not sent:
                meant.nothing_executed = True
            await self._give_back(keep=not isinstance(meant, DatabaseUnavailable))
            raise meant from None
        finally:
            self._turn.release()
        try:
            await self._give_back(keep=True)
        except BaseException as error:
            # It is committed, and known to be: a cancellation, or the deadline, comes too late.
            logger.warning("a connection could not be given back: %s", type(error).__name__)

    async def roll_back(self) -> None:
        """End it without a trace; nothing where it has ended."""
        # Who still has a block, such as a task that was left, must not have it in the next request.
        await self._give_back(keep=not self._turn.locked())

    async def end(self) -> None:
        """As `roll_back`: who begins it is this task, and has ended."""
        await self.roll_back()

    async def after(self, text: str) -> None:
        """Run a statement that is not part of it, when it has been committed."""
        connection = await self._take()
        try:
            await connection.unmeasured(text)
        finally:
            await self._give(connection, keep=True)

    @asynccontextmanager
    async def block(self) -> AsyncIterator[Connection]:
        """A block of the app's, as `Database.connection()` is: it joins the transaction."""
        connection = await self.enter()
        try:
            yield connection
        except BaseException as error:
            self.leave(failed=error)
            if not isinstance(error, Exception):
                raise
            lost = MEANING.while_using(error, closed=connection.is_closed())
            if lost is None:
                raise
            self.failure = lost
            request.note_failure(lost)
            if was_cancelled(error):
                raise asyncio.CancelledError from lost
            raise lost from error
        else:
            self.leave()

    async def enter(self) -> Connection:
        """Wait for a turn. Raises `ConnectionsBusy`."""
        if asyncio.get_running_loop() is not self._loop:
            raise ConnectionsBusy("the request's transaction belongs to another event loop")
        request.not_over()
        await self._wait_for_turn(patience())
        try:
            connection = self._mine()
            connection.check_savepoints()
            if self._ahead:
                with _ours(connection):
                    await self._send_ahead(connection)
        except BaseException as error:
            self._turn.release()
            raise self._meant(error, self._connection) from None
        connection.session.only_for = None
        self._user = asyncio.current_task()
        return connection

    def leave(self, failed: BaseException | None = None) -> None:
        """End a turn. Raises `InFailedSQLTransactionError` for a block that hides its failure."""
        connection = self._connection
        self._user = None
        self._turn.release()
        if connection is None:
            return
        connection.session.only_for = NOBODY
        session = connection.session
        if session.replace:
            connection.forget_statements()
        aborted = session.aborted
        undone = connection.has_open_savepoints() or aborted or failed is not None
        self._ahead = session.block_ended(UNDO if undone else KEEP)
        self.failure = failed
        if aborted and failed is None:
            raise asyncpg.InFailedSQLTransactionError(FAILED)

    async def _send_ahead(self, connection: Connection) -> None:
        ahead = self._ahead
        if connection.is_closed():
            raise asyncpg.InterfaceError("the connection was closed")
        if ahead == connection.session.savepoints.restart:
            await connection.begin_anew(ahead)
        else:
            await connection.unmeasured(ahead)
            connection.session.sent(ahead)
        self._ahead = ""  # not before: who waits for it may be cancelled

    def _mine(self) -> Connection:
        if self._connection is None:
            raise ConnectionsBusy("the request's transaction has ended")
        return self._connection

    async def _wait_for_turn(self, limit: float) -> None:
        if self._user is not None and self._user is asyncio.current_task():
            raise ConnectionsBusy("the caller already holds one, because `connection()` is nested")
        began = time.time()
        try:
            async with asyncio.timeout(limit):
                await self._turn.acquire()
        except TimeoutError:
            waited = time.time() - began
            raise ConnectionsBusy(
                f"another block of the request's transaction did not end in {waited:.1f} s"
            ) from None

    async def _give_back(self, *, keep: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            if keep:
                connection.session.leave_joined()
            await self._give(connection, keep=keep)

    def _meant(self, error: BaseException, connection: Connection | None) -> BaseException:
        closed = connection is None or connection.is_closed()
        if not isinstance(error, Exception) or isinstance(error, DatabaseUnavailable):
            return error
        lost = MEANING.while_using(error, closed=closed)
        if lost is None:
            self.failure = error
            return error
        lost.__cause__ = error
        self.failure = lost
        request.note_failure(lost)
        return lost


class _ours:  # noqa: N801
    """What sunup sends between two blocks, where nobody else may send anything."""

    def __init__(self, connection: Connection) -> None:
        self._session = connection.session

    def __enter__(self) -> None:
        self._session.only_for = asyncio.current_task()

    def __exit__(self, *_: object) -> None:
        self._session.only_for = NOBODY


def of_pool(database: object, pool: "Pool") -> Unit:
    """A unit on a connection of a pool."""

    async def give(connection: Connection, *, keep: bool) -> None:
        pool.release(connection, keep=keep)

    return Unit(database, pool.acquire, give)
