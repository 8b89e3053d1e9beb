"""An app's Alembic migrations, over a connection that sunup opened: signed in and awake.

Everything that changes the database happens under one advisory lock, so that two at once do not
apply twice. What was applied is remembered with a checksum (`files`). Aurora DSQL has neither such
locks nor a migration in one transaction: `dsql`.
"""

import re
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError as AlembicError

from sunup.connecting.credentials import CredentialSource
from sunup.engines import DSQL
from sunup.local.errors import CommandError
from sunup.settings import Settings

from . import files as migration_files
from .dsql import cuts
from .dsql import files as dsql_files
from .dsql.run import Run as DSQLRun
from .environment import bookkeeping, run_env
from .folder import file_of, one_head, open_folder
from .run import Run
from .sessions import connected, locked


@dataclass(frozen=True)
class Revision:
    """One migration: `state` is applied, pending or changed (applied, then edited).

    On Aurora DSQL also begun or undoing: some of its statements were executed.
    """

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
    with locked(settings, credentials, on_wait, on_retry) as connection:
        found = bookkeeping(connection, config, script)
        applied = found.applied(script)
        migration_files.create_table(connection)
        cut = {*accept} & cuts.ours(connection, script, cuts.UP)
        migration_files.accept(connection, script, {*accept} - cut)
        changed = migration_files.changed(connection, script)
        if changed:
            raise CommandError(
                f"{file_of(script, changed[0])} was changed after it was applied",
                f"Restore it and write a new migration. If the change is harmless: "
                f"sunup migrate up --accept {changed[0]}.",
            )
        migration_files.adopt(connection, script, applied)
        connection.commit()
        run: Run | DSQLRun
        if settings.engine is DSQL:
            run = DSQLRun(connection, config, script, to, applied, accept=cut, tell=on_retry)
        else:
            run = Run(connection, config, script, to, applied, on_retry=on_retry)
        try:
            return run.all()
        finally:
            # Ctrl-C has ended the connection.
            if not connection.invalidated:
                protect = dsql_files.protect if settings.engine is DSQL else migration_files.protect
                protect(connection, found.table, found.schema)


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
    with locked(settings, credentials, on_wait, on_retry) as connection:
        found = bookkeeping(connection, config, script)
        applied = found.applied(script)
        if seen is not None and applied != set(seen):
            raise CommandError(
                "another run changed the database in the meantime: nothing was undone",
                "sunup migrate status shows what is applied now.",
            )
        cuts.ours(connection, script, cuts.DOWN)
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
        if settings.engine is DSQL:
            return DSQLRun(
                connection, config, script, to, applied, backwards=True, tell=on_retry
            ).all()
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
        half = {each.revision for each in cuts.cuts(connection)}

    def state(revision: str) -> str:
        if revision in half:
            return "undoing" if revision in applied else "begun"
        if revision in changed:
            return "changed"
        return "applied" if revision in applied else "pending"

    return [
        Revision(each.revision, each.doc, file_of(script, each.revision), state(each.revision))
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
            transactional_ddl=settings.engine is not DSQL,
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
