"""What Django's wrapper does not know: connections that were lost or taken away, and deadlines."""

import sys
from typing import Any

from django.db.backends.postgresql import base as postgresql
from psycopg import InterfaceError

from sunup.connecting.savepoints import SPOILED
from sunup.deadline import DeadlineExceeded


class Recovering(postgresql.DatabaseWrapper):
    """After any of these the next work begins as if nothing had been."""

    # A `sunup.integrations.django.Connection`, or None.
    connection: Any

    @property
    def in_atomic_block(self) -> bool:
        """Whether `atomic()` is open: not one of a request that has ended."""
        self._forget_taken()
        return self._in_atomic_block

    @in_atomic_block.setter
    def in_atomic_block(self, value: bool) -> None:
        self._in_atomic_block = value

    def ensure_connection(self) -> None:
        """Connect, unless there is a connection: one that was taken away or closed is none."""
        self._forget_taken()
        if self.autocommit:  # else it was in the midst of a transaction
            self._drop_closed()
        super().ensure_connection()

    def close_if_unusable_or_obsolete(self) -> None:
        """As in Django; a connection that was lost is not replaced to be closed."""
        self._drop_closed()
        super().close_if_unusable_or_obsolete()

    def _drop_closed(self) -> None:
        """Have no connection rather than a closed one, unless `atomic()` has to tell of it."""
        if self.connection is not None and self.connection.closed and not self.in_atomic_block:
            self.close()

    def _forget_taken(self) -> None:
        """Start over after a request whose end has taken the connection away, `atomic()` or not."""
        connection = self.__dict__.get("connection")
        if connection is not None and connection.taken:
            self.connection = None
            self._in_atomic_block = False
            self.savepoint_ids = []
            self.atomic_blocks = []
            self.needs_rollback = False
            self.run_on_commit = []
            self.closed_in_transaction = False

    def rollback(self) -> None:
        """As in Django; raises psycopg's `InterfaceError` where nobody would hear of it.

        That is `atomic()` which ends well, with one in it that could not be undone alone: Django
        rolls it back without a word. Not one of Django's exceptions, which `atomic()` would hide.
        """
        connection = self.connection
        silent = sys.exception() is None and connection is not None
        spoiled = silent and connection.session.savepoints.spoiled
        if not self.settings_dict["AUTOCOMMIT"]:
            self._drop_closed()  # the transaction ended with it
        try:
            super().rollback()
        except DeadlineExceeded:
            self.close()  # as `atomic()` does after an error
            if silent:
                raise
        if spoiled:
            raise InterfaceError(SPOILED)

    def _commit(self) -> None:
        try:
            super()._commit()  # type: ignore[misc]
        except BaseException:
            # `atomic()` knows nothing of what is no error: the hooks would be the next one's.
            self.run_on_commit = []
            self.run_commit_hooks_on_set_autocommit_on = False
            raise

    def set_autocommit(self, autocommit: bool, *arguments: Any, **options: Any) -> None:  # noqa: FBT001
        """As in Django; but the end of `atomic()` does not replace a connection that was lost.

        The next one begins so; to wait for it would hide what `atomic()` ended with.
        """
        lost = self.connection is None or self.connection.closed
        if not (lost and autocommit and self.settings_dict["AUTOCOMMIT"]):
            super().set_autocommit(autocommit, *arguments, **options)
            return
        self.validate_no_atomic_block()
        hooks = self.run_on_commit
        self.close()
        self.autocommit = True
        if self.run_commit_hooks_on_set_autocommit_on:
            self.run_on_commit = hooks
            self.run_and_clear_commit_hooks()
            self.run_commit_hooks_on_set_autocommit_on = False
