"""A request's one transaction on an engine: its sessions and connections join it.

SQLAlchemy's own way for this, a session on a connection that is in a transaction, needs the app to
take part. Here the engine's pool hands out the one connection again: BEGIN and COMMIT become
savepoints.
"""

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import await_only, greenlet_spawn

from sunup.connecting.session import KEEP
from sunup.failures import ConnectionsBusy

if TYPE_CHECKING:
    from sunup.asyncpg.connection import Connection as AsyncpgConnection
    from sunup.asyncpg.unit import Unit as AsyncpgUnit
    from sunup.psycopg.connection import Connection as PsycopgConnection
    from sunup.psycopg.unit import Unit as PsycopgUnit


# What is being given back.
_returning: "set[asyncio.Future[None]]" = set()


def psycopg_unit(engine: sqlalchemy.Engine, db: object) -> "PsycopgUnit":
    """A unit on a connection of an engine's."""
    from sunup.psycopg.unit import Unit

    outer: list[PoolProxiedConnection] = []

    def take() -> "PsycopgConnection":
        outer.append(_outside(engine))
        connection: Any = outer[0].driver_connection
        if connection.autocommit:
            _returned(outer.pop(), keep=True)
            raise _no_autocommit()
        return connection  # type: ignore[no-any-return]

    def give(_: "PsycopgConnection", *, keep: bool) -> None:
        _returned(outer.pop(), keep=keep)

    unit: Any = Unit(db, take, give)
    unit.outer = outer
    return unit  # type: ignore[no-any-return]


def asyncpg_unit(engine: sqlalchemy.Engine, db: object) -> "AsyncpgUnit":
    """A unit on a connection of an async engine's."""
    from sunup.asyncpg.unit import Unit

    outer: list[PoolProxiedConnection] = []

    def take_now() -> None:
        outer.append(_outside(engine))

    async def take() -> "AsyncpgConnection":
        await greenlet_spawn(take_now)
        connection: Any = outer[0].driver_connection
        level = getattr(outer[0].dbapi_connection, "isolation_level", None)
        if level == "autocommit":
            await greenlet_spawn(_returned, outer.pop(), keep=True)
            raise _no_autocommit()
        unit.isolation = level
        connection.lent = False  # what sunup sends is not the engine's
        return connection  # type: ignore[no-any-return]

    async def give(connection: "AsyncpgConnection", *, keep: bool) -> None:
        connection.lent = True
        returning = asyncio.ensure_future(greenlet_spawn(_returned, outer.pop(), keep=keep))
        _returning.add(returning)
        returning.add_done_callback(_returning.discard)
        await asyncio.shield(returning)  # it goes on, however often this task is cancelled

    unit: Any = Unit(db, take, give)
    unit.outer = outer
    return unit  # type: ignore[no-any-return]


def joined(unit: Any, pool: sqlalchemy.Pool) -> "Joined":
    """The request's connection, for a caller that asks this pool of the same database for one.

    Raises `InvalidRequestError` where the request's transaction is not on this engine: what the
    engine does would not be part of it.
    """
    outer = getattr(unit, "outer", None)
    if outer is None:
        raise InvalidRequestError("give exactly_once the engine as its database, not the Database")
    if not outer or outer[0]._pool is not pool:  # noqa: SLF001
        raise InvalidRequestError(
            "the request's transaction is on another engine, or on one disposed of"
        )
    return Joined(unit, outer[0])


def _outside(engine: sqlalchemy.Engine) -> PoolProxiedConnection:
    """A connection of the pool's, not one that has joined."""
    from sqlalchemy.pool.base import _ConnectionFairy

    return _ConnectionFairy._checkout(engine.pool)  # noqa: SLF001


def _returned(outer: PoolProxiedConnection, *, keep: bool) -> None:
    if not keep:
        outer.invalidate()
    outer.close()


class Joined(PoolProxiedConnection):
    """The request's connection, for one block; to close it ends the block."""

    def __init__(self, unit: Any, outer: PoolProxiedConnection) -> None:
        self._unit = unit = getattr(unit, "inner", unit)
        self._outer = outer
        self._open = False
        self._failed: BaseException | None = None
        # The task, or the thread, that has it.
        blocking = getattr(unit, "blocking", False)
        self._owner: Any = threading.get_ident() if blocking else asyncio.current_task()
        # Since the last commit nothing was sent.
        self._kept = False
        # What SQLAlchemy undoes at the end, such as an isolation level.
        self._connection_record = _Record()
        _wait(unit, unit.enter())
        self._open = True
        unit.holder = self
        self.dbapi_connection: Any = outer.dbapi_connection

    @property
    def driver_connection(self) -> Any:  # type: ignore[override]
        """The driver's own."""
        return self._outer.driver_connection

    @property
    def is_valid(self) -> bool:
        """Whether it can be used."""
        return self._failed is None and self._outer.is_valid

    @property
    def is_detached(self) -> bool:
        """Whether it is apart from its pool: never."""
        return False

    @property
    def info(self) -> Any:
        """Of the pool's entry."""
        return self._outer.info

    @property
    def record_info(self) -> Any:
        """Of the pool's entry."""
        return self._outer.record_info

    def detach(self) -> None:
        """Not possible: the transaction is the request's."""
        raise InvalidRequestError("a connection of the request's transaction cannot be detached")

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        """A cursor of the driver's, for a statement. Raises `ConnectionsBusy`."""
        if not self._open:
            raise ConnectionsBusy("the request's transaction that it belonged to has ended")
        if getattr(self.dbapi_connection, "isolation_level", None) == "autocommit":
            raise _no_autocommit()
        if self._kept:
            self._kept = False
            if not self._blocking:
                session = self.driver_connection.session
                ahead = session.block_ended(KEEP) if session.engine.optimistic else KEEP
                if ahead:
                    await_only(self.driver_connection.unmeasured(ahead))
                    session.sent(ahead)
        return self.dbapi_connection.cursor(*arguments, **options)

    def commit(self) -> None:
        """Keep what the block has done."""
        self.dbapi_connection.commit()
        self._kept = True

    def rollback(self) -> None:
        """Undo what the block has done since the last commit."""
        if self._open:
            self.dbapi_connection.rollback()

    def invalidate(self, e: BaseException | None = None, soft: bool = False) -> None:  # noqa: FBT001, FBT002
        """Undo what the block has done since the last commit; the connection may be lost."""
        self._abandon(e or ConnectionsBusy("the connection was invalidated"))

    @property
    def is_left(self) -> bool:
        """Whether nobody will use it any more: its task has ended, or is the one that asks."""
        if self._blocking:
            return bool(self._owner == threading.get_ident())
        return bool(self._owner is asyncio.current_task() or self._owner.done())

    def take_away(self) -> None:
        """The request ends, and whoever has it has not closed it.

        Raises `InvalidRequestError` where something was changed, and not committed.
        """
        changed = not self._kept and self.driver_connection.session.unkept
        self._abandon(ConnectionsBusy("a connection was not closed"))
        if changed:
            raise InvalidRequestError(
                "a session was neither committed nor closed when its request was answered"
            )

    def _abandon(self, why: BaseException) -> None:
        if self._open and not self._kept:
            self._failed = why
        if not self._blocking:
            self.dbapi_connection._transaction = None  # noqa: SLF001  # its savepoint goes with UNDO
        self._leave()

    @property
    def _blocking(self) -> bool:
        return bool(getattr(self._unit, "blocking", False))

    def close(self) -> None:
        """End the block; what was not committed is undone."""
        if self._open:
            try:
                self.dbapi_connection.rollback()
                self._undo()
            except BaseException as error:
                self._failed = error
                raise
            finally:
                self._leave()

    def _close_special(self, transaction_reset: bool = False) -> None:  # noqa: FBT001, FBT002
        # Called by SQLAlchemy's Connection, which has rolled back already.
        if transaction_reset:
            self._undo()
            self._leave()
        else:
            self.close()

    def _undo(self) -> None:
        while self._connection_record.finalize_callback:
            self._connection_record.finalize_callback.pop()(self.dbapi_connection)

    def _leave(self) -> None:
        if self._open:
            self._open = False
            self._unit.holder = None
            self._unit.leave(self._failed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dbapi_connection, name)

    def __del__(self) -> None:
        if self.__dict__.get("_open"):
            self._abandon(ConnectionsBusy("a connection was not closed"))


def _no_autocommit() -> InvalidRequestError:
    return InvalidRequestError(
        "AUTOCOMMIT is not possible in a request with a receipt, which is one transaction"
    )


class _Record:
    """What SQLAlchemy asks of a pool's entry."""

    def __init__(self) -> None:
        self.finalize_callback: list[Any] = []


def _wait(unit: Any, entered: Any) -> None:
    if not getattr(unit, "blocking", False):
        await_only(entered)
