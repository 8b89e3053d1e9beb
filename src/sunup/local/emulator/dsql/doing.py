"""Judges a statement, does it, and says what became of its transaction.

Limits and words: Aurora DSQL User Guide, quotas and "Concurrency control"; EMU (`refusals`), group
transaction; awslabs/agent-plugins for OC001 and XX000.
"""

import time
from collections.abc import Sequence

from . import asynchronous, keys
from .faults import Faults
from .jobs import Jobs
from .messages import Failure, Message, complete, fields, row, tag
from .options import DsqlOptions
from .statements import Statement
from .transaction import Transaction
from .work import CONFLICTS, Copied, Tell, Work

CONFLICT = Failure("40001", "change conflicts with another transaction (OC000)")
_SCHEMA = Failure("40001", "schema has been updated by another transaction (OC001)")
_ABORTED = Failure(
    "25P02", "current transaction is aborted, commands ignored until end of transaction block"
)
_UNAVAILABLE = Failure("XX000", "server unavailable")
_TOO_MANY_ROWS = Failure("54000", "transaction row limit exceeded")
_TOO_LARGE = Failure("54000", "transaction size limit 10mb exceeded")
_TWO_DDL = Failure("0A000", "multiple ddl statements not supported in a transaction")
_MIXED = Failure("0A000", "ddl and dml are not supported in the same transaction")

_CONTROL = ("begin", "commit", "rollback")

# Whose tags count rows.
_COUNTED = ("INSERT", "UPDATE", "DELETE", "COPY")


class Doing:
    """What a session's statements do, whichever protocol they come by."""

    def __init__(self, work: Work, options: DsqlOptions, jobs: Jobs, faults: Faults) -> None:
        self._work = work
        self._options = options
        self._jobs = jobs
        self._faults = faults
        self._failed = False

    @property
    def status(self) -> str:
        """What a client is told of its transaction: I, T or E."""
        transaction = self._work.transaction
        if transaction is None or transaction.implicit:
            return "I"
        return "E" if self._failed else "T"

    def judge(self, statement: Statement) -> Failure | None:
        """Why it fails before the server sees it."""
        work, transaction = self._work, self._work.transaction
        if self.status == "E":
            return None if statement.kind in ("commit", "rollback") else _ABORTED
        if statement.kind in ("commit", "rollback"):
            return statement.refusal
        if self._is_behind():
            work.catalog = work.conflicts.catalog
            return _SCHEMA
        if transaction is not None and self._is_old(transaction):
            return self._age
        if transaction is not None and transaction.lost:
            return CONFLICT
        if statement.refusal is not None or transaction is None:
            return statement.refusal
        if transaction.changes_schema and statement.changes_schema:
            return _TWO_DDL
        mixed = transaction.changes_rows and statement.changes_schema
        if mixed or (transaction.changes_schema and statement.kind == "dml"):
            return _MIXED
        return None

    async def fail(self, failure: Failure) -> list[Message]:
        """The statement fails, and its transaction with it."""
        transaction = self._work.transaction
        if transaction is not None and transaction.implicit:
            await self._work.rollback()
        elif transaction is not None:
            await self._work.abort()
            self._failed = True
        return [failure.message()]

    async def open(self, statement: Statement) -> None:
        """Begin a transaction for a change that is sent without one: it is judged as one."""
        if self._work.transaction is None and statement.writes:
            await self._work.begin("begin", implicit=True)

    async def close(self) -> list[Message]:
        """Commit what was begun so; the error, if there is one."""
        transaction = self._work.transaction
        if transaction is None or not transaction.implicit:
            return []
        answers = await self._commit("commit")
        return [each for each in answers if each.kind == b"E"]

    async def query(
        self, statement: Statement, data: bytes, *, alone: bool, tell: Tell, copied: Copied
    ) -> list[Message]:
        """Do a statement of the simple protocol; `alone` when it is the last of its query."""
        failure = self.judge(statement)
        if failure is not None:
            return await self.fail(failure)
        await self.open(statement)
        answers = await self.execute(statement, data, tell=tell, copied=copied)
        if statement.kind in ("index", "validate") and answers[-1].kind == b"C":
            answers = [asynchronous.DESCRIBED, *answers]
        if alone and not _error(answers):
            errors = await self.close()
            if errors:
                return [*answers[:-1], *errors]
        return answers

    async def execute(
        self, statement: Statement, data: bytes, *, tell: Tell, copied: Copied
    ) -> list[Message]:
        """Do a statement that was judged; the answers, without ReadyForQuery."""
        if self._faults.is_unavailable():
            return await self.fail(_UNAVAILABLE)
        if statement.kind in _CONTROL:
            return await self._control(statement)
        work, transaction = self._work, self._work.transaction
        if _waits(statement):
            await self._jobs.finished()
        failure = await keys.refused(work, statement)
        if failure is not None:
            return await self.fail(failure)
        if statement.kind in asynchronous.KINDS:
            answers = await asynchronous.do(work, statement, data)
        else:
            answers = await work.perform((data,), tell=tell, copied=copied)
        answers = await self.answered(answers)
        if statement.shown is not None:
            answers = [row(statement.shown) if each.kind == b"D" else each for each in answers]
        return answers if _error(answers) else await self._counted(statement, transaction, answers)

    async def answered(self, answers: list[Message]) -> list[Message]:
        """What the server has answered; an error fails the transaction."""
        transaction, error = self._work.transaction, _error(answers)
        if transaction is not None and transaction.lost:
            return await self.fail(CONFLICT)
        if error is None:
            return answers
        failed = await self.fail(CONFLICT)
        return failed if fields(error).get("C") in CONFLICTS else answers

    async def _counted(
        self, statement: Statement, transaction: Transaction | None, answers: list[Message]
    ) -> list[Message]:
        if transaction is not None:
            transaction.changes_schema |= statement.changes_schema
            transaction.changes_rows |= statement.kind == "dml"
            transaction.rows += _rows(answers)
            if transaction.rows > self._options.transaction_rows:
                return await self.fail(_TOO_MANY_ROWS)
        return answers

    async def _control(self, statement: Statement) -> list[Message]:
        work, transaction = self._work, self._work.transaction
        if statement.kind == "begin":
            if transaction is not None and transaction.implicit:
                transaction.implicit = False
                return [complete("BEGIN")]
            return await work.begin(statement.text, implicit=False)
        if statement.kind == "rollback":
            self._failed = False
            if transaction is None:
                return (await work.command(statement.text))[0]
            await work.rollback()
            return [complete("ROLLBACK")]
        return await self._commit(statement.text)

    async def _commit(self, text: str) -> list[Message]:
        work, transaction = self._work, self._work.transaction
        if transaction is None:
            return (await work.command(text))[0]
        if self._failed:
            self._failed = False
            await work.rollback()
            return [complete("ROLLBACK")]
        failure = self._at_commit(transaction)
        if failure is None and not transaction.doomed:
            await work.resume(to_commit=True)
        if failure is None and (transaction.doomed or transaction.lost):
            failure = CONFLICT
        if failure is not None:
            await work.rollback()
            return [failure.message()]
        answers = await work.commit(text)
        if transaction.changes_schema:
            self._jobs.look()
        if self._faults.is_uncertain():
            return [_UNAVAILABLE.message()]
        return answers

    def _at_commit(self, transaction: Transaction) -> Failure | None:
        work = self._work
        if self._is_behind():
            work.catalog = work.conflicts.catalog
            return _SCHEMA
        if self._is_old(transaction):
            return self._age
        if transaction.changes_rows and transaction.size > self._options.transaction_bytes:
            return _TOO_LARGE
        if transaction.changes_rows and work.conflicts.injected():
            return CONFLICT
        return None

    def _is_behind(self) -> bool:
        """Whether the schema was changed by another session since this one knows it."""
        return self._options.schema_conflicts and self._work.catalog != self._work.conflicts.catalog

    def _is_old(self, transaction: Transaction) -> bool:
        return time.monotonic() - transaction.began > self._options.transaction_seconds

    @property
    def _age(self) -> Failure:
        seconds = f"{self._options.transaction_seconds:g}"
        return Failure("54000", f"transaction age limit of {seconds}s exceeded")


def _waits(statement: Statement) -> bool:
    """Whether it waits for a job. It waits for all: which one may be a parameter."""
    return [each.text for each in statement.words[:4]] == ["CALL", "SYS", ".", "WAIT_FOR_JOB"]


def _error(answers: Sequence[Message]) -> Message | None:
    return next((each for each in answers if each.kind == b"E"), None)


def _rows(answers: Sequence[Message]) -> int:
    """How many were changed, as the tags say."""
    count = 0
    for each in answers:
        if each.kind == b"C":
            words = tag(each).split(" ")
            if words[0] in _COUNTED and words[-1].isdecimal():
                count += int(words[-1])
    return count
