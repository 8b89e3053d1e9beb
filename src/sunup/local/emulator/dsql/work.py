"""A session's work on the server behind: it never waits for another's, which the server would.

The server locks rows; Aurora DSQL does not. Where a statement waits for a session that is idle in a
transaction, that one is suspended: rolled back behind its client's back. At its next statement it
begins again and does what it has done; when all answers are the same, its client cannot tell.
Otherwise it is doomed, and its COMMIT fails, as DSQL's does (`conflicts`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from .conflicts import Conflicts
from .messages import FLUSH, SYNC, Message, Upstream, fields
from .transaction import Digest, Transaction

# Seconds until a statement is suspected to wait for another session.
_PATIENCE = 0.01

# How often one begins again before it is given up.
_TRIES = 10

# serialization_failure, deadlock_detected, lock_not_available.
CONFLICTS = ("40001", "40P01", "55P03")

# What is kept of one answer, to be told only when it is complete.
_MOST_HELD = 1024 * 1024

# What ends the answer to a message; to the others, ReadyForQuery does.
_ENDS = {
    b"P": (b"1",),
    b"B": (b"2",),
    b"C": (b"3",),
    b"D": (b"T", b"n"),
    b"E": (b"C", b"I", b"s", b"G"),
    b"Q": (b"G",),
}

# Takes the beginning of an answer that is too long to be kept; says what a client copies.
Tell = Callable[[Sequence[Message]], Awaitable[None]]
Copied = Callable[[], Awaitable[tuple[bytes, ...]]]


class Work:
    """`turn` is held by whoever uses the server's session: its client, or who suspends it."""

    def __init__(self, upstream: Upstream, pid: int, conflicts: Conflicts) -> None:
        self._upstream = upstream
        self.conflicts = conflicts
        self.pid = pid
        self.turn = asyncio.Lock()
        self.transaction: Transaction | None = None
        # The version of the schema that the session knows.
        self.catalog = conflicts.catalog

    async def begin(self, text: str, *, implicit: bool) -> list[Message]:
        """Begin a transaction; the answers."""
        answers, status = await self.command(text)
        if status == "T" and self.transaction is None:
            self.catalog = self.conflicts.catalog
            self.transaction = Transaction(text, implicit=implicit, catalog=self.catalog)
        return answers

    async def commit(self, text: str) -> list[Message]:
        """Commit; the answers. Its rivals are doomed."""
        transaction = self.transaction
        assert transaction is not None
        for each in transaction.rivals:
            each.doomed = True
        answers, status = await self.command(text)
        self.transaction = None
        if status == "T":  # AND CHAIN
            self.transaction = Transaction(
                transaction.begin, implicit=False, catalog=self.conflicts.catalog
            )
        if transaction.changes_schema and not any(each.kind == b"E" for each in answers):
            self.conflicts.catalog += 1
        self.catalog = self.conflicts.catalog
        return answers

    async def rollback(self) -> None:
        """End the transaction without a trace."""
        transaction, self.transaction = self.transaction, None
        if transaction is not None and transaction.here:
            await self.command("rollback")

    async def abort(self) -> None:
        """The transaction has failed: the server forgets it, its client has to end it."""
        transaction = self.transaction
        if transaction is not None and transaction.here:
            await self.command("rollback")
            transaction.lost = True

    async def restart(self) -> None:
        """After an error: the transaction as it was before the statement, on what is there now."""
        transaction = self.transaction
        if transaction is not None:
            await self.command("rollback")
            await self._rebuild(transaction)

    async def suspend(self) -> None:
        """Give way to another session. Only for who has the turn."""
        transaction = self.transaction
        if transaction is not None and transaction.here:
            transaction.suspended = True
            transaction.lost = not transaction.replayable
            await self.command("rollback")

    async def resume(self, *, to_commit: bool = False) -> None:
        """What was suspended is there again, or lost; `to_commit` nothing else than that."""
        transaction = self.transaction
        if transaction is not None and transaction.suspended and not transaction.lost:
            transaction.suspended = False
            await self._rebuild(transaction, to_commit=to_commit)

    async def command(self, text: str) -> tuple[list[Message], str]:
        """Something of the front's own; what it says, and the state of the transaction."""
        answers, status = await self._upstream.command(text)
        return [each for each in answers if each.kind in b"ECNSD"], status

    async def perform(
        self,
        data: tuple[bytes, ...],
        *,
        replayed: bool = True,
        tell: Tell | None = None,
        copied: Copied | None = None,
    ) -> list[Message]:
        """Do what a message asks for; the answers, without ReadyForQuery.

        A conflict dooms an explicit transaction, which goes on, on what is there now. Where that
        cannot be, it is lost, and the answers are none.
        """
        await self.resume()
        transaction, kind = self.transaction, data[0][:1]
        if transaction is not None and transaction.lost:
            return []
        for _ in range(_TRIES):
            told = Digest()
            answers, whole = await self._exchange(data, kind, told, tell)
            if answers and answers[-1].kind == b"G" and tell is not None and copied is not None:
                await tell(answers)
                rest = await copied()
                data = (*data, *rest)
                answers, whole = await self._exchange(rest, kind, told, tell)
            state = _state(answers)
            if transaction is None or transaction.implicit or state not in CONFLICTS:
                break
            transaction.doomed = True
            if not whole:
                break
            await self.command("rollback")
            await self._rebuild(transaction)
            if transaction.lost:
                return []
        if transaction is not None and replayed and not _state(answers):
            transaction.note(data, kind, told.value)
        if transaction is not None and transaction.doomed and kind in b"QE":
            await self.suspend()  # nobody needs to wait for one that has lost
        return answers

    async def aside(self, message: Message) -> list[Message]:
        """As `perform`, for what has nothing to do with the transaction."""
        return (await self._exchange((message.encode(),), message.kind, Digest(), None))[0]

    async def sync(self) -> None:
        """The end of a cycle of the extended protocol outside of a transaction."""
        self._upstream.send((SYNC,))
        while (await self._upstream.read()).kind != b"Z":
            pass

    async def _rebuild(self, transaction: Transaction, *, to_commit: bool = False) -> None:
        """Begin again, and do again what was done."""
        for _ in range(_TRIES):
            await self.command(transaction.begin)
            if await self._replay(transaction, to_commit=to_commit):
                return
            transaction.doomed = True
            await self.command("rollback")
            if to_commit:
                break
        transaction.lost = True

    async def _replay(self, transaction: Transaction, *, to_commit: bool) -> bool:
        """Whether all could be done again. Dooms it where an answer is another one."""
        for entry in list(transaction.journal):
            told = Digest()
            answers, _ = await self._exchange(entry.data, entry.kind, told, _forget)
            state = _state(answers)
            if state:
                if state not in CONFLICTS:
                    transaction.journal.remove(entry)  # its rows are gone, or its key is taken
                return False
            transaction.doomed |= told.value != entry.digest
            if transaction.doomed and to_commit:
                return False
        return True

    async def _exchange(
        self, data: Sequence[bytes], kind: bytes, told: Digest, tell: Tell | None
    ) -> tuple[list[Message], bool]:
        extended = kind in b"PBDEC"
        self._upstream.send((*data, FLUSH) if extended else data)
        copies = len(data) > 1 or data[0][:1] == b"d"
        reading = asyncio.ensure_future(self._answers(kind, told, tell, copies=copies))
        try:
            if not (await asyncio.wait({reading}, timeout=_PATIENCE))[0]:
                self.conflicts.wait(self)
            return await reading
        finally:
            reading.cancel()
            self.conflicts.done(self)

    async def _answers(
        self, kind: bytes, told: Digest, tell: Tell | None, *, copies: bool
    ) -> tuple[list[Message], bool]:
        """Those to one message, and whether none was told already."""
        ends = _ENDS.get(kind, ())
        kept, size, whole = list[Message](), 0, True
        while True:
            answer = await self._upstream.read()
            if answer.kind == b"Z":
                break
            kept.append(answer)
            told.add((answer,))
            size += len(answer.body)
            if answer.kind == b"E" and kind != b"Q":
                self._upstream.send((SYNC,))
                ends = ()
            elif answer.kind == b"G" and copies:
                continue
            elif answer.kind in ends:
                break
            if size > _MOST_HELD and tell is not None:
                await tell(kept)
                kept, size, whole = [], 0, False
        return kept, whole


async def _forget(_: Sequence[Message]) -> None:
    """Nobody is to be told."""


def _state(answers: Sequence[Message]) -> str:
    """The SQLSTATE of the error among them, else nothing."""
    return next((fields(each).get("C", "") for each in answers if each.kind == b"E"), "")
