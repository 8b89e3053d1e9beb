"""The database of a sync app: `from sunup.psycopg import Database`.

db = Database()

with db.connection() as connection:
    row = connection.execute("select name from users where id = %s", (1,)).fetchone()
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import psycopg

from sunup import request
from sunup.connecting.credentials import CredentialSource
from sunup.connecting.process import Local
from sunup.connecting.session import Isolation
from sunup.deadline import DeadlineExceeded
from sunup.settings import Settings

from .attempt import connect, connect_parameters
from .meaning import MEANING
from .pool import Connect, Pool

if TYPE_CHECKING:
    from .unit import Unit

__all__ = ["Connection", "Database"]

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

T = TypeVar("T")


class Database:
    """Owns the connections of this process. Making one costs nothing and connects to nothing.

    Settings are read from the environment at the first use, unless given. On Lambda there is one
    connection in a process, elsewhere `DB_POOL_SIZE` (5). Safe to use from several threads; a
    forked process starts afresh. `connect` replaces one attempt to connect: for integrations.
    """

    # For `sunup.exactly_once`: it blocks the calling thread.
    blocking = True

    def __init__(self, settings: Settings | None = None, *, connect: Connect = connect) -> None:
        self._settings = settings
        self._connect = connect
        self._credentials = CredentialSource()
        self._local: Local[Pool] = Local(self._make_pool)

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

    def start(self) -> None:
        """Begin to connect in the background and return at once."""
        self.pool().open()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """The driver's own connection, checked, and nobody else's until the block ends.

        As with psycopg's own pool, the block's work is committed at its end and rolled back on an
        exception. Waits for a sleeping database until the request's deadline (`sunup.deadline`),
        60 s without one. Raises a `DatabaseUnavailable`: `DatabaseResuming`, `DatabaseFull`,
        `TokenRefused` and so on before anything was executed, `ConnectionLost` when the connection
        broke in the block. Statements are never repeated. In a request with a receipt
        (`sunup.exactly_once`) all blocks are one transaction.
        """
        unit = request.unit_of(self)
        if unit is not None:
            with unit.block() as connection:
                yield connection
            return
        pool = self.pool()
        connection = pool.acquire()
        request.note_failure(None)
        try:
            yield connection
            connection.commit()
        except Exception as error:
            lost = MEANING.while_using(error, closed=connection.closed)
            pool.release(connection, keep=lost is None)
            if lost is None:
                _note_conflict(error)
                raise
            request.note_failure(lost)
            raise lost from error
        except BaseException:
            pool.release(connection)
            raise
        else:
            pool.release(connection)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection inside a transaction: committed at the end, rolled back on an exception."""
        with self.connection() as connection, connection.transaction():
            yield connection

    def run(self, work: Callable[[Connection], T], *, isolation: Isolation | None = None) -> T:
        """Run `work(connection)` in a transaction, and all of it again where others were first.

        That is where the server has refused the transaction for what others did at the same time
        (SQLSTATE 40001, 40P01: each conflict on Aurora DSQL, `repeatable_read` and `serializable`
        elsewhere), or the connection broke before its COMMIT was sent. Until the request's
        deadline, 60 s without one, with random pauses. So `work` must do nothing but what the
        transaction undoes, and not commit by itself.

        Raises what `work` raises, `TransactionConflict` when there is no time left, and
        `ConnectionLost` where the answer to COMMIT was lost: it may have been committed. In a
        request with a receipt all is one transaction, and the whole request is run again.
        """
        joined = request.unit_of(self) is not None
        began, doubtful, retries = time.time(), request.doubts(), None
        mine: Any
        while True:
            sent, mine = False, None
            try:
                with self._begun(isolation) as connection:
                    mine = connection
                    result = work(connection)
                    mine.session.check_not_aborted()
                    sent = True
            except (Exception, DeadlineExceeded) as error:
                if joined:
                    raise
                from sunup.connecting.retrying import Retries

                retries = retries or Retries(began, doubtful)
                broken = mine is not None and bool(mine.closed)
                pause = retries.pause_after(error, broken=broken, sent=sent)
                if pause is None:
                    raise
            else:
                if retries is not None:
                    retries.ended_well()
                return result
            time.sleep(pause)

    @contextmanager
    def _begun(self, isolation: Isolation | None) -> Iterator[Connection]:
        with self.connection() as connection:
            if isolation is not None:
                connection.isolation_level = psycopg.IsolationLevel[isolation.upper()]
            with connection.transaction():
                yield connection

    def close(self) -> None:
        """Close the connections of this process. The next use opens new ones."""
        self._credentials.forget()
        self.pool().close()

    def unit(self) -> "Unit":
        """One transaction for all that a request does: for `sunup.exactly_once`."""
        from .unit import of_pool

        return of_pool(self, self.pool())

    def connect_parameters(self) -> dict[str, Any]:
        """The arguments of `psycopg.connect`: for connections of your own, such as psycopg_pool's.

        `password` is a freshly signed token, good for 15 minutes: call this for each
        attempt to connect. Such connections know no deadline and no sleeping database.
        Raises `CredentialsMissing` and `TLSFailed`.
        """
        return connect_parameters(self.settings, self._credentials)

    def pool(self) -> Pool:
        """The connections of this process: for integrations with other libraries."""
        return self._local.get()

    def _make_pool(self) -> Pool:
        return Pool(self.settings, self._credentials, self._connect)


def _note_conflict(error: Exception) -> None:
    from sunup.connecting.retrying import note_conflict  # seldom needed

    note_conflict(error)
