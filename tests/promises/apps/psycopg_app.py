"""WSGI on `sunup.psycopg`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg.rows import dict_row

from sunup.psycopg import Database

from . import works_sync


class Session:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, statement: str) -> object:
        return self._connection.execute(statement)

    def value(self, statement: str) -> object:
        return self._connection.execute(statement).fetchone()[0]

    def unsettle(self) -> None:
        self._connection.autocommit = True
        self._connection.row_factory = dict_row
        self._connection.prepare_threshold = None

    def settled(self) -> bool:
        connection = self._connection
        return (
            not connection.autocommit
            and connection.row_factory is not dict_row
            and connection.prepare_threshold is not None
        )


class Sessions(works_sync.Sessions):
    def __init__(self, db: Database) -> None:
        self._db = db

    @contextmanager
    def connection(self) -> Iterator[Session]:
        with self._db.connection() as connection:
            yield Session(connection)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with self._db.transaction() as connection:
            yield Session(connection)


def make() -> tuple[Any, Database]:
    """The app and its database."""
    db = Database()
    return works_sync.app(Sessions(db)), db
