"""One transaction for all that a request does: each of its blocks joins it.

The blocks take turns, as with a pool of one connection. What a block did is kept by a savepoint at
its end; what one that failed did is undone.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sunup import deadline, request
from sunup.connecting.session import KEEP, NOBODY
from sunup.connecting.waking import patience
from sunup.engines import AURORA
from sunup.failures import ConnectionsBusy, DatabaseUnavailable

from .connection import Connection
from .meaning import MEANING

if TYPE_CHECKING:
    from .pool import Pool

logger = logging.getLogger("sunup.receipts")


class Unit:
    """`take` gets a connection for it, `give` takes it back: whether it is worth keeping."""

    # Its methods block the calling thread.
    blocking = True

    def __init__(
        self,
        database: object,
        take: Callable[[], Connection],
        give: Callable[..., None],
    ) -> None:
        self.database = database
        # What a block failed with last, or the commit: running all again may help.
        self.failure: BaseException | None = None
        self.engine = AURORA
        self._take = take
        self._give = give
        self._connection: Connection | None = None
        self._turn = threading.Lock()
        # Between a thread that begins it and another one that ends it.
        self._guard = threading.Lock()
        self._ended = False
        # A connection of another library's that has the turn.
        self.holder: Any = None
        self._user: int | None = None

    def begin(self, claim: Any, isolation: str | None) -> bool:
        """Begin the transaction with a claim's statements; whether the last one returned a row.

        Raises `DatabaseUnavailable`, and what the server says.
        """
        # Who ends it meanwhile, in another thread, closes the connection: it has a turn.
        with self._turn:
            return self._begin(claim, isolation)

    def _begin(self, claim: Any, isolation: str | None) -> bool:
        connection = self._take()
        with self._guard:
            ended = self._ended
            if not ended:
                self._connection = connection
        if ended:  # while this thread waited for a connection
            self._give(connection, keep=True)
            raise ConnectionsBusy("the request has ended")
        request.note_failure(None)
        self.engine = connection.session.engine
        try:
            rows = connection.begin_with(claim.text(self.engine), isolation)
        except BaseException as error:
            meant = self._meant(error, connection)
            self._give_back(keep=not isinstance(meant, DatabaseUnavailable))
            raise meant from None
        with self._guard:
            if self._connection is not connection:
                raise ConnectionsBusy("the request has ended")
            connection.session.join(claim.restart(self.engine))
            connection.ahead = ""
        return rows == 1

    def fetchrow(self, statement: Any) -> Any:
        """A row for sunup itself, by a text and its values; None where there is none."""
        connection = self._mine()
        connection.session.only_for = None
        try:
            return connection.unmeasured_row(statement.text, statement.values)
        except Exception as error:
            raise self._meant(error, connection) from None
        finally:
            connection.session.only_for = NOBODY

    def commit(self, statement: Any, before: str = "") -> None:
        """Run a statement (its text, its values) and commit, when the last block has ended.

        `before` are statements without values.

        Raises `ConnectionLost` where it is not known whether that has happened, unless the failure
        says `nothing_executed`. The connection is given back in each case.
        """
        busy: ConnectionsBusy | None = None
        if self.holder is not None and self.holder.is_left:
            self.holder.take_away()
        try:
            self._wait_for_turn(min(patience(), deadline.AFTERWARDS))
        except ConnectionsBusy as error:
            busy = error
        if busy is not None:
            if self.holder is None or self._mine().session.active:
                raise busy
            self.holder.take_away()
            self._wait_for_turn(0.1)
        connection = self._mine()
        connection.session.only_for = None
        sent = False
        try:
            connection.check_joined()
            if connection.ahead == KEEP:
                connection.ahead = ""
            if before:
                connection.unmeasured(before)
            connection.store(statement.text, statement.values)
            connection.session.joined = False
            sent = True
            connection.commit_joined()
        except BaseException as error:
            meant = self._meant(error, connection)
            if isinstance(meant, DatabaseUnavailable) and not sent:
                meant.nothing_executed = True
            self._give_back(keep=not isinstance(meant, DatabaseUnavailable))
            raise meant from None
        finally:
            self._turn.release()
        try:
            self._give_back(keep=True)
        except BaseException as error:
            # It is committed, and known to be: a cancellation, or the deadline, comes too late.
            logger.warning("a connection could not be given back: %s", type(error).__name__)

    def roll_back(self) -> None:
        """End it without a trace; nothing where it has ended."""
        mine = self._turn.acquire(blocking=False)
        try:
            # Who still has a block, such as a thread that was left, must not commit it, nor have it
            # in the next request.
            self._give_back(keep=mine)
        finally:
            if mine:
                self._turn.release()

    def end(self) -> None:
        """As `roll_back`, for good: a thread that still begins it gives up."""
        with self._guard:
            self._ended = True
        self.roll_back()

    def after(self, text: str) -> None:
        """Run a statement that is not part of it, when it has been committed."""
        connection = self._take()
        try:
            connection.unmeasured(text)
        finally:
            self._give(connection, keep=True)

    @contextmanager
    def block(self) -> Iterator[Connection]:
        """A block of the app's, as `Database.connection()` is: it joins the transaction."""
        connection = self.enter()
        try:
            yield connection
            connection.commit()
        except BaseException as error:
            self.leave(failed=error)
            if not isinstance(error, Exception):
                raise
            lost = MEANING.while_using(error, closed=connection.closed)
            if lost is None:
                raise
            self.failure = lost
            request.note_failure(lost)
            raise lost from error
        else:
            self.leave()

    def enter(self) -> Connection:
        """Wait for a turn. Raises `ConnectionsBusy`."""
        request.not_over()
        self._wait_for_turn(patience())
        try:
            connection = self._mine()
            connection.check_savepoints()
        except BaseException:
            self._turn.release()
            raise
        connection.session.only_for = None
        self._user = threading.get_ident()
        return connection

    def leave(self, failed: BaseException | None = None) -> None:
        """End a turn."""
        connection = self._connection
        self.failure = failed
        self._user = None
        if connection is not None:
            if failed is not None:
                connection.undo()
            connection.block_ended()
            connection.put_factories_back()
            connection.session.only_for = NOBODY
        self._turn.release()

    def _mine(self) -> Connection:
        if self._connection is None:
            raise ConnectionsBusy("the request's transaction has ended")
        return self._connection

    def _wait_for_turn(self, limit: float) -> None:
        if self._user is not None and self._user == threading.get_ident():
            raise ConnectionsBusy("the caller already holds one, because `connection()` is nested")
        began = time.time()
        if not self._turn.acquire(timeout=limit):
            raise ConnectionsBusy(
                "another block of the request's transaction did not end in "
                f"{time.time() - began:.1f} s"
            )

    def _give_back(self, *, keep: bool) -> None:
        with self._guard:
            connection, self._connection = self._connection, None
        if connection is not None:
            if keep:
                connection.session.leave_joined()
                connection.ahead = ""
            self._give(connection, keep=keep)

    def _meant(self, error: BaseException, connection: Connection) -> BaseException:
        if not isinstance(error, Exception) or isinstance(error, DatabaseUnavailable):
            return error
        lost = MEANING.while_using(error, closed=connection.closed)
        self.failure = lost or error
        if lost is None:
            return error
        lost.__cause__ = error
        request.note_failure(lost)
        return lost


def of_pool(database: object, pool: "Pool") -> Unit:
    """A unit on a connection of a pool."""

    def take() -> Connection:
        connection = pool.acquire()
        # Not of the thread that happens to run this: the next request's may be the same one.
        pool.held_by(connection, unit)
        return connection

    unit = Unit(database, take, pool.release)
    return unit
