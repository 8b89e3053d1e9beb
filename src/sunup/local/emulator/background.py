"""Tasks that run until they are done, or until everything ends."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

# Seconds after which a task is cancelled again. Longer than any of them takes to put things in
# order, which a second cancellation would cut short: killing an instance takes up to 2 s.
_AGAIN = 5.0


async def end_all(tasks: "Iterable[asyncio.Task[Any]]") -> None:
    """Cancel tasks, and wait for their end.

    Again where one goes on: a cancellation is lost where what is waited for ends with it.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=_AGAIN)
        for task in done:
            if not task.cancelled():
                task.exception()  # seen: nobody asks for it any more


class Background:
    """Keeps tasks alive, which asyncio itself refers to weakly."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it as a separate task."""
        self.add(asyncio.create_task(work))

    def add(self, task: "asyncio.Task[None]") -> None:
        """Take over a running task."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Cancel what runs, and wait for its end."""
        await end_all(self._tasks)
