"""What sessions have to do with each other: who waits for whom, and which schema they know."""

import asyncio
import random
from contextlib import suppress
from typing import Protocol

import psycopg

from ..background import Background
from ..owner import Owner
from ..timeline import Timeline
from .messages import Failure
from .transaction import Transaction

# Seconds between two looks at who waits; sooner when a session has come to rest, later while nobody
# waits for another: a statement may take long by itself.
_STEP, _LONGEST_STEP = 0.01, 0.1

# Who waits itself, waits for one of the others.
_BLOCKED = """
select waits, holds
from unnest(%s::int[]) as waits, unnest(pg_blocking_pids(waits)) as holds
where holds <> all (%s::int[])
"""


class Conflicts:
    """Knows the sessions by the process that serves them. On one event loop.

    `probability` is that of a COMMIT of changes to conflict without any reason.
    """

    def __init__(self, owner: Owner, probability: float, timeline: Timeline) -> None:
        self._owner = owner
        self._timeline = timeline
        self._probability = probability
        self._works: dict[int, Working] = {}
        self._waiting: set[int] = set()
        self._stirred = asyncio.Event()
        self._watching = False
        self._background = Background()
        # Grows with each change of the schema.
        self.catalog = 0
        # So many of the next COMMITs of changes conflict.
        self.next = 0

    async def stop(self) -> None:
        """Let them wait."""
        await self._background.stop()

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

    def note(self, failure: Failure) -> None:
        """A client is told that its transaction conflicts."""
        if failure.state == "40001":
            self._timeline.add("conflict", reason=failure.words)

    def wait(self, work: "Working") -> None:
        """A statement takes long: see to it that it waits for nobody who does nothing."""
        self._waiting.add(work.pid)
        if not self._watching:
            self._watching = True
            self._background.start(self._watch())

    def done(self, work: "Working") -> None:
        """It waits no more."""
        self._waiting.discard(work.pid)

    def at_rest(self) -> None:
        """A session has nothing to do: somebody may wait for it."""
        self._stirred.set()

    async def _watch(self) -> None:
        step = _STEP
        try:
            while self._waiting:
                waiting = list(self._waiting)
                with suppress(psycopg.Error):  # it was ended: the next time
                    found = await self._owner.fetch(_BLOCKED, (waiting, waiting))
                    step = _STEP if found else min(2 * step, _LONGEST_STEP)
                    for pid, holder in found:
                        await self._make_way(pid, holder)
                self._stirred.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(step):
                        await self._stirred.wait()
        finally:
            self._watching = False

    async def _make_way(self, pid: int, holder: int) -> None:
        """Suspend a session that another waits for, when it does nothing itself."""
        waits, holds = self._works.get(pid), self._works.get(holder)
        if waits is None or holds is None or holds.turn.locked():
            return  # it will soon be done, or is none of ours
        async with holds.turn:
            transaction = holds.transaction
            await holds.suspend()
        if transaction is not None and waits.transaction is not None:
            waits.transaction.rivals.add(transaction)
            transaction.rivals.add(waits.transaction)


class Working(Protocol):
    """A session's `Work`."""

    pid: int
    turn: asyncio.Lock
    transaction: Transaction | None

    async def suspend(self) -> None:
        """Give way to another session."""
