"""Cursors that tell their connection what they send, and count their statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from sunup.connecting import timing


class Telling:
    """The first base of a cursor's class: tells the connection what the cursor sends."""

    connection: Any

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        """As in psycopg: run a statement."""
        text = text_of(query, self)
        connection = self.connection
        if connection.session.engine.optimistic:
            instead = connection.without_savepoint(text)
            if instead is not None:
                if instead:
                    with connection.lock:
                        connection.begin_anew(instead)
                return self
        connection.texts.append(text)
        return super().execute(query, *arguments, **options)  # type: ignore[misc]

    def executemany(self, query: Any, *arguments: Any, **options: Any) -> Any:
        """As in psycopg: run a statement once for each sequence of parameters."""
        self.connection.texts.append(text_of(query, self))
        return super().executemany(query, *arguments, **options)  # type: ignore[misc]

    def stream(self, query: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
        """As in psycopg: run a statement, and get its rows one by one."""
        if self.connection.session.joined:
            self.connection.texts.append(text_of(query, self))
        yield from super().stream(query, *arguments, **options)  # type: ignore[misc]

    @contextmanager
    def copy(self, statement: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
        """As in psycopg: run COPY."""
        if self.connection.session.joined:
            self.connection.texts.append(text_of(statement, self))
        with super().copy(statement, *arguments, **options) as copy:  # type: ignore[misc]
            yield copy


class Cursor(Telling, psycopg.Cursor[tuple[Any, ...]]):
    """A `psycopg.Cursor`. Statements are logged at DEBUG, their parameters never."""

    def execute(self, query: Any, *arguments: Any, **options: Any) -> "Cursor":
        """As in psycopg: run a statement."""
        return self._measured(query, super().execute, *arguments, **options)

    def executemany(self, query: Any, *arguments: Any, **options: Any) -> None:
        """As in psycopg: run a statement once for each sequence of parameters."""
        self._measured(query, super().executemany, *arguments, **options)

    def _measured(self, query: Any, run: Any, *arguments: Any, **options: Any) -> "Cursor":
        began = timing.begin()
        rows = 0
        try:
            run(query, *arguments, **options)
            rows = self.rowcount
        finally:
            timing.end(began, text_of(query, self), rows)
        return self


class ServerCursor(Telling, psycopg.ServerCursor[tuple[Any, ...]]):
    """A `psycopg.ServerCursor` that reports what it sends."""

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        """As in psycopg: declare the cursor."""
        self.connection.texts.append("declare cursor for")  # what outlives a block
        return super().execute(query, *arguments, **options)


def text_of(query: Any, context: Any) -> str:
    """A statement as text."""
    if isinstance(query, str):
        return query
    if isinstance(query, sql.Composable):
        query = query.as_string(context)
    if isinstance(query, bytes):
        query = query.decode(errors="replace")
    return str(query)
