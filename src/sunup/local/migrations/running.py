"""An app's Alembic migrations, over a connection that sunup opened: signed in and awake.

Everything that changes the database happens under one advisory lock, so that two at once do not
apply twice. What was applied is remembered with a checksum (`files`).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from sunup.connecting.credentials import CredentialSource
from sunup.failures import plain_text
from sunup.local import servers
from sunup.local.errors import CommandError
from sunup.local.opening import open_connection
from sunup.settings import Settings

from . import files as migration_files
from .folder import explained, open_folder

# One number for all apps: PostgreSQL keeps advisory locks apart by database. "sunup" in ASCII.
_LOCK = int.from_bytes(b"sunup", "big")


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
) -> list[str]:
    """Apply what is missing up to `to`, and return the revisions that were applied, oldest first.

    `accept` names applied revisions whose edited files are the valid ones from now on. `on_wait` is
    called when another run holds the lock. Raises `CommandError`, also when the file of an applied
    migration was changed or is gone, and `DatabaseUnavailable`.
    """
    config, script = open_folder(folder)
    with _locked(settings, credentials, on_wait) as connection:
        before = _applied(connection, script, folder)
        migration_files.create_table(connection)
        migration_files.accept(connection, script, accept)
        changed = migration_files.changed(connection, script)
        if changed:
            raise CommandError(
                f"{_file(script, changed[0])} was changed after it was applied",
                f"Restore it and write a new migration. If the change is harmless: "
                f"sunup migrate up --accept {changed[0]}.",
            )
        migration_files.adopt(connection, script, before)
        connection.commit()
        return _run(connection, config, script, to, backwards=False)


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
        return _run(connection, config, script, to, backwards=True)


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
            _file(script, each.revision),
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
        # The lock is the session's: it ends with the connection, however this process ends.
        got = text("select pg_try_advisory_lock(:lock)")
        if not connection.scalar(got, {"lock": _LOCK}):
            on_wait()
            connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": _LOCK})
        connection.commit()
        yield connection


def _run(
    connection: Connection, config: Config, script: ScriptDirectory, to: str, *, backwards: bool
) -> list[str]:
    done: list[str] = []
    current = ""

    def steps(revision: Any, _: MigrationContext) -> Any:
        find = script._downgrade_revs if backwards else script._upgrade_revs  # noqa: SLF001
        found = find(to, revision)
        for step in found:
            step.migration_fn = counted(step.migration_fn, step.revision.revision)
        return found

    def counted(function: Callable[..., Any], revision: str) -> Callable[..., Any]:
        def run(**options: Any) -> None:
            nonlocal current
            current = revision
            function(**options)
            # In the migration's own transaction: both or neither.
            if backwards:
                migration_files.forget(connection, revision)
            else:
                migration_files.remember(connection, script, revision)
            done.append(revision)

        return run

    config.attributes["connection"] = connection
    folder = Path(script.dir)
    try:
        with (
            explained(folder),
            EnvironmentContext(
                config, script, fn=steps, as_sql=False, starting_rev=None, destination_rev=to
            ),
        ):
            script.run_env()
        connection.commit()
    except CommandError:
        raise
    except Exception as error:
        connection.rollback()
        reason = plain_text(error.orig or error) if isinstance(error, DBAPIError) else error
        where = f"{_file(script, current)}: " if current else f"{folder / 'env.py'}: "
        raise CommandError(
            f"{where}{type(getattr(error, 'orig', None) or error).__name__}: {reason}",
            _cure(str(reason)),
        ) from error
    return done


def _cure(reason: str) -> str:
    """What helps: for an extension that this machine's PostgreSQL does not have, another server."""
    missing = re.search(r'extension "([\w-]+)" is not available', reason)
    if missing is None:
        return "Its transaction was rolled back; fix the file and run the command again."
    for each in servers.others():
        if missing[1] in servers.extensions(each):
            return (
                f"The embedded PostgreSQL does not have it, the one in {each.folder} does: "
                f"--postgres {each.version}, or SUNUP_POSTGRES={each.version} in the environment."
            )
    return (
        "The embedded PostgreSQL has plpgsql and vector only. Install another one (apt install "
        "postgresql, brew install postgresql@17) and name its version: --postgres 17."
    )


def _applied(connection: Connection, script: ScriptDirectory, folder: Path) -> set[str]:
    """The revisions that the database has. Raises `CommandError` when one has no file."""
    heads = MigrationContext.configure(connection).get_current_heads()
    connection.rollback()
    with explained(folder):
        return {each.revision for head in heads for each in script.iterate_revisions(head, "base")}


def _file(script: ScriptDirectory, revision: str) -> str:
    found = script.get_revision(revision)
    assert found is not None
    return Path(found.path).name
