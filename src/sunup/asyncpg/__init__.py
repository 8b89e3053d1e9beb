"""The database of an async app: `from sunup.asyncpg import Database`.

db = Database()

async with db.connection() as connection:
    row = await connection.fetchrow("select name from users where id = $1", 1)
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import asyncpg

from sunup import deadline, request
from sunup.connecting.credentials import CredentialSource
from sunup.connecting.process import Local
from sunup.connecting.session import Isolation
from sunup.connecting.waking import password_for
from sunup.settings import Settings

from . import attempt as attempts
from .meaning import MEANING, was_cancelled
from .pool import Pool

if TYPE_CHECKING:
    from .unit import Unit

__all__ = ["Connection", "Database"]

# What the app is given: asyncpg's own class, with its types where asyncpg-stubs is installed.
Connection: TypeAlias = asyncpg.Connection

T = TypeVar("T")


class Database:
    """Owns the connections of this process. Making one costs nothing and connects to nothing.

    Settings are read from the environment at the first use, unless given. On Lambda there is one
    connection in a process, elsewhere `DB_POOL_SIZE` (5). Each event loop has its own
    connections; a forked process starts afresh.
    """

    # For `sunup.exactly_once`: it is awaited.
    blocking = False

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings
        self._credentials = CredentialSource()
        self._pools: Local[dict[asyncio.AbstractEventLoop, Pool]] = Local(dict)

    @property
    def settings(self) -> Settings:
        """The settings in use. Raises `SettingsError` when the environment's are wrong."""
        if self._settings is None:
            self._settings = Settings.from_environment()
            if not self._settings.host:
                from sunup import nearby

                self._settings = nearby.settings()
        self._settings.check_database()
        return self._settings

    @property
    def given(self) -> Settings | None:
        """The settings, where they are not the environment's or not read yet: reads nothing."""
        return self._settings

    @property
    def size(self) -> int:
        """The most connections (DB_POOL_SIZE), whether there is a database or not."""
        return (self._settings or Settings.from_environment()).pool_size

    async def start(self) -> None:
        """Begin to connect in the background and return at once."""
        self.pool().open()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """The driver's own connection, checked, and nobody else's until the block ends.

        Waits for a sleeping database until the request's deadline (`sunup.deadline`), 60 s without
        one. Raises a `DatabaseUnavailable`: `DatabaseResuming`, `DatabaseFull`, `TokenRefused` and
        so on before anything was executed, `ConnectionLost` when the connection broke in the
        block. Statements are never repeated. asyncpg commits each statement separately; settings
        made with SET stay with the connection (SET LOCAL does not). In a request with a receipt
        (`sunup.exactly_once`) all blocks are one transaction.
        """
        unit = request.unit_of(self)
        if unit is not None:
            async with unit.block() as connection:
                yield connection
            return
        pool = self.pool()
        connection = await pool.acquire()
        request.note_failure(None)
        try:
            yield connection
        except Exception as error:
            lost = MEANING.while_using(error, closed=connection.is_closed())
            if lost is not None:
                request.note_failure(lost)
            await pool.give_back(connection, keep=lost is None)
            if lost is None:
                _note_conflict(error)
                raise
            if was_cancelled(error):
                raise asyncio.CancelledError from lost
            raise lost from error
        except asyncio.CancelledError:
            await pool.give_back(connection)  # it stays so, whatever became of the connection
            raise
        except BaseException:
            pool.release(connection)
            raise
        else:
            await pool.give_back(connection)

    @asynccontextmanager
    async def transaction(
        self,
        *,
        isolation: Isolation | None = None,
        readonly: bool = False,
        deferrable: bool = False,
    ) -> AsyncIterator[Connection]:
        """A connection inside a transaction: committed at the end, rolled back on an exception."""
        unit = request.unit_of(self)
        if unit is not None and not (isolation or readonly or deferrable):
            async with unit.block() as connection:  # which is one already
                yield connection
            return
        async with self.connection() as connection, AsyncExitStack() as stack:
            if unit is not None and isolation:
                ours: Any = connection
                await ours.check_isolation(isolation)
                isolation = None
            begun = connection.transaction(
                isolation=isolation, readonly=readonly, deferrable=deferrable
            )
            await begun.__aenter__()
            stack.push_async_exit(partial(_end, begun))
            if readonly and unit is not None and not unit.engine.optimistic:
                await connection.execute("set transaction read only")  # until its savepoint ends
            yield connection

    async def run(
        self,
        work: Callable[[Connection], Awaitable[T]],
        *,
        isolation: Isolation | None = None,
        single: bool = False,
    ) -> T:
        """Run `work(connection)` in a transaction, and all of it again where others were first.

        That is where the server has refused the transaction for what others did at the same time
        (SQLSTATE 40001, 40P01: each conflict on Aurora DSQL, `repeatable_read` and `serializable`
        elsewhere), or the connection broke before its COMMIT was sent. Until the request's
        deadline, 60 s without one, with random pauses. So `work` must do nothing but what the
        transaction undoes, and not commit by itself. `single`: it is one statement, which needs
        no transaction, and so no round trips for one.

        Raises what `work` raises, `TransactionConflict` when there is no time left, and
        `ConnectionLost` where the answer to COMMIT was lost: it may have been committed. In a
        request with a receipt all is one transaction, and the whole request is run again.
        """
        if single and isolation is not None:
            raise ValueError("a single statement has no isolation level: it needs no transaction")
        joined = request.unit_of(self) is not None
        began, doubtful, retries = time.time(), request.doubts(), None
        mine: Any
        while True:
            sent, mine = False, None
            try:
                async with (
                    self.connection() if single else self.transaction(isolation=isolation)
                ) as connection:
                    mine, sent = connection, single
                    result = await work(connection)
                    mine.session.check_not_aborted()
                    sent = True
            except Exception as error:
                if joined:
                    raise
                from sunup.connecting.retrying import Retries

                retries = retries or Retries(began, doubtful)
                broken = mine is not None and bool(mine.is_closed())
                pause = retries.pause_after(error, broken=broken, sent=sent)
                if pause is None:
                    raise
            else:
                if retries is not None:
                    retries.ended_well()
                return result
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Close this event loop's connections. The next use opens new ones."""
        self._credentials.forget()
        self._abandon_ended()
        pool = self._pools.get().pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.close()

    def unit(self) -> "Unit":
        """One transaction for all that a request does: for `sunup.exactly_once`."""
        from .unit import of_pool

        return of_pool(self, self.pool())

    def connect_parameters(self) -> dict[str, Any]:
        """The arguments of `asyncpg.connect` and `asyncpg.create_pool`, for your own connections.

        `password` is a coroutine function that signs a fresh token for each attempt to connect.
        Such connections know no deadline and no sleeping database.
        """

        async def password() -> str | None:
            if not self.settings.uses_token:
                return self.settings.password
            loop = asyncio.get_running_loop()
            credentials = await loop.run_in_executor(None, self._credentials.find)
            return password_for(self.settings, credentials)

        return {**attempts.connect_parameters(self.settings), "password": password}

    def pool(self) -> Pool:
        """The connections of the running event loop: for integrations with other libraries."""
        mine = self._pools.get()
        loop = asyncio.get_running_loop()
        if loop not in mine:
            self._abandon_ended()
            mine[loop] = Pool(self.settings, self._credentials)
        return mine[loop]

    def _abandon_ended(self) -> None:
        """Close the connections of event loops that have ended."""
        mine = self._pools.get()
        for loop in [each for each in list(mine) if each.is_closed()]:
            pool = mine.pop(loop, None)
            if pool is not None:  # another thread was faster
                pool.abandon()


async def _end(begun: Any, *error: object) -> None:
    """End asyncpg's transaction; a rollback may wait for a server that does not answer any more."""
    if error[0] is None:
        await begun.__aexit__(*error)
    elif asyncio._get_running_loop() is not None:  # noqa: SLF001  # else the collector ends it
        with suppress(TimeoutError):  # then it is closed at the block's end
            async with asyncio.timeout(deadline.for_cleaning()):
                await begun.__aexit__(*error)


def _note_conflict(error: Exception) -> None:
    from sunup.connecting.retrying import note_conflict  # seldom needed

    note_conflict(error)
