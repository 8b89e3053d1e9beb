"""Connections that are put right or closed: after their blocks, or since their requests have ended.

In tasks of their event loop, which whoever gives one back waits for. Where the loop stands still,
was closed or is another thread's, from outside of it: see `standing`.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial

from sunup import deadline
from sunup.connecting.ledger import ENDING, Ledger

from .connection import Connection

# Seconds between looks at a loop of another thread, which may stop.
_LOOKS = 0.01


class Endings:
    """Of one pool: `rest` takes back what was put right, `discard` forgets what was closed."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ledger: Ledger[Connection],
        rest: Callable[[Connection], None],
        discard: Callable[[Connection], None],
    ) -> None:
        self._loop = loop
        self._ledger = ledger
        self._rest = rest
        self._discard = discard
        self.tasks: set[asyncio.Task[None]] = set()
        self._task_of: dict[Connection, asyncio.Task[None]] = {}

    def begin(self, connection: Connection, *, keep: bool) -> None:
        """Have it put right (`keep`) or closed, by its loop, which is running."""
        self._ledger.in_use[connection] = ENDING
        task = self._loop.create_task(self._end(connection, keep=keep), name="sunup-closing")
        if keep:
            connection.session.only_for = task
        self.tasks.add(task)
        # Its holder's still: the request is not over before this.
        self._task_of[connection] = task
        task.add_done_callback(partial(self._has_ended, connection))

    def close(self, opening: "asyncio.Task[None]") -> None:
        """End an attempt to connect, which its loop is running."""
        opening.cancel()
        task = self._loop.create_task(_end_of(opening), name="sunup-closing")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def wait(self, connection: Connection) -> None:
        """Until it is put right or closed, also when cancelled, and cancelled again."""
        ending = self._task_of.get(connection)
        cancelled: asyncio.CancelledError | None = None
        while ending is not None and not ending.done():
            try:
                await asyncio.wait((ending,))
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def reclaim(self, connection: Connection) -> None:
        """Close it, from anywhere: an app may run its own event loops, and let them stand."""
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001  # raises nothing
            if self._ledger.is_out(connection):
                self.begin(connection, keep=False)
        elif not self._ended_there(connection) and connection in self._ledger.in_use:
            self.sever(connection)

    def sever(self, connection: Connection) -> None:
        """Close it without its loop."""
        from .standing import give_up, sever

        sever(connection)
        ending = self._task_of.pop(connection, None)
        if ending is not None and self._loop.is_closed():
            give_up(ending)
        if self._loop.is_running():  # which must not be disturbed
            with suppress(RuntimeError):  # closed meanwhile
                self._loop.call_soon_threadsafe(self._discard, connection)
        else:
            self._ledger.forget(connection)

    def _ended_there(self, connection: Connection) -> bool:
        """Have it closed by its loop, in another thread; false where that does nothing."""
        if not self._loop.is_running():
            return False
        work = self._left(connection)
        try:
            ended = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # closed meanwhile
            work.close()
            return False
        end = time.time() + deadline.for_cleaning()
        while self._loop.is_running() and time.time() < end:
            try:
                ended.result(_LOOKS)
            except TimeoutError:
                continue
            except CancelledError:  # by an app that cancels every task that there is
                return False
            return True
        return False

    async def _left(self, connection: Connection) -> None:
        if self._ledger.is_out(connection):
            self.begin(connection, keep=False)
        ending = self._task_of.get(connection)
        if ending is not None:
            await asyncio.wait((ending,))

    async def _end(self, connection: Connection, *, keep: bool) -> None:
        if keep and await connection.put_right():
            self._rest(connection)
        else:
            await connection.leave()

    def _has_ended(self, connection: Connection, task: "asyncio.Task[None]") -> None:
        self.tasks.discard(task)
        self._task_of.pop(connection, None)
        if self._ledger.in_use.get(connection) is not ENDING:
            return  # it rests
        if task.cancelled():  # by an app that cancels every task that there is, as its loop ends
            from .standing import sever

            sever(connection)
        self._discard(connection)


async def _end_of(task: "asyncio.Task[None]") -> None:
    await asyncio.wait((task,))
