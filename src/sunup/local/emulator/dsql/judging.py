"""What a transaction may do, and how it fails at a statement or at its COMMIT.

Limits and words: Aurora DSQL User Guide, quotas and "Concurrency control"; EMU (`refusals`), group
transaction; awslabs/agent-plugins for OC001.
"""

import time

from .messages import Failure
from .options import DsqlOptions
from .statements import Statement
from .transaction import Transaction
from .work import Work

CONFLICT = Failure("40001", "change conflicts with another transaction (OC000)")
TOO_MANY_ROWS = Failure("54000", "transaction row limit exceeded")

_SCHEMA = Failure("40001", "schema has been updated by another transaction (OC001)")
_ABORTED = Failure(
    "25P02", "current transaction is aborted, commands ignored until end of transaction block"
)
_TOO_LARGE = Failure("54000", "transaction size limit 10mb exceeded")
_TWO_DDL = Failure("0A000", "multiple ddl statements not supported in a transaction")
_MIXED = Failure("0A000", "ddl and dml are not supported in the same transaction")


class Judge:
    """Of one session."""

    def __init__(self, work: Work, options: DsqlOptions) -> None:
        self._work = work
        self._options = options

    def statement(self, statement: Statement, *, aborted: bool) -> Failure | None:
        """Why it fails before the server sees it; `aborted`: its transaction has failed."""
        transaction = self._work.transaction
        if statement.kind in ("commit", "rollback"):
            return statement.refusal
        if aborted:
            return _ABORTED
        if statement.kind != "begin" and self._is_behind():
            return _SCHEMA
        if transaction is not None:
            if self._is_old(transaction):
                return self._age
            if transaction.lost:
                return CONFLICT
        if statement.refusal is not None or transaction is None:
            return statement.refusal
        return _mixed(transaction, statement)

    def commit(self, transaction: Transaction) -> Failure | None:
        """Why it cannot be committed, whatever others have done to its rows."""
        if self._is_behind():
            return _SCHEMA
        if self._is_old(transaction):
            return self._age
        if transaction.changes_rows and transaction.size > self._options.transaction_bytes:
            return _TOO_LARGE
        if transaction.changes_rows and self._work.conflicts.injected():
            return CONFLICT
        return None

    def has_too_many_rows(self, transaction: Transaction) -> bool:
        """Whether it has changed more than it may."""
        return transaction.rows > self._options.transaction_rows

    def _is_behind(self) -> bool:
        """Whether another session has changed the schema that this one knows: once."""
        work = self._work
        if not self._options.schema_conflicts or work.catalog == work.conflicts.catalog:
            return False
        work.catalog = work.conflicts.catalog
        return True

    def _is_old(self, transaction: Transaction) -> bool:
        return time.monotonic() - transaction.began > self._options.transaction_seconds

    @property
    def _age(self) -> Failure:
        seconds = f"{self._options.transaction_seconds:g}"
        return Failure("54000", f"transaction age limit of {seconds}s exceeded")


def _mixed(transaction: Transaction, statement: Statement) -> Failure | None:
    """One change of the schema, and no changes of rows beside it."""
    if transaction.changes_schema and statement.changes_schema:
        return _TWO_DDL
    if transaction.changes_rows and statement.changes_schema:
        return _MIXED
    if transaction.changes_schema and statement.kind == "dml":
        return _MIXED
    return None
