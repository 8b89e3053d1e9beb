"""Does a statement that was judged, and says what became of its transaction."""

from collections.abc import Sequence

from . import asynchronous, keys
from .faults import Faults
from .jobs import Jobs
from .judging import CONFLICT, TOO_MANY_ROWS, Judge
from .messages import Failure, Message, complete, error_of, row, state_of, tag
from .options import DsqlOptions
from .statements import Statement
from .transaction import Transaction
from .upstream import Copied, Tell
from .work import CONFLICTS, Work

# Aurora DSQL User Guide, troubleshooting.
_UNAVAILABLE = Failure("XX000", "server unavailable")

_CONTROL = ("begin", "commit", "rollback")

# Whose tags count rows.
_COUNTED = ("INSERT", "UPDATE", "DELETE", "COPY")


class Doing:
    """What a session's statements do, whichever protocol they come by."""

    def __init__(self, work: Work, options: DsqlOptions, jobs: Jobs, faults: Faults) -> None:
        self._work = work
        self._judge = Judge(work, options)
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
        return self._judge.statement(statement, aborted=self.status == "E")

    async def fail(self, failure: Failure) -> list[Message]:
        """The statement fails, and its transaction with it."""
        self._work.conflicts.note(failure)
        await self._end()
        return [failure.message()]

    async def _end(self) -> None:
        """After an error: what was begun for one statement is gone, the client's own has failed."""
        transaction = self._work.transaction
        if transaction is not None and transaction.implicit:
            await self._work.rollback()
        elif transaction is not None:
            await self._work.abort()
            self._failed = True

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
        if alone and not error_of(answers):
            errors = await self.close()
            if errors:
                return [*answers[:-1], *errors]
        return answers

    async def execute(
        self, statement: Statement, data: bytes, *, tell: Tell, copied: Copied
    ) -> list[Message]:
        """Do a statement that was judged; the answers, without ReadyForQuery."""
        if self._faults.is_unavailable():
            if statement.kind == "commit":
                await self._work.rollback()
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
        return (
            answers if error_of(answers) else await self._counted(statement, transaction, answers)
        )

    async def answered(self, answers: list[Message]) -> list[Message]:
        """What the server has answered; an error fails the transaction."""
        transaction = self._work.transaction
        if transaction is not None and transaction.lost:
            return await self.fail(CONFLICT)
        state = state_of(answers)
        if not state:
            return answers
        if state in CONFLICTS:
            return await self.fail(CONFLICT)
        await self._end()
        return answers

    async def _counted(
        self, statement: Statement, transaction: Transaction | None, answers: list[Message]
    ) -> list[Message]:
        if transaction is not None:
            transaction.changes_schema |= statement.changes_schema
            transaction.changes_rows |= statement.kind == "dml"
            transaction.rows += _rows(answers)
            if self._judge.has_too_many_rows(transaction):
                return await self.fail(TOO_MANY_ROWS)
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
        failure = self._judge.commit(transaction)
        if failure is None and not (transaction.changes_rows or transaction.changes_schema):
            return await self._left(text, transaction)
        if failure is None and not transaction.doomed:
            await work.resume(to_commit=True)
        if failure is None and (transaction.doomed or transaction.lost):
            failure = CONFLICT
        if failure is not None:
            work.conflicts.note(failure)
            await work.rollback()
            return [failure.message()]
        answers = await work.commit(text)
        if transaction.changes_schema:
            self._jobs.look()
        if self._faults.is_uncertain():
            return [_UNAVAILABLE.message()]
        return answers

    async def _left(self, text: str, transaction: Transaction) -> list[Message]:
        """What has only read conflicts with nobody."""
        if transaction.here:
            return await self._work.commit(text)
        await self._work.rollback()
        return [complete("COMMIT")]


def _waits(statement: Statement) -> bool:
    """Whether it waits for a job. It waits for all: which one may be a parameter."""
    return [each.text for each in statement.words[:4]] == ["CALL", "SYS", ".", "WAIT_FOR_JOB"]


def _rows(answers: Sequence[Message]) -> int:
    """How many were changed, as the tags say."""
    count = 0
    for each in answers:
        if each.kind == b"C":
            words = tag(each).split(" ")
            if words[0] in _COUNTED and words[-1].isdecimal():
                count += int(words[-1])
    return count
