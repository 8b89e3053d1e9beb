"""Runs an app's env.py over a connection that sunup opened, also one as Alembic generated it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sunup.local.errors import CommandError

from . import flask_migrate
from .engines import handed_out
from .folder import explained

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
                f"{Path(script.dir).name}/env.py opens its own connection",
                'Use sunup\'s instead: context.config.attributes["connection"].',
            )
        return steps(heads, context)

    config.attributes["connection"] = connection
    with (
        explained(Path(script.dir)),
        EnvironmentContext(config, script, fn=checked, **options),
        handed_out(connection),
        flask_migrate.in_context(Path(script.dir), connection),
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
            "Fix this file: Alembic runs it before every command. sunup opens the connection, so "
            "what reads a database URL there can go.",
        ) from error
    connection.rollback()
    return found[-1] if found else Bookkeeping()
