"""One run of migrations: step by step, tried again where a table is in use, told as it was."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sunup.failures import plain_text
from sunup.local import servers
from sunup.local.errors import CommandError

from . import files as migration_files
from . import locking
from .folder import explained, file_of

# Of a statement in a message.
_LONGEST_STATEMENT = 200

_INVALID_INDEXES = """
    select format('%I.%I', n.nspname, c.relname)
    from pg_index i join pg_class c on c.oid = indexrelid
    join pg_namespace n on n.oid = c.relnamespace where not indisvalid
"""


def applied(connection: Connection, script: ScriptDirectory) -> set[str]:
    """The revisions that the database has."""
    heads = MigrationContext.configure(connection).get_current_heads()
    connection.rollback()
    return {each.revision for head in heads for each in script.iterate_revisions(head, "base")}


class Run:
    """Up or down `to` a revision. `on_retry` is told when a table is in use."""

    def __init__(
        self,
        connection: Connection,
        config: Config,
        script: ScriptDirectory,
        to: str,
        *,
        backwards: bool = False,
        on_retry: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._connection = connection
        self._config = config
        self._script = script
        self._to = to
        self._backwards = backwards
        self._retries = locking.Retries(on_retry)
        self._current = ""
        # The migrations that had an autocommit block in this run: not all of them can be undone.
        self._committed: set[str] = set()

    def all(self) -> list[str]:
        """Do it; returns what was done, in its order. Raises `CommandError`."""
        before = self._applied()
        while True:
            try:
                self._attempt()
                break
            except CommandError:
                raise
            except Exception as error:
                self._connection.rollback()
                if not (self._may_repeat(before) and self._retries.again(error, self._connection)):
                    raise self._failure(error) from error
        after = self._applied()
        order = [each.revision for each in self._script.walk_revisions()]
        return [
            each for each in (order if self._backwards else order[::-1]) if each in before ^ after
        ]

    def _applied(self) -> set[str]:
        return applied(self._connection, self._script)

    def _may_repeat(self, before: set[str]) -> bool:
        """Not what has no beginning any more: half a migration, or "-1" after one step of two."""
        relative = self._to.startswith(("+", "-"))
        return self._current not in self._committed and not (relative and before != self._applied())

    def _attempt(self) -> None:
        self._current = ""
        locking.wait_for_tables(self._connection, locking.PATIENCE)
        self._connection.commit()
        self._config.attributes["connection"] = self._connection
        with (
            explained(Path(self._script.dir)),
            EnvironmentContext(
                self._config,
                self._script,
                fn=self._steps,
                as_sql=False,
                starting_rev=None,
                destination_rev=self._to,
            ),
        ):
            self._script.run_env()
        self._connection.commit()

    def _steps(self, revision: Any, context: MigrationContext) -> Any:
        script = self._script
        find = script._downgrade_revs if self._backwards else script._upgrade_revs  # noqa: SLF001
        found = find(self._to, revision)
        for step in found:
            step.migration_fn = self._counted(step.migration_fn, step.revision.revision)
        context.autocommit_block = self._noted(context.autocommit_block)  # type: ignore[method-assign]
        return found

    def _counted(self, function: Callable[..., Any], revision: str) -> Callable[..., Any]:
        def run(**options: Any) -> None:
            self._current = revision
            function(**options)
            # In the migration's own transaction: both or neither.
            if self._backwards:
                migration_files.forget(self._connection, revision)
            else:
                migration_files.remember(self._connection, self._script, revision)

        return run

    def _noted(self, block: Callable[[], Any]) -> Callable[[], Any]:
        @contextmanager
        def noted() -> Iterator[None]:
            self._committed.add(self._current)
            with block():
                # CREATE INDEX CONCURRENTLY waits for all transactions, and stops nobody.
                locking.wait_for_tables(self._connection, 0)
                yield
                locking.wait_for_tables(self._connection, locking.PATIENCE)

        return noted

    def _failure(self, error: Exception) -> CommandError:
        original = getattr(error, "orig", None)
        reason = plain_text(original or error) if isinstance(error, DBAPIError) else str(error)
        where = file_of(self._script, self._current) if self._current else "env.py"
        what = f"{where}: {type(original or error).__name__}: {reason}"
        statement = getattr(error, "statement", None)
        if statement:
            words = " ".join(statement.split())
            short = words[:_LONGEST_STATEMENT] + ("..." if len(words) > _LONGEST_STATEMENT else "")
            what += f", in: {short}"
        if locking.is_lock_timeout(error):
            who = locking.blockers(self._connection)
            return CommandError(f"{what} ({who})", f"{self._left()} Run it again later.")
        return CommandError(
            what, _missing_extension(reason) or f"{self._left()} Fix the file, then run it again."
        )

    def _left(self) -> str:
        """What of the failed migration is in the database."""
        if self._current not in self._committed:
            return "Its transaction was rolled back."
        rows = self._connection.execute(text(_INVALID_INDEXES)).scalars().all()
        self._connection.rollback()
        drops = "".join(
            f" An invalid index is left: drop index concurrently {each};" for each in rows
        )
        return (
            "It has an autocommit block: what ran before and in it stays in the database, and only "
            f"what came after it was rolled back.{drops}"
        )


def _missing_extension(reason: str) -> str:
    """What helps: for an extension that this machine's PostgreSQL does not have, another server."""
    missing = re.search(r'extension "([\w-]+)" is not available', reason)
    if missing is None:
        return ""
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
