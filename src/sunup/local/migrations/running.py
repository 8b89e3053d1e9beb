"""An app's Alembic migrations, over a connection that sunup opened: signed in and awake.

Everything that changes the database happens under one advisory lock, so that two at once do not
apply twice. What was applied is remembered with a checksum (`files`).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from sunup.connecting.credentials import CredentialSource
from sunup.failures import plain_text
from sunup.local.errors import CommandError
from sunup.local.opening import open_connection
from sunup.settings import Settings

from . import files as migration_files
from . import locking
from .folder import explained, file_of, one_head, open_folder
from .run import Run, applied


@dataclass(frozen=True)
class Revision:
    """One migration: `state` is applied, pending or changed (applied, then edited)."""

    revision: str
    title: str
    file: str
    state: str


def upgrade(
    settings: Settings,
    folder: Path,
    *,
    to: str = "head",
    accept: Iterable[str] = (),
    credentials: CredentialSource | None = None,
    on_wait: Callable[[], None] = lambda: None,
    on_retry: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Apply what is missing up to `to`, and return the revisions that were applied, oldest first.

    `accept` names applied revisions whose edited files are the valid ones from now on. `on_wait` is
    called when another run holds the lock, `on_retry` when a table is in use. Raises
    `CommandError`, also when the file of an applied migration was changed or is gone, and
    `DatabaseUnavailable`.
    """
    config, script = open_folder(folder)
    if to == "head":
        one_head(script)
    with _locked(settings, credentials, on_wait) as connection:
        before = _applied(connection, script, folder)
        migration_files.create_table(connection)
        migration_files.accept(connection, script, accept)
        changed = migration_files.changed(connection, script)
        if changed:
            raise CommandError(
                f"{file_of(script, changed[0])} was changed after it was applied",
                f"Restore it and write a new migration. If the change is harmless: "
                f"sunup migrate up --accept {changed[0]}.",
            )
        migration_files.adopt(connection, script, before)
        connection.commit()
        try:
            run = Run(connection, config, script, to, on_retry=on_retry)
            return run.all()
        finally:
            migration_files.protect(connection)


def downgrade(
    settings: Settings,
    folder: Path,
    *,
    to: str = "-1",
    credentials: CredentialSource | None = None,
    on_wait: Callable[[], None] = lambda: None,
) -> list[str]:
    """Undo migrations down to `to` (`-1`: the last one; `base`: all); newest first."""
    config, script = open_folder(folder)
    with _locked(settings, credentials, on_wait) as connection:
        _applied(connection, script, folder)
        migration_files.create_table(connection)
        connection.commit()
        return Run(connection, config, script, to, backwards=True).all()


def status(
    settings: Settings, folder: Path, *, credentials: CredentialSource | None = None
) -> list[Revision]:
    """Each migration and whether it is applied, oldest first. Changes nothing."""
    _, script = open_folder(folder)
    with _connection(settings, credentials) as connection:
        return states(connection, script, folder)


def states(connection: Connection, script: ScriptDirectory, folder: Path) -> list[Revision]:
    """As `status`, on an open connection."""
    applied = _applied(connection, script, folder)
    changed = migration_files.changed(connection, script)
    return [
        Revision(
            each.revision,
            each.doc,
            file_of(script, each.revision),
            "changed"
            if each.revision in changed
            else "applied"
            if each.revision in applied
            else "pending",
        )
        for each in reversed(list(script.walk_revisions()))
    ]


def sql(
    settings: Settings,
    folder: Path,
    *,
    everything: bool = False,
    credentials: CredentialSource | None = None,
) -> str:
    """The statements that `upgrade` would execute, or all from the first migration on."""
    config, script = open_folder(folder)
    output = StringIO()
    with _connection(settings, credentials) as connection:
        applied = () if everything else MigrationContext.configure(connection).get_current_heads()
        _applied(connection, script, folder)

        def steps(revision: Any, _: MigrationContext) -> Any:
            return script._upgrade_revs("head", revision)  # noqa: SLF001  # as Alembic's cookbook

        config.attributes["connection"] = connection
        with (
            explained(folder),
            EnvironmentContext(
                config,
                script,
                fn=steps,
                as_sql=True,
                starting_rev=tuple(applied) or None,
                destination_rev="head",
                output_buffer=output,
            ),
        ):
            script.run_env()
    return output.getvalue()


@contextmanager
def _connection(settings: Settings, credentials: CredentialSource | None) -> Iterator[Connection]:
    """A SQLAlchemy connection, after the database has woken up."""
    opened = open_connection(settings, credentials)
    engine = create_engine("postgresql+psycopg://", creator=lambda: opened, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection
            connection.rollback()
    except DBAPIError as error:
        # `_run` reports a migration's errors; these are about sunup's and Alembic's own tables.
        reason = plain_text(error.orig or error)
        raise CommandError(
            f"{settings.user} cannot migrate {settings.database}: {reason}",
            "DB_MIGRATION_USER names the role that owns the tables.",
        ) from error
    finally:
        engine.dispose()


@contextmanager
def _locked(
    settings: Settings, credentials: CredentialSource | None, on_wait: Callable[[], None]
) -> Iterator[Connection]:
    with _connection(settings, credentials) as connection:
        locking.be_the_only_one(connection, on_wait)
        yield connection


def _applied(connection: Connection, script: ScriptDirectory, folder: Path) -> set[str]:
    """The revisions that the database has. Raises `CommandError` when one has no file."""
    with explained(folder):
        return applied(connection, script)
