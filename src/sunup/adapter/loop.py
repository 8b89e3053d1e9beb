"""One event loop for the life of the process.

During INIT it runs on a thread of its own: it connects while the main thread imports the app. A
request takes it over and runs it on the calling thread, since waking another thread for each one
costs more than the adapter itself. Between requests it stands still, as a frozen process does.
"""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Loop:
    """Runs coroutines: in the background, or to their end."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Start a coroutine in the background, in a copy of the caller's context."""
        with self._turn:
            self._begin()
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def go_on(self) -> None:
        """Let what was started go on in the background."""
        with self._turn:
            self._begin()

    def run(self, work: Coroutine[Any, Any, T], limit: float | None) -> T:
        """Run a coroutine to its end on the calling thread, with all else that the loop has to do.

        Raises `TimeoutError` after `limit` seconds; the coroutine is cancelled then, and not waited
        for.
        """
        with self._turn:
            self._end()
            loop = self._loop
            task = loop.create_task(work)
            task.add_done_callback(self._stop)
            timer = None if limit is None else loop.call_later(limit, loop.stop)
            try:
                loop.run_forever()
                if not task.done():
                    task.cancel()
                    loop.call_soon(loop.stop)
                    loop.run_forever()
                    if not task.done():
                        raise TimeoutError
            finally:
                task.remove_done_callback(self._stop)
                if timer is not None:
                    timer.cancel()
            if task.cancelled():
                raise TimeoutError
            return task.result()

    def close(self) -> None:
        """End the loop."""
        with self._turn:
            self._end()
            self._loop.close()

    @property
    def running_here(self) -> bool:
        """Whether the loop runs on the calling thread: what it does cannot be waited for."""
        return self._loop.is_running() and self._thread is None

    def _stop(self, _: object) -> None:
        self._loop.stop()

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sunup-loop", daemon=True)
            self._thread.start()

    def _end(self) -> None:
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
