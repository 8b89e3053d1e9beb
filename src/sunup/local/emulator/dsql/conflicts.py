"""What sessions have to do with each other: whose rows are taken, and which schema they know."""

import asyncio
import random
from typing import Protocol

from ..owner import Owner
from .transaction import Transaction


class Conflicts:
    """Knows the sessions by the process that serves them. On one event loop."""

    def __init__(self, owner: Owner, probability: float) -> None:
        self._owner = owner
        self._probability = probability
        self._works: dict[int, Working] = {}
        # Grows with each change of the schema.
        self.catalog = 0
        # So many of the next COMMITs of changes conflict.
        self.next = 0

    def enter(self, work: "Working") -> None:
        """A session begins."""
        self._works[work.pid] = work

    def leave(self, work: "Working") -> None:
        """A session has ended."""
        self._works.pop(work.pid, None)

    def injected(self) -> bool:
        """Whether a COMMIT that is asked for now is to conflict."""
        if self.next > 0:
            self.next -= 1
            return True
        return random.random() < self._probability  # noqa: S311

    async def make_way(self, work: "Working") -> None:
        """Suspend each session that a statement waits for and that does nothing itself."""
        rows = await self._owner.fetch("select unnest(pg_blocking_pids(%s))", (work.pid,))
        for (pid,) in rows:
            other = self._works.get(pid)
            if other is None or other.turn.locked():
                continue  # it will soon be done, or is the server's own
            async with other.turn:
                transaction = other.transaction
                await other.suspend()
            if transaction is not None and work.transaction is not None:
                work.transaction.taken.add(transaction)


class Working(Protocol):
    """A session's `Work`."""

    pid: int
    turn: asyncio.Lock
    transaction: Transaction | None

    async def suspend(self) -> None:
        """Give way to another session."""
