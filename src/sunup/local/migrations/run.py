"""One run of migrations: step by step, tried again where a table is in use, told as it was."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError

from sunup.failures import DatabaseUnavailable, plain_text
from sunup.local import servers
from sunup.local.errors import CommandError

from . import files as migration_files
from . import locking
from .environment import bookkeeping, run_env
from .folder import file_of
from .statements import ends_transaction
from .steps import planned

# Of a statement in a message.
_LONGEST_STATEMENT = 200

_INVALID_INDEXES = """
    select format('%I.%I', n.nspname, c.relname)
    from pg_index i join pg_class c on c.oid = indexrelid
    join pg_namespace n on n.oid = c.relnamespace where not indisvalid
"""

_SETTINGS = """
    select current_setting('role') as role, current_setting('search_path') as search_path,
           current_setting('lock_timeout') as lock_timeout,
           current_setting('statement_timeout') as statement_timeout
"""
_SESSION = """
    select set_config('role', :role, false), set_config('search_path', :search_path, false),
           set_config('lock_timeout', :lock_timeout, false),
           set_config('statement_timeout', :statement_timeout, false)
"""


class Run:
    """Up or down `to` a revision, where `before` are applied.

    `on_retry` is told when a table is in use.
    """

    def __init__(
        self,
        connection: Connection,
        config: Config,
        script: ScriptDirectory,
        to: str,
        before: set[str],
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
        self._before = before
        self._statements: list[str] = []
        self._session: dict[str, str] = {}
        # What "+2" meant when this run began.
        self._target = ""
        # The migrations that had an autocommit block in this run: not all of them can be undone.
        self._committed: set[str] = set()

    def all(self) -> list[str]:
        """Do it; returns what was done, in its order. Raises `CommandError`."""
        event.listen(self._connection, "before_cursor_execute", self._note)
        try:
            return self._all()
        finally:
            event.remove(self._connection, "before_cursor_execute", self._note)

    def _all(self) -> list[str]:
        while True:
            try:
                self._attempt()
                break
            except CommandError:
                raise
            except (Exception, SystemExit) as error:
                lost = self._connection.invalidated
                self._connection.rollback()
                if lost:
                    raise self._failure(error) from error
                if not (self._may_repeat() and self._retries.again(error, self._connection)):
                    raise self._failure(error) from error
        after = self._applied()
        order = [each.revision for each in self._script.walk_revisions()]
        return [
            each
            for each in (order if self._backwards else order[::-1])
            if each in self._before ^ after
        ]

    def _applied(self) -> set[str]:
        return bookkeeping(self._connection, self._config, self._script).applied(self._script)

    def _may_repeat(self) -> bool:
        """Not what has no beginning any more: half a migration, or "-1" after one step of two."""
        relative = self._to.startswith(("+", "-"))
        return self._current not in self._committed and not (
            relative and self._before != self._applied()
        )

    def _attempt(self) -> None:
        self._current = ""
        locking.wait_for_tables(self._connection, locking.PATIENCE)
        self._session = dict(self._connection.execute(text(_SETTINGS)).mappings().one())
        self._connection.commit()
        run_env(
            self._connection,
            self._config,
            self._script,
            self._steps,
            starting_rev=None,
            destination_rev=self._to,
        )
        self._connection.commit()

    def _steps(self, revision: Any, context: MigrationContext) -> Any:
        found = planned(self._script, self._to, revision, backwards=self._backwards)
        if found and not self._target:
            self._target = found[-1].revision.revision
        for step in found:
            step.migration_fn = self._counted(step.migration_fn, step.revision.revision)
        block = context.autocommit_block
        context.autocommit_block = self._noted(block)  # type: ignore[method-assign]

        def after(**_: Any) -> None:
            # What cannot be undone is not to be applied twice: its version is committed with it,
            # not with the migrations that follow in the same transaction.
            if self._current in self._committed:
                with block():
                    pass

        context.on_version_apply_callbacks = (*context.on_version_apply_callbacks, after)
        return found

    def _counted(self, function: Callable[..., Any], revision: str) -> Callable[..., Any]:
        def run(**options: Any) -> None:
            self._current = revision
            self._statements.clear()
            function(**options)
            # A dump sets search_path, and others a role: not for what is noted then, nor for the
            # next migration.
            self._connection.execute(text(_SESSION), self._session)
            self._check_indexes()
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
                yield
                locking.wait_for_tables(self._connection, locking.PATIENCE)

        return noted

    def _note(self, *event: Any) -> None:
        """SQLAlchemy's `before_cursor_execute`: what a migration does to its transaction itself."""
        _, cursor, statement, *_ = event
        self._statements.append(statement)
        if ends_transaction(statement):
            self._committed.add(self._current)
        if self._current in self._committed:
            # CREATE INDEX CONCURRENTLY waits for all transactions, and stops nobody.
            stops = re.search(r"\bconcurrently\b", statement, re.IGNORECASE) is None
            cursor.execute(f"set lock_timeout = '{locking.PATIENCE if stops else 0}s'")

    def _check_indexes(self) -> None:
        """CREATE INDEX CONCURRENTLY IF NOT EXISTS takes the invalid one of a run that failed."""
        if self._current not in self._committed:
            return
        said = " ".join(self._statements)
        for each in self._connection.execute(text(_INVALID_INDEXES)).scalars():
            if re.search(rf"\b{re.escape(each.rpartition('.')[2])}(?!\w)", said):
                raise CommandError(
                    f"{file_of(self._script, self._current)}: the index {each} exists but is "
                    "invalid; a failed run left it behind",
                    f"Drop the index in psql (drop index concurrently {each};), then run the "
                    "command again.",
                )

    def _failure(self, error: BaseException) -> CommandError:
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
            again = "Run the command again later"
            if self._target and self._to.startswith("+") and self._before != self._applied():
                again += f", with --to {self._target}"
            return CommandError(f"{what} ({who})", f"{self._left()} {again}.")
        return CommandError(
            what,
            _missing_extension(reason)
            or f"{self._left()} Fix the file, then run the command again.",
        )

    def _left(self) -> str:
        """What of the failed migration is in the database."""
        try:
            return self._told()
        except (DBAPIError, DatabaseUnavailable):
            return "The connection was lost: sunup migrate status shows what was applied."

    def _told(self) -> str:
        done = sorted(self._applied() ^ self._before)
        others = f"{', '.join(done)} {'were' if len(done) > 1 else 'was'} completed before it. "
        others = others if done else ""
        if self._current not in self._committed:
            return f"{others}Its transaction was rolled back."
        rows = self._connection.execute(text(_INVALID_INDEXES)).scalars().all()
        self._connection.rollback()
        drops = "".join(
            f" An invalid index is left behind: drop index concurrently {each};" for each in rows
        )
        return (
            f"{others}The migration commits by itself (an autocommit block, or COMMIT): what ran "
            f"before that stays in the database; only what came after it was rolled back.{drops}"
        )


def _missing_extension(reason: str) -> str:
    """What helps: for an extension that this machine's PostgreSQL does not have, another server."""
    missing = re.search(r'extension "([\w-]+)" is not available', reason)
    if missing is None:
        return ""
    for each in servers.others():
        if missing[1] in servers.extensions(each):
            return (
                f"The embedded PostgreSQL does not have it, but the one in {each.folder} does: "
                f"pass --postgres {each.version}, or set SUNUP_POSTGRES={each.version}."
            )
    return (
        "The embedded PostgreSQL has only plpgsql and vector. Install another one (apt install "
        "postgresql, brew install postgresql@17) and name its version: --postgres 17, or "
        "SUNUP_POSTGRES=17."
    )
