"""SQLAlchemy engines on sunup's connections: signed in by token, awake, checked after a freeze.

from sunup.asyncpg import Database
from sunup.integrations.sqlalchemy import create_async_engine

db = Database()
engine = create_async_engine(db)

The engine is SQLAlchemy's own, with its own pool: what it costs to prepare a connection for it
(several round trips) is paid once for each. Its pool opens connections through the `Database`.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import sqlalchemy
from sqlalchemy import event, exc, pool
from sqlalchemy.util import await_only

from sunup import request
from sunup.connecting import timing
from sunup.connecting.meaning import Meaning
from sunup.connecting.retrying import note_conflict
from sunup.connecting.waking import patience
from sunup.deadline import DeadlineExceeded
from sunup.engines import Engine
from sunup.failures import ConnectionsBusy, DatabaseUnavailable
from sunup.settings import Settings

from .sqlalchemy_retrying import run_async_transaction, run_transaction

if TYPE_CHECKING:
    import asyncpg
    import psycopg
    from sqlalchemy.ext.asyncio import AsyncEngine

    from sunup.asyncpg import Database as AsyncpgDatabase
    from sunup.psycopg import Database as PsycopgDatabase

    _Database = PsycopgDatabase | AsyncpgDatabase

__all__ = ["create_async_engine", "create_engine", "run_async_transaction", "run_transaction"]

# How to make a request's one transaction on an engine.
_units: "WeakKeyDictionary[sqlalchemy.Engine, Callable[[], Any]]" = WeakKeyDictionary()


def unit_of(engine: Any) -> "Callable[[], Any] | None":
    """For `sunup.exactly_once`: what makes a request's one transaction; None: not of sunup's."""
    found = getattr(engine, "sync_engine", engine)
    return _units.get(found) if isinstance(found, sqlalchemy.Engine) else None


def create_engine(db: "PsycopgDatabase", **options: Any) -> sqlalchemy.Engine:
    """An `Engine` on psycopg whose connections come from `db`, a `sunup.psycopg.Database`.

    `options` are those of `sqlalchemy.create_engine`, except the pool's. Connecting waits for a
    sleeping database until the request's deadline and raises a `DatabaseUnavailable`, and so does
    a connection that breaks in use (`ConnectionLost`). Parameters are kept out of exceptions
    unless `hide_parameters=False`.
    """
    from sunup.psycopg import Database
    from sunup.psycopg.meaning import MEANING

    if not isinstance(db, Database):
        raise TypeError("create_engine takes a sunup.psycopg.Database; see create_async_engine")

    def creator() -> "psycopg.Connection[Any]":
        return db.pool().lend()

    def alive(connection: Any, rests_since: float) -> bool:
        connection.rests_since = rests_since
        if not db.pool().check(connection):
            return False
        connection.keep_time()
        return True

    def put_right(connection: Any) -> bool:
        return bool(connection.closed or connection.clean or connection.put_right())

    optimistic = _engine_of(db).optimistic
    if optimistic:
        options.setdefault("use_native_hstore", False)  # to look for it makes a savepoint
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=creator, **_options(db.size, _QueuePool, options)
    )
    if optimistic:
        _savepoints_by_driver(engine, lambda mine, text: mine.execute(text))
    _check_before_use(engine, db, alive)
    _put_right_after_use(engine, db, put_right)
    event.listen(engine, "handle_error", partial(_explain, MEANING))
    _join_units(engine, db, "psycopg_unit")
    return engine


def create_async_engine(db: "AsyncpgDatabase", **options: Any) -> "AsyncEngine":
    """An `AsyncEngine` on asyncpg whose connections come from `db`, a `sunup.asyncpg.Database`.

    As `create_engine`. One engine serves one event loop; on Lambda there is only one.
    """
    from sqlalchemy.ext import asyncio

    from sunup.asyncpg import Database
    from sunup.asyncpg.meaning import MEANING

    if not isinstance(db, Database):
        raise TypeError("create_async_engine takes a sunup.asyncpg.Database; see create_engine")

    async def creator() -> "asyncpg.Connection":
        return await db.pool().lend()

    def alive(connection: Any, rests_since: float) -> bool:
        async def check(driver_connection: Any) -> bool:
            driver_connection.rests_since = rests_since
            return await db.pool().check(driver_connection)

        return bool(connection.run_async(check))

    def put_right(connection: Any) -> bool:
        driver_connection = connection.driver_connection
        if driver_connection.is_closed() or driver_connection.clean:
            return True
        return bool(connection.run_async(lambda each: each.put_right()))

    engine = asyncio.create_async_engine(
        "postgresql+asyncpg://",
        async_creator=creator,
        **_options(db.size, _AsyncQueuePool, options),
    )
    _check_before_use(engine.sync_engine, db, alive)
    _put_right_after_use(engine.sync_engine, db, put_right)
    if _engine_of(db).optimistic:
        _savepoints_by_driver(engine.sync_engine, lambda mine, text: await_only(mine.execute(text)))
    if not _engine_of(db).prepared:
        event.listen(engine.sync_engine, "connect", _prepare_nothing)
    event.listen(engine.sync_engine, "handle_error", partial(_explain, MEANING))
    _join_units(engine.sync_engine, db, "asyncpg_unit")
    # psycopg's statements are counted by sunup's own cursor; SQLAlchemy prepares asyncpg's itself.
    event.listen(engine.sync_engine, "before_cursor_execute", _note_start)
    event.listen(engine.sync_engine, "after_cursor_execute", _note_end)
    return engine


def _savepoints_by_driver(engine: sqlalchemy.Engine, execute: Callable[[Any, str], Any]) -> None:
    """Have the driver's connection asked for savepoints, which knows what to do without them."""

    def step(word: str) -> Callable[[sqlalchemy.Connection, str], None]:
        def do(connection: sqlalchemy.Connection, name: str) -> None:
            execute(connection.connection.driver_connection, f"{word} {name}")

        return do

    dialect: Any = engine.dialect
    dialect.do_savepoint = step("savepoint")
    dialect.do_release_savepoint = step("release savepoint")
    dialect.do_rollback_to_savepoint = step("rollback to savepoint")


def _engine_of(db: "_Database") -> Engine:
    return (db.given or Settings.from_environment()).engine


def _join_units(engine: sqlalchemy.Engine, db: "_Database", kind: str) -> None:
    pool: Any = engine.pool
    pool.sunup_database = db
    reference = ref(engine)

    def make() -> Any:
        from . import sqlalchemy_unit

        return getattr(sqlalchemy_unit, kind)(reference(), db)

    _units[engine] = make


def _options(size: int, poolclass: type[pool.Pool], options: dict[str, Any]) -> dict[str, Any]:
    for name in ("poolclass", "pool", "pool_size", "max_overflow", "creator", "async_creator"):
        if name in options:
            raise TypeError(f"sunup sets {name!r}; set the number of connections with DB_POOL_SIZE")
    return {
        "poolclass": poolclass,
        "pool_size": size,
        "max_overflow": 0,
        "pool_use_lifo": True,
        # Exceptions are logged, and parameters are personal data.
        "hide_parameters": True,
        **options,
    }


class _Patient:
    """Waits for a connection that is in use as long as the request may take."""

    _timeout: float
    # Whose connections they are.
    sunup_database: Any = None

    def connect(self) -> Any:
        unit = request.unit_of(self.sunup_database)
        if unit is not None:
            from .sqlalchemy_unit import joined

            return joined(unit, self)  # type: ignore[arg-type]
        return super().connect()  # type: ignore[misc]

    def recreate(self) -> Any:
        again = super().recreate()  # type: ignore[misc]
        again.sunup_database = self.sunup_database
        return again

    def _do_get(self) -> Any:
        self._timeout = patience()
        current = request.active()
        before = None if current is None else (current.committed, current.doubtful)
        try:
            return super()._do_get()  # type: ignore[misc]
        except exc.TimeoutError:
            failure = ConnectionsBusy(f"none became free in {self._timeout:.1f} s")
            request.note_failure(failure)
            raise failure from None
        finally:
            # What the engine asks of its first connection looks as if it could change anything.
            if current is not None and before is not None:
                current.committed, current.doubtful = before


class _QueuePool(_Patient, pool.QueuePool):
    __module__ = pool.QueuePool.__module__  # SQLAlchemy names the logger after it: `sqlalchemy...`


class _AsyncQueuePool(_Patient, pool.AsyncAdaptedQueuePool):
    __module__ = pool.AsyncAdaptedQueuePool.__module__


def _check_before_use(engine: sqlalchemy.Engine, db: "_Database", alive: Any) -> None:
    """Have each connection that rested checked before it is handed out, and replaced if dead."""

    @event.listens_for(engine, "connect")
    def connected(_: Any, record: Any) -> None:
        record.info["sunup_process"] = os.getpid()
        record.info["sunup_rests_since"] = time.time()
        record.info["sunup_pool"] = engine.pool
        record.info["sunup_adopted"] = False

    @event.listens_for(engine, "checkout")
    def handed_out(connection: Any, record: Any, proxy: Any) -> None:
        if record.info["sunup_process"] != os.getpid():
            # The parent's; closing it here would say goodbye on the parent's socket.
            record.dbapi_connection = proxy.dbapi_connection = None
            raise exc.DisconnectionError("the connection belongs to another process")
        current = request.not_over()
        mine = _driver_connection(connection)
        mine.spare = False
        if not alive(connection, record.info["sunup_rests_since"]):
            raise exc.DisconnectionError("the connection ended while it was idle")
        if not record.info["sunup_adopted"]:
            # What the engine and the app's listeners did to it shall stay.
            mine.adopt()
            record.info["sunup_adopted"] = True
        pool = db.pool()
        pool.hold(mine, current)
        if current is not None:
            # Its place in SQLAlchemy's pool is free then, no matter who still has it.
            current.held[mine] = partial(_taken_away, pool, mine, proxy)
        request.note_failure(None)


def _taken_away(pool: Any, connection: Any, proxy: Any) -> None:
    pool.reclaim(connection)
    proxy.detach()


def _put_right_after_use(engine: sqlalchemy.Engine, db: "_Database", put_right: Any) -> None:
    """Have what a block changed in its session put back; where that fails, it is replaced."""

    @event.listens_for(engine, "checkin")
    def returned(connection: Any, record: Any) -> None:
        record.info["sunup_rests_since"] = time.time()
        if connection is not None and record.info["sunup_process"] == os.getpid():
            mine = _driver_connection(connection)
            db.pool().let_go(mine)
            disposed = record.info["sunup_pool"] is not engine.pool
            if disposed or not put_right(connection):
                record.invalidate()
            else:
                mine.spare = True


def _driver_connection(connection: Any) -> Any:
    """Asyncpg's own, in SQLAlchemy's; psycopg's is used as it is."""
    return getattr(connection, "driver_connection", connection)


def _explain(meaning: Meaning, context: Any) -> DatabaseUnavailable | None:
    """Raise sunup's failure where the database caused one, and have the connection replaced."""
    error = context.original_exception
    if isinstance(error, DatabaseUnavailable):
        return None
    connection, closed = None, False
    if context.connection is not None and not context.connection.invalidated:
        connection = context.connection.connection.driver_connection
        closed = connection is None or bool(connection.is_dead())  # None: taken away
    # SQLAlchemy's asyncpg dialect raises its own exceptions from the driver's.
    lost = meaning.while_using(error.__cause__ or error, closed=closed)
    if lost is None and error.__cause__ is not None:
        lost = meaning.while_using(error, closed=closed)
    run = request.working.get()
    if run and run.unit is not None:
        run.unit.failure = lost or error.__cause__ or error
    if lost is not None:
        context.is_disconnect = True
        request.note_failure(lost)
    elif isinstance(error, DeadlineExceeded) and connection is not None and not closed:
        # SQLAlchemy would replace it by one without the options that it was given. It works, and
        # no transaction was lost, of which the block's end would have to tell.
        context.is_disconnect = not connection.autocommit
    else:
        note_conflict(error)
    return lost


def _prepare_nothing(connection: Any, _: Any) -> None:
    """Have each statement parsed for one execution: the next one may be in another session."""
    connection._prepared_statement_cache = None  # noqa: SLF001
    connection._prepared_statement_name_func = str  # noqa: SLF001  # without a name


def _note_start(*arguments: Any) -> None:
    arguments[4]._sunup_began = timing.begin()  # noqa: SLF001  # the execution context is ours to mark


def _note_end(_: Any, cursor: Any, statement: str, __: Any, context: Any, ___: Any) -> None:
    timing.end(context._sunup_began, statement, cursor.rowcount)  # noqa: SLF001
