"""What ASYNC statements leave to be done: in the background, a moment after their COMMIT."""

import asyncio

import psycopg

from ..background import Background
from ..owner import Owner

_NEXT = "select job_id, job_type, object_id, command from sys.work where status = 'submitted'"
_DONE = """
update sys.work set status = %s, details = %s, update_time = clock_timestamp() where job_id = %s
"""
_VALID = """
set allow_system_table_mods = on;
update pg_index set indisvalid = true where indexrelid = %s;
reset allow_system_table_mods;
"""


class Jobs:
    """Looks for jobs when told to. `seconds` is how long one takes. On one event loop."""

    def __init__(self, owner: Owner, seconds: float) -> None:
        self._owner = owner
        self._seconds = seconds
        self._background = Background()
        self._under_way: set[asyncio.Task[None]] = set()

    def look(self) -> None:
        """There may be jobs."""
        task = asyncio.create_task(self._work())
        self._background.add(task)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def finished(self) -> None:
        """Wait until those that there are now are done."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def stop(self) -> None:
        """Do nothing more."""
        await self._background.stop()

    async def _work(self) -> None:
        if not await self._owner.fetch(_NEXT):
            return
        await asyncio.sleep(self._seconds)
        for job, kind, number, command in await self._owner.fetch(_NEXT):
            try:
                if kind == "INDEX_BUILD" and command is not None:
                    await self._owner.fetch(_DONE, ("failed", command, job))
                    continue
                if kind == "INDEX_BUILD":
                    await self._owner.fetch(_VALID, (number,))
                else:
                    await self._owner.fetch(command)
            except psycopg.Error as error:
                text = error.diag.message_primary or "it failed"
                await self._owner.fetch(_DONE, ("failed", text, job))
            else:
                await self._owner.fetch(_DONE, ("completed", None, job))
