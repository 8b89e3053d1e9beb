"""Runs an app's env.py over a connection that sunup opened, also one as Alembic generated it.

Alembic's templates make an engine of their own from `sqlalchemy.url`, which would have neither a
token nor patience. While env.py runs, those two makers hand out the open connection instead.
"""

import logging.config
from collections.abc import Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sunup.local.errors import CommandError

from .folder import explained

Result = TypeVar("Result")
Steps = Callable[[Any, MigrationContext], Any]


@dataclass(frozen=True)
class Bookkeeping:
    """What the database has, and where it says so: env.py may name Alembic's table otherwise."""

    heads: tuple[str, ...] = ()
    table: str = "alembic_version"
    schema: str | None = None

    def applied(self, script: ScriptDirectory) -> set[str]:
        """The revisions that the database has. Raises `CommandError` when one has no file."""
        with explained(Path(script.dir)):
            return {
                each.revision
                for head in self.heads
                for each in script.iterate_revisions(head, "base")
            }


def run_env(
    connection: Connection, config: Config, script: ScriptDirectory, steps: Steps, **options: Any
) -> None:
    """Run env.py; Alembic asks `steps` what there is to do. `options` are EnvironmentContext's.

    Raises `CommandError`, and what the migrations raise.
    """

    def checked(heads: Any, context: MigrationContext) -> Any:
        if not context.as_sql and not _is_same(context.connection, connection):
            raise CommandError(
                f"{Path(script.dir).name}/env.py opens a connection of its own",
                'It has to use sunup\'s: context.config.attributes["connection"].',
            )
        return steps(heads, context)

    config.attributes["connection"] = connection
    with (
        explained(Path(script.dir)),
        EnvironmentContext(config, script, fn=checked, **options),
        handed_out(connection),
    ):
        script.run_env()


def _is_same(theirs: Connection | None, ours: Connection) -> bool:
    """Whether both are the same session of the database."""
    return (
        theirs is not None
        and theirs.connection.dbapi_connection is ours.connection.dbapi_connection
    )


def bookkeeping(connection: Connection, config: Config, script: ScriptDirectory) -> Bookkeeping:
    """Ask the database, where env.py says. Changes nothing. Raises `CommandError`."""
    found: list[Bookkeeping] = []

    def note(heads: Any, context: MigrationContext) -> list[Any]:
        found.append(Bookkeeping(tuple(heads), context.version_table, context.version_table_schema))
        return []

    try:
        run_env(connection, config, script, note, dont_mutate=True)
    except (CommandError, DBAPIError):
        raise
    except Exception as error:
        raise CommandError(
            f"{Path(script.dir) / 'env.py'}: {type(error).__name__}: {error}",
            "It is Alembic's entry: it has to run.",
        ) from error
    connection.rollback()
    return found[-1] if found else Bookkeeping()


@contextmanager
def handed_out(connection: Connection) -> Iterator[None]:
    """Let what env.py calls to make an engine give `connection`, and leave logging as it is."""
    with ExitStack() as stack:
        stack.enter_context(
            patch("sqlalchemy.engine_from_config", lambda *_, **__: _Engine(connection))
        )
        # Of alembic.ini: it would silence every logger of this process.
        stack.enter_context(patch.object(logging.config, "fileConfig", lambda *_, **__: None))
        with suppress(ImportError):  # of greenlet: then env.py cannot import it either
            from sqlalchemy.ext import asyncio

            made = patch.object(
                asyncio, "async_engine_from_config", lambda *_, **__: _AsyncEngine(connection)
            )
            stack.enter_context(made)
        yield


class _Engine:
    """The part of an Engine that Alembic's templates use."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        yield self._connection

    begin = connect

    def dispose(self) -> None:
        """The connection is not its own."""


class _AsyncEngine:
    """The same of an AsyncEngine."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def connect(self) -> Any:
        yield self

    begin = connect

    async def run_sync(self, function: Callable[..., Result], *args: Any, **options: Any) -> Result:
        return function(self._connection, *args, **options)

    async def dispose(self) -> None:
        """The connection is not its own."""
