"""One run of migrations on Aurora DSQL: statement by statement, each noted, told as it was."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import psycopg
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sunup.failures import plain_text
from sunup.local.errors import CommandError
from sunup.local.migrations import files
from sunup.local.migrations.environment import bookkeeping, run_env
from sunup.local.migrations.folder import file_of
from sunup.local.migrations.steps import planned

from . import progress
from .conflicts import is_uncertain
from .dialect import dialect_of
from .ending import Ending
from .executing import Steps
from .lease import LockLost
from .refused import advice

# Of a statement in a message.
_LONGEST_STATEMENT = 200


class Run:
    """Up or down `to` a revision, where `before` are applied; the connection is a `locked` one.

    `tell` is told what goes on. Of the revisions `accept` the statements that a cut run has
    executed may have another text.
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
        accept: Collection[str] = (),
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._connection = connection
        self._dialect = dialect_of(connection)
        self._config = config
        self._script = script
        self._to = to
        self._before = before
        assert self._dialect.lease is not None
        self._lease = self._dialect.lease
        self._backwards = backwards
        self._direction = progress.DOWN if backwards else progress.UP
        self._accept = accept
        self._tell = tell
        self._current = ""
        self._ending: Ending | None = None
        # psycopg's connection; SQLAlchemy lets go of one that was lost.
        self._driver: Any = None

    def all(self) -> list[str]:
        """Do it; returns what was done, in its order. Raises `CommandError`."""
        try:
            run_env(
                self._connection,
                self._config,
                self._script,
                self._steps,
                starting_rev=None,
                destination_rev=self._to,
                transactional_ddl=False,
            )
        except LockLost:
            raise
        except CommandError as error:
            raise CommandError(error.what, f"{error.cure} {self._left()}".strip()) from error
        except (Exception, SystemExit) as error:
            raise self._failure(error) from error
        finally:
            self._dialect.executor = None
        after = bookkeeping(self._connection, self._config, self._script).applied(self._script)
        order = [each.revision for each in self._script.walk_revisions()]
        done = self._before ^ after
        return [each for each in (order if self._backwards else order[::-1]) if each in done]

    def _steps(self, revision: Any, context: MigrationContext) -> Any:
        found = planned(self._script, self._to, revision, backwards=self._backwards)
        for step in found:
            step.migration_fn = self._noted(step.migration_fn, step.revision.revision)
        context.autocommit_block = _no_block  # type: ignore[method-assign,assignment]

        def after(**_: Any) -> None:
            if self._ending is not None:
                self._ending.commit()
            self._ending = self._dialect.executor = None

        context.on_version_apply_callbacks = (*context.on_version_apply_callbacks, after)
        return found

    def _noted(self, function: Callable[..., Any], revision: str) -> Callable[..., Any]:
        def run(**options: Any) -> None:
            self._current = revision
            file = file_of(self._script, revision)
            steps = Steps(
                self._lease,
                revision,
                self._direction,
                file,
                self._tell,
                changed=revision in self._accept,
            )
            driver = self._driver = self._connection.connection.driver_connection
            steps.begin(driver)
            self._dialect.executor = steps.execute
            function(**options)
            steps.end(driver)
            self._ending = Ending(self._lease, driver, revision, self._direction)
            # From here to `after`, Alembic's own statement included.
            self._dialect.executor = self._ending.execute
            if self._backwards:
                files.forget(self._connection, revision)
            else:
                files.remember(self._connection, self._script, revision)

        return run

    def _failure(self, error: BaseException) -> CommandError:
        original = (error.orig or error) if isinstance(error, DBAPIError) else error
        of_database = isinstance(original, psycopg.Error)
        reason = plain_text(original) if of_database else str(error)
        where = file_of(self._script, self._current) if self._current else "env.py"
        what = f"{where}: {type(original).__name__}: {reason}"
        statement = " ".join((getattr(error, "statement", None) or "").split())
        if statement:
            more = "..." if len(statement) > _LONGEST_STATEMENT else ""
            what += f", in: {statement[:_LONGEST_STATEMENT]}{more}"
        if of_database and self._driver is not None and is_uncertain(original, self._driver):
            return CommandError(
                f"{what}; nobody knows whether its last statement was executed",
                "Run the command again: it looks, and goes on.",
            )
        cure = advice(str(original), statement)
        return CommandError(what, f"{cure} {self._left()}".strip())

    def _left(self) -> str:
        """What of the failed migration is in the database."""
        try:
            connection: Any = self._connection.connection.driver_connection
            found = [each for each in progress.cuts(connection) if each.revision == self._current]
        except Exception:
            return "sunup migrate status shows what is applied."
        if not found or not found[0].done:
            return "Nothing of it was executed."
        number = found[0].done
        stay = "was executed and stays" if number == 1 else "were executed and stay"
        return f"{number} of its statements {stay}: the next run goes on from there."


def _no_block() -> AbstractContextManager[None]:
    """Every statement is committed by itself."""
    return nullcontext()
