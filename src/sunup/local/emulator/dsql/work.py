"""A session's work on the server behind: it never waits for another's, which the server would.

The server locks rows; Aurora DSQL does not. Where a statement waits for a session that is idle in a
transaction, that one is suspended: rolled back behind its client's back. At its next statement it
begins again and does what it has done; when all answers are the same, its client cannot tell.
Otherwise it is doomed, and its COMMIT fails, as DSQL's does (`conflicts`).
"""

import asyncio
from collections.abc import Sequence

from .conflicts import Conflicts
from .messages import Message, state_of
from .transaction import Digest, Transaction
from .upstream import Copied, Tell, Upstream

# Seconds until a statement is suspected to wait for another session.
_PATIENCE = 0.01

# How often one begins again before it is given up.
_TRIES = 10

# serialization_failure, deadlock_detected, lock_not_available.
CONFLICTS = ("40001", "40P01", "55P03")


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
            self.transaction = Transaction(text, implicit=implicit)
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
            self.transaction = Transaction(transaction.begin, implicit=False)
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
        if transaction is not None:
            if transaction.here:
                await self.command("rollback")
            transaction.lost = True

    async def restart(self) -> None:
        """After an error: the transaction as it was before the statement, on what is there now."""
        transaction = self.transaction
        if transaction is not None:
            await self._rebuild(transaction, f"rollback; {transaction.begin}")

    async def suspend(self) -> None:
        """Give way to another session. Only for who has the turn."""
        transaction = self.transaction
        if transaction is not None and transaction.here:
            transaction.suspended = True
            transaction.lost = not transaction.replayable
            await self._upstream.query("rollback")

    async def resume(self, *, to_commit: bool = False) -> None:
        """What was suspended is there again, or lost; `to_commit` nothing else than that."""
        transaction = self.transaction
        if transaction is not None and transaction.suspended and not transaction.lost:
            transaction.suspended = False
            await self._rebuild(transaction, transaction.begin, to_commit=to_commit)

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
            state = state_of(answers)
            if transaction is None or transaction.implicit or state not in CONFLICTS:
                break
            transaction.doomed = True
            if not whole:
                break
            await self._rebuild(transaction, f"rollback; {transaction.begin}")
            if transaction.lost:
                return []
        if transaction is not None and replayed and not state_of(answers):
            transaction.note(data, kind, told.value)
        if transaction is not None and transaction.doomed and kind in b"QE":
            await self.suspend()  # nobody needs to wait for one that has lost
        return answers

    async def aside(self, message: Message) -> list[Message]:
        """As `perform`, for what has nothing to do with the transaction."""
        return (await self._exchange((message.encode(),), message.kind, Digest(), None))[0]

    async def sync(self) -> None:
        """The end of a cycle of the extended protocol outside of a transaction."""
        await self._upstream.sync()

    async def _rebuild(
        self, transaction: Transaction, begin: str, *, to_commit: bool = False
    ) -> None:
        """Begin again, and do again what was done."""
        for _ in range(_TRIES):
            await self._upstream.query(begin)
            if await self._replay(transaction, to_commit=to_commit):
                return
            transaction.doomed = True
            if to_commit:
                break
            begin = f"rollback; {transaction.begin}"
        await self._upstream.query("rollback")
        transaction.lost = True

    async def _replay(self, transaction: Transaction, *, to_commit: bool) -> bool:
        """Whether all could be done again. Dooms it where an answer is another one."""
        for entry in list(transaction.journal):
            told = Digest()
            answers, _ = await self._exchange(entry.data, entry.kind, told, _forget)
            state = state_of(answers)
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
        reading = asyncio.ensure_future(self._upstream.exchange(data, kind, told, tell))
        try:
            if not (await asyncio.wait({reading}, timeout=_PATIENCE))[0]:
                self.conflicts.wait(self)
            return await reading
        finally:
            reading.cancel()
            self.conflicts.done(self)


async def _forget(_: Sequence[Message]) -> None:
    """Nobody is to be told."""
