"""Executes the statements of a migration one by one, and notes each, so that a run can go on.

Data is changed in one transaction with its note: both or neither. What changes the schema is alone
in its transaction there, so it is noted before and after; where only the first note is found, the
statement is sent again, and `already exists` says that it had been executed.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg

from sunup.failures import sqlstate_of
from sunup.local.errors import CommandError

from . import jobs
from .conflicts import is_uncertain, retried
from .lease import Lease
from .looking import was_executed
from .pieces import Kind, Piece, pieces
from .progress import Progress, Step
from .sending import Sending
from .transaction import in_transaction

# Rows that one transaction changes at most, beside its note (Aurora DSQL User Guide, quotas).
_MOST_ROWS = 2999

Tell = Callable[[str], None]


class Steps:
    """The statements of one migration, in one direction; `file` is what it is called.

    `changed` says whether statements that were executed may have another text now.
    """

    def __init__(
        self,
        lease: Lease,
        revision: str,
        direction: str,
        file: str,
        tell: Tell,
        *,
        changed: bool = False,
    ) -> None:
        self._lease = lease
        self._revision = revision
        self._progress = Progress(lease.schema, revision, direction)
        self._file = file
        self._tell = tell
        self._changed = changed
        self._noted: dict[int, Step] = {}
        self._number = 0
        self._session = False

    def begin(self, connection: Any) -> None:
        """Read what an earlier run has done."""
        self._noted = retried(lambda: self._progress.steps(connection))
        done = sum(each.done for each in self._noted.values())
        if self._noted:
            self._tell(f"{self._file} goes on after {done} of its statements")

    def end(self, connection: Any) -> None:
        """Put the session back. Raises `CommandError` where an earlier run has executed more."""
        if self._noted and max(self._noted) > self._number and not self._changed:
            raise self._differs(self._number + 1)
        if self._session:
            # A dump sets search_path: not for what is noted then, nor for the next migration.
            retried(lambda: connection.execute("reset all"))

    def execute(self, sending: Sending) -> None:
        """Execute a text, which may have several statements.

        Raises what psycopg raises, and `CommandError`.
        """
        found = pieces(sending.text)
        if sending.parameters and found:
            found = [replace(found[0], text=sending.text)]
        for piece in found:
            part = sending.part(piece.text)
            self._session |= piece.kind is Kind.SESSION
            if piece.kind in (Kind.READ, Kind.SESSION):
                retried(part.send)
            elif piece.kind is not Kind.BOUNDS:  # each statement has its own transaction
                for each in part.parts(_MOST_ROWS):
                    self._step(each, piece)

    def _step(self, sending: Sending, piece: Piece) -> None:
        self._number += 1
        step = Step(self._number, _digest(sending), done=False)
        noted = self._noted.get(step.number)
        if noted is not None and noted.sha256 != step.sha256 and not self._changed:
            raise self._differs(step.number)
        if noted is not None and noted.done:
            if "returning" in piece.words:
                raise CommandError(
                    f"{self._file} cannot go on: its statement {step.number} was executed, and "
                    "returned what the rest of it may need",
                    f"Leave RETURNING out there, then: sunup migrate up --accept {self._revision}.",
                )
        elif piece.kind is Kind.DATA:
            self._change_data(sending, step)
        else:
            self._change_schema(sending, piece, step, begun=noted is not None)

    def _change_data(self, sending: Sending, step: Step) -> None:
        def work() -> None:
            self._note(sending, replace(step, done=True))
            sending.send()

        self._guarded(sending.connection, work)

    def _change_schema(self, sending: Sending, piece: Piece, step: Step, *, begun: bool) -> None:
        connection = sending.connection
        self._guarded(connection, lambda: self._note(sending, step))
        try:
            retried(sending.send)
            self._wait(sending.cursor, piece)
        except (psycopg.Error, CommandError) as error:
            if begun and was_executed(piece, error):
                state = sqlstate_of(error)
                self._tell(f"{self._file}: statement {step.number} had been executed ({state})")
                if piece.index is not None:
                    jobs.wait_for_index(connection, piece.index, self._tell)
            else:
                if not is_uncertain(error, connection):
                    # It was refused: nothing of it is there.
                    self._guarded(
                        connection, lambda: self._progress.withdraw(connection, step.number)
                    )
                raise
        self._guarded(connection, lambda: self._note(sending, replace(step, done=True)))

    def _wait(self, cursor: Any, piece: Piece) -> None:
        """Wait for what goes on in the background: an index, the check of a constraint."""
        columns = [each.name for each in cursor.description or ()]
        if columns == ["job_id"]:
            row = cursor.fetchone()
            if row is not None and row[0]:
                jobs.wait(cursor.connection, str(row[0]), piece, self._tell)
        if piece.index is not None:
            jobs.wait_for_index(cursor.connection, piece.index, self._tell)

    def _guarded(self, connection: Any, work: Callable[[], None]) -> None:
        def guarded() -> None:
            self._lease.guard(connection)
            work()

        in_transaction(connection, guarded)

    def _note(self, sending: Sending, step: Step) -> None:
        self._progress.note(sending.connection, step, sending.text)

    def _differs(self, number: int) -> CommandError:
        return CommandError(
            f"{self._file}: its statement {number} was executed by a run that was cut, and is "
            "another one now",
            f"Restore the file, and put the change into a migration of its own. If the statements "
            f"that were executed ({len(self._noted)}) may count as they are now: --accept "
            f"{self._revision}.",
        )


def _digest(sending: Sending) -> str:
    """SHA-256 of a statement with its values, whatever the spaces between its words."""
    said = " ".join(sending.text.split())
    if sending.parameters:
        said += repr(sending.parameters)
    return hashlib.sha256(said.encode()).hexdigest()
