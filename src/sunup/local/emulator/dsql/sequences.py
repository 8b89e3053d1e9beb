"""Sequences at a replay: what is inserted again gets the numbers that its client was told.

A sequence goes on whatever becomes of a transaction (PostgreSQL, "CREATE SEQUENCE", notes), so
without this whoever has inserted a row could never be replayed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from ..owner import Owner

_LAST = "select seqrelid::int, pg_sequence_last_value(seqrelid) from pg_sequence"

_SET = """
select setval(seqrelid::regclass, coalesce(last, seqstart), last is not null)
from unnest(%s::int[], %s::bigint[]) as given (sequence, last)
join pg_sequence on seqrelid = sequence::oid
"""

# Seconds that others give way to a replay, and that one needs to take its numbers.
_PATIENCE, _BRIEFLY = 0.2, 0.02

# The last number of each, by its oid; None: it has given none.
Last = dict[int, int | None]


class Sequences:
    """Of the database behind. On one event loop."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._turn = asyncio.Lock()

    async def last(self) -> Last:
        """As they are now, once nobody replays."""
        if self._turn.locked():
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE), self._turn:
                    pass
        return await self._read()

    @asynccontextmanager
    async def as_they_were(self, before: Last) -> AsyncIterator[None]:
        """What is inserted within gets the numbers after `before`; nobody else gets them again.

        Not while another one is replayed, which may wait for this one.
        """
        if not before or not await self._taken():
            yield
            return
        now = await self._read()
        await self._set({each: before[each] for each in before.keys() & now.keys()})
        # A statement takes its numbers first; whatever it waits for then, nobody has to wait, too.
        ended = asyncio.Event()
        restoring = asyncio.ensure_future(self._restore(now, ended))
        try:
            yield
        finally:
            ended.set()
            await restoring

    async def _taken(self) -> bool:
        """Whether the turn is ours, after a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                return await self._turn.acquire()
        return False

    async def _restore(self, now: Last, ended: asyncio.Event) -> None:
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_BRIEFLY):
                    await ended.wait()
            then = await self._read()
            await self._set(
                {each: now[each] for each in now if (then.get(each) or 0) < (now[each] or 0)}
            )
        finally:
            self._turn.release()

    async def _read(self) -> Last:
        return dict(await self._owner.fetch(_LAST))

    async def _set(self, wanted: Last) -> None:
        if wanted:
            await self._owner.fetch(_SET, (list(wanted), list(wanted.values())))
