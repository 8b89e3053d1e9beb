"""A request's one transaction on Django's connection: `atomic()` around all that it does."""

import logging
import sys
from typing import Any

from django.db import connections, transaction

from sunup import request
from sunup.engines import AURORA
from sunup.failures import DatabaseUnavailable
from sunup.psycopg.meaning import MEANING

from .base import DatabaseWrapper

FAILED = (
    "a statement failed and was caught, and with it the request's transaction: with a receipt, as "
    "with ATOMIC_REQUESTS, put what may fail into `transaction.atomic()`"
)

logger = logging.getLogger("sunup.receipts")

# What an alias is called among the databases.
_ALIASES: dict[str, object] = {}


class Unit:
    """On the calling thread's connection of the alias `using`."""

    # Its methods block the calling thread.
    blocking = True

    def __init__(self, using: str) -> None:
        # No `Database` of sunup's own joins it.
        self.database = _ALIASES.setdefault(using, object())
        self.failure: BaseException | None = None
        self._using = using
        self._atomic: Any = None
        self.engine = AURORA

    @property
    def _wrapper(self) -> DatabaseWrapper:
        wrapper = connections[self._using]
        assert isinstance(wrapper, DatabaseWrapper)
        return wrapper

    def begin(self, claim: Any, isolation: str | None) -> bool:
        """Begin the transaction with a claim's statements; whether the last one returned a row.

        In a test that is in a transaction already it is a savepoint.
        """
        wrapper = self._wrapper
        wrapper.ensure_connection()
        atomic = transaction.atomic(self._using)
        atomic.__enter__()
        self._atomic = atomic
        connection = wrapper.connection
        self.engine = connection.session.engine
        text = claim.text(self.engine)
        try:
            if connection.info.transaction_status == 0:
                rows = connection.begin_with(text, isolation)
            else:
                rows = connection.unmeasured(text)
        except BaseException as error:
            meant = self._meant(error)
            self.roll_back()
            raise meant from None
        connection.session.join(claim.restart(self.engine))
        connection.session.only_for = None
        return bool(rows == 1)

    def fetchrow(self, statement: Any) -> Any:
        """A row, by a text and its values; None where there is none."""
        return self._wrapper.connection.unmeasured_row(statement.text, statement.values)

    def commit(self, statement: Any, before: str = "") -> None:
        """Run a statement, a text and its values, and commit; `before` are some without values.

        Raises `ConnectionLost` where it is not known whether that has happened, unless the failure
        says `nothing_executed`.
        """
        wrapper = self._wrapper
        connection = wrapper.connection
        failed = wrapper.needs_rollback or (connection is not None and connection.session.aborted)
        if failed:
            raise transaction.TransactionManagementError(FAILED)
        outermost = len(wrapper.atomic_blocks) == 1
        sent = False
        try:
            connection.check_joined()
            if before:
                connection.unmeasured(before)
            connection.store(statement.text, statement.values)
            connection.session.joined = False
            sent = True
            if outermost:
                connection.commit_joined()
        except BaseException as error:
            meant = self._meant(error)
            if isinstance(meant, DatabaseUnavailable) and not sent:
                meant.nothing_executed = True
            self._hand_over(wrapper)  # they run if it turns out to be committed
            self.roll_back()
            raise meant from None
        if outermost:
            self._hand_over(wrapper)
        atomic, self._atomic = self._atomic, None
        try:
            atomic.__exit__(None, None, None)  # nothing is left to commit
        except Exception as error:
            logger.warning("after the commit: %s", type(error).__name__)

    def _hand_over(self, wrapper: DatabaseWrapper) -> None:
        """Have the functions of `on_commit` called as those of `after_commit` are."""
        waiting, wrapper.run_on_commit = wrapper.run_on_commit, []
        run = request.working.get()
        if run:
            run.after_commit += [each[1] for each in waiting]

    def roll_back(self) -> None:
        """End it without a trace; nothing where it has ended."""
        atomic, self._atomic = self._atomic, None
        if atomic is None:
            return
        wrapper = self._wrapper
        if wrapper.connection is not None:
            wrapper.connection.session.leave_joined()
            if wrapper.in_atomic_block:
                wrapper.needs_rollback = True
        try:
            atomic.__exit__(*sys.exc_info())
        except Exception as error:
            logger.debug("a rollback failed: %s", type(error).__name__)
        connection = wrapper.connection
        useless = connection is not None and (wrapper.lost or connection.closed)
        if useless and not wrapper.in_atomic_block:
            wrapper.close()

    def end(self) -> None:
        """As `roll_back`: who begins it is this thread, and has ended."""
        self.roll_back()

    def after(self, text: str) -> None:
        """Run a statement that is not part of it, when it has been committed."""
        with self._wrapper.cursor() as cursor:
            cursor.execute(text)

    def _meant(self, error: BaseException) -> BaseException:
        wrapper = self._wrapper
        if not isinstance(error, Exception) or isinstance(error, DatabaseUnavailable):
            return error
        closed = wrapper.connection is None or bool(wrapper.connection.closed)
        lost = MEANING.while_using(error, closed=closed)
        self.failure = lost or error
        if lost is None:
            return error
        lost.__cause__ = error
        wrapper.lost = True
        request.note_failure(lost)
        return lost
