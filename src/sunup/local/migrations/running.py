"""An app's Alembic migrations, over a connection that sunup opened: signed in and awake.

Everything that changes the database happens under one advisory lock, so that two at once do not
apply twice. What was applied is remembered with a checksum (`files`).
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError as AlembicError
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
from .environment import bookkeeping, run_env
from .folder import file_of, one_head, open_folder
from .run import Run


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
    _check(script, to)
    with locked(settings, credentials, on_wait) as connection:
        found = bookkeeping(connection, config, script)
        applied = found.applied(script)
        migration_files.create_table(connection)
        migration_files.accept(connection, script, accept)
        changed = migration_files.changed(connection, script)
        if changed:
            raise CommandError(
                f"{file_of(script, changed[0])} was changed after it was applied",
                f"Restore it and write a new migration. If the change is harmless: "
                f"sunup migrate up --accept {changed[0]}.",
            )
        migration_files.adopt(connection, script, applied)
        connection.commit()
        run = Run(connection, config, script, to, applied, on_retry=on_retry)
        try:
            return run.all()
        finally:
            # Ctrl-C has ended the connection.
            if not connection.invalidated:
                migration_files.protect(connection, found.table, found.schema)


def downgrade(
    settings: Settings,
    folder: Path,
    *,
    to: str = "-1",
    seen: Collection[str] | None = None,
    versions: Path | None = None,
    credentials: CredentialSource | None = None,
    on_wait: Callable[[], None] = lambda: None,
    on_retry: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Undo migrations down to `to` (`-1`: the last one; `base`: all); newest first.

    `seen` are the applied ones that somebody was asked about: where they are others now, nothing is
    undone. `versions` is where their files are, instead of in the folder's own `versions`. Raises
    `CommandError`.
    """
    config, script = open_folder(folder, versions)
    _check(script, to)
    with locked(settings, credentials, on_wait) as connection:
        found = bookkeeping(connection, config, script)
        applied = found.applied(script)
        if seen is not None and applied != set(seen):
            raise CommandError(
                "another run changed the database in the meantime: nothing was undone",
                "sunup migrate status shows what is applied now.",
            )
        if not applied:
            return []
        if to.startswith("-") and len(found.heads) > 1:
            names = " and ".join(file_of(script, head) for head in found.heads)
            raise CommandError(
                f"there are two ways back from here: {names}",
                "Name the revision to go back to: sunup migrate down --to 0001",
            )
        migration_files.create_table(connection)
        connection.commit()
        run = Run(connection, config, script, to, applied, backwards=True, on_retry=on_retry)
        return run.all()


def status(
    settings: Settings, folder: Path, *, credentials: CredentialSource | None = None
) -> list[Revision]:
    """Each migration and whether it is applied, oldest first. Changes nothing."""
    config, script = open_folder(folder)
    with connected(settings, credentials) as connection:
        applied = bookkeeping(connection, config, script).applied(script)
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
    one_head(script)
    output = StringIO()
    with connected(settings, credentials) as connection:
        found = bookkeeping(connection, config, script)
        found.applied(script)

        def steps(revision: Any, _: MigrationContext) -> Any:
            return script._upgrade_revs("head", revision)  # noqa: SLF001  # as Alembic's cookbook

        run_env(
            connection,
            config,
            script,
            steps,
            as_sql=True,
            starting_rev=(() if everything else found.heads) or None,
            destination_rev="head",
            output_buffer=output,
        )
    return output.getvalue()


def _check(script: ScriptDirectory, to: str) -> None:
    """Raise `CommandError` unless `to` can be a revision here: a number of steps, a name."""
    if to in ("base", "head", "heads") or re.fullmatch(r"[+-]\d+", to):
        return
    with suppress(AlembicError, RevisionError):
        if to and script.get_revision(to) is not None:
            return
    known = [each.revision for each in script.walk_revisions()][::-1]
    raise CommandError(
        f"there is no revision {to!r}",
        f"The revisions are {', '.join(known) or 'none'}. See sunup migrate status.",
    )


@contextmanager
def connected(settings: Settings, credentials: CredentialSource | None) -> Iterator[Connection]:
    """A SQLAlchemy connection, after the database has woken up."""
    # A migration may open another one by itself: op.get_bind().engine.connect().
    first = [open_connection(settings, credentials)]
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: first.pop() if first else open_connection(settings, credentials),
        poolclass=NullPool,
    )
    try:
        with engine.connect() as connection:
            yield connection
            connection.rollback()
    except DBAPIError as error:
        # `_run` reports a migration's errors; these are about sunup's and Alembic's own tables.
        reason = plain_text(error.orig or error)
        raise CommandError(
            f"{settings.user} cannot migrate {settings.database}: {reason}",
            "If it lacks privileges, set DB_MIGRATION_USER to the role that owns the tables.",
        ) from error
    finally:
        engine.dispose()


@contextmanager
def locked(
    settings: Settings, credentials: CredentialSource | None, on_wait: Callable[[], None]
) -> Iterator[Connection]:
    """A connection that holds the lock which all runs take."""
    with connected(settings, credentials) as connection:
        locking.be_the_only_one(connection, on_wait)
        yield connection
