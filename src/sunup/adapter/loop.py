"""One event loop for the life of the process.

During INIT it runs on its own thread: it connects while the main thread imports the app. A
request takes it over and runs it on the calling thread, since waking another thread for each one
costs more than the adapter itself. Between requests it stands still, as a frozen process does.

The life of a request's task: it runs until it is done or its time is up; then it is cancelled and
has `deadline.CLEANUP` seconds; what is not done then is left behind. Afterwards `settle` gives the
tasks that the request began, and did not wait for, a bounded time, and names those that remain.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from collections.abc import Set as AbstractSet
from concurrent.futures import Future
from typing import Any, TypeVar

from sunup import deadline

T = TypeVar("T")

logger = logging.getLogger("sunup.request")

_NO_TASKS: "AbstractSet[asyncio.Task[Any]]" = frozenset()


class Overrun(TimeoutError):
    """The time was up before the work was done."""


class Loop:
    """Runs coroutines: in the background, or to their end."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_task_factory(self._make_task)
        # A task factory that the app sets is called by ours.
        self._factory: Any = None
        self._loop.set_task_factory = self._set_factory  # type: ignore[method-assign]
        self._loop.get_task_factory = lambda: self._factory  # type: ignore[method-assign]
        # What the app began with `create_task` and the like, and that is not done yet.
        self._tasks: set[asyncio.Task[Any]] = set()
        # Of these, what may go on from one request to the next.
        self._residents: AbstractSet[asyncio.Task[Any]] = _NO_TASKS
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()
        self._expired = False
        # The loop is to leave its thread.
        self._ending = False

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Start a coroutine in the background, in a copy of the caller's context."""
        with self._turn:
            self._begin()
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def go_on(self) -> None:
        """Let what was started go on in the background."""
        with self._turn:
            self._begin()

    def run(
        self,
        work: Coroutine[Any, Any, T],
        limit: float | None,
        *,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> T:
        """Run a coroutine to its end on the calling thread, with all else that the loop has to do.

        Raises `Overrun` when it is not done in `limit` seconds: it was cancelled then. Raises
        `CancelledError` when it cancelled itself, and `RuntimeError` on the loop itself, which
        would wait for ever. `interrupted` says whether it already knows that its time is up, and
        cleans up: it gets time for that before it is cancelled.
        """
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001  # raises nothing
            work.close()
            raise RuntimeError("the handler was called from within the app that it is running")
        with self._turn:
            if self._thread is not None:
                self._end()
            self.mark()
            task = asyncio.Task(work, loop=self._loop)
            done = self._until(task, limit)
            if not done and interrupted():
                done = self._until(task, deadline.CLEANUP)
            if not done:
                task.cancel()
                if not self._until(task, deadline.CLEANUP):
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                    raise Overrun
                if task.cancelled():
                    raise Overrun
            return task.result()

    def mark(self) -> None:
        """What runs now may go on: what comes from here on belongs to what is done next."""
        self._residents = self._tasks.copy() if self._tasks else _NO_TASKS

    def settle(self, limit: float) -> list[str]:
        """Run what the last work began and did not wait for, for at most `limit` seconds.

        Returns what is not done then, by the tasks' names and coroutines. It goes on when the loop
        runs again.
        """
        if self._tasks <= self._residents:
            return []
        with self._turn:
            self._end()
            waiting = asyncio.wait(self._tasks - self._residents, timeout=limit)
            self._until(asyncio.Task(waiting, loop=self._loop), None)
        return [_name(task) for task in self._tasks - self._residents]

    @property
    def busy(self) -> bool:
        """Whether the last work began something that is not done."""
        return not self._tasks <= self._residents

    def soon(self, callback: Callable[[], object]) -> None:
        """Call something on the loop when it runs next."""
        self._loop.call_soon_threadsafe(callback)

    def close(self) -> None:
        """End the loop, and what still runs on it."""
        with self._turn:
            self._end()
            tasks = set(self._tasks)
            for task in tasks:
                task.cancel()
            if tasks:
                waiting = asyncio.wait(tasks, timeout=deadline.CLEANUP)
                self._until(asyncio.Task(waiting, loop=self._loop), None)
            for task in tasks:
                if task.done() and not task.cancelled():
                    task.exception()  # nobody will ask for it
            self._loop.close()

    @property
    def running_here(self) -> bool:
        """Whether the loop runs on the calling thread: what it does cannot be waited for."""
        return self._loop.is_running() and self._thread is None

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any
    ) -> "asyncio.Task[Any]":
        make = self._factory or _task
        task: asyncio.Task[Any] = make(loop, work, **options)
        if not task.done():  # an eager one may be
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return task

    def _set_factory(self, factory: Any) -> None:
        self._factory = factory

    def _until(self, task: "asyncio.Task[Any]", limit: float | None) -> bool:
        """Run the loop until the task is done, at most `limit` seconds; returns whether it is done.

        A stop of the loop means only that there is something to look at: one that comes late, from
        an earlier turn, does no harm.
        """
        loop = self._loop
        self._expired = False
        timer = None if limit is None else loop.call_later(limit, self._expire)
        task.add_done_callback(self._stop)
        try:
            while not task.done() and not self._expired:
                loop.run_forever()
        finally:
            if timer is not None:
                timer.cancel()
        return task.done()

    def _expire(self) -> None:
        self._expired = True
        self._loop.stop()

    def _stop(self, _: object) -> None:
        self._loop.stop()

    def _begin(self) -> None:
        if self._thread is None:
            self._ending = False
            self._thread = threading.Thread(target=self._run, name="sunup-loop", daemon=True)
            self._thread.start()

    def _end(self) -> None:
        if self._thread is not None:
            self._ending = True
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        while not self._ending:  # an app may stop it, too
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                # Of a task that the app began: other tasks' exceptions do not come as far.
                logger.error("a background task of the app ended with %r", error)  # noqa: TRY400


async def finish(work: Awaitable[T]) -> T:
    """Anything that can be awaited, as a coroutine."""
    return await work


def _task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> "asyncio.Task[Any]":
    return asyncio.Task(work, loop=loop, **options)


def _name(task: "asyncio.Task[Any]") -> str:
    work = task.get_coro()
    return f"{task.get_name()} ({getattr(work, '__qualname__', type(work).__name__)})"
