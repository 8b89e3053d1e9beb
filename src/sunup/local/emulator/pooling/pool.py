"""The sessions behind a pooler: so many at most, and a client waits for one."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping

from .backend import Backend

# A client that is alone gets two in turn: nothing may depend on which one it gets.
_IN_TURN = 2


class Pool:
    """At most `limit` sessions on the socket at `path`; `patience` seconds to wait for one.

    Only clients with the same start-up parameters share sessions. All methods are called on one
    event loop.
    """

    def __init__(self, path: str, limit: int, patience: float) -> None:
        self._path = path
        self._limit = limit
        self._patience = patience
        self._free: list[Backend] = []
        self._used: set[Backend] = set()
        self._opening = 0
        # From when on sessions can be opened.
        self._opens = 0.0
        self._waiters: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._free) + len(self._used) + self._opening

    @property
    def used(self) -> int:
        """Sessions that a client has."""
        return len(self._used)

    async def borrow(self, parameters: Mapping[str, str], last: Backend | None) -> Backend:
        """A session, if possible another one than the `last`.

        Raises `TimeoutError`, `NotOpenedError`, `EOFError`, `OSError`.
        """
        async with asyncio.timeout(self._patience):
            if self._waiters:
                await self._wait()
            while True:
                found = self._found(parameters, last)
                if found is not None:
                    return found
                if self._has_room():
                    return await self._opened(parameters)
                await self._wait()

    def give_back(self, backend: Backend) -> None:
        """It is idle, and as any client of the same parameters may find it."""
        backend.rest()
        if backend in self._used:
            self._used.discard(backend)
            if not backend.closed:
                self._free.append(backend)
            self._wake()

    def drop(self, backend: Backend) -> None:
        """End a session that nobody else may have."""
        backend.close()
        self._used.discard(backend)
        self._wake()

    def end_all(self, closed_for: float = 0.0) -> None:
        """End each session. Who has one sees its end; for so many seconds none can be opened."""
        self._opens = time.monotonic() + closed_for
        for each in self._free:
            each.close()
        self._free.clear()
        for each in self._used:
            each.hang_up()

    def _found(self, parameters: Mapping[str, str], last: Backend | None) -> Backend | None:
        self._free = [each for each in self._free if not each.closed]
        fitting = [each for each in self._free if each.parameters == parameters]
        others = [each for each in fitting if each is not last]
        if not others and len(fitting) < _IN_TURN and self._has_room():
            return None
        for each in others or fitting:
            self._free.remove(each)
            self._used.add(each)
            return each
        return None

    def _has_room(self) -> bool:
        """Whether one more may be opened; an idle one of other parameters makes room."""
        return len(self) < self._limit or bool(self._free)

    async def _opened(self, parameters: Mapping[str, str]) -> Backend:
        if len(self) >= self._limit:
            self._free.pop(0).close()
        self._opening += 1
        try:
            await asyncio.sleep(max(0.0, self._opens - time.monotonic()))
            made = await Backend.open(self._path, parameters)
        except BaseException:
            self._wake()
            raise
        finally:
            self._opening -= 1
        self._used.add(made)
        return made

    async def _wait(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # it was somebody else's turn
            raise

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
