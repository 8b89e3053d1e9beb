"""The database of a sync app: `from sunup.psycopg import Database`.

db = Database()

with db.connection() as connection:
    row = connection.execute("select name from users where id = %s", (1,)).fetchone()
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg

from sunup import request
from sunup.connecting.credentials import CredentialSource
from sunup.connecting.process import Local
from sunup.settings import Settings

from .attempt import connect, connect_parameters
from .meaning import MEANING
from .pool import Connect, Pool

if TYPE_CHECKING:
    from .unit import Unit

__all__ = ["Connection", "Database"]

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


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
