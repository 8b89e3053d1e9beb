"""Virtual time, and an event loop that lives in it."""

import asyncio
import heapq
import selectors
import threading
from collections.abc import Callable, Mapping
from typing import Any


class Stuck(AssertionError):
    """The loop waits for something that will never happen."""


class World:
    """What happens outside of the process under test, in the order of its time (seconds)."""

    def __init__(self) -> None:
        # So small that a microsecond still counts.
        self.now = 1_000_000.0
        self.events = 0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        # Deliveries to the process, made when its loop runs.
        self.inbox: list[Callable[[], None]] = []

    def time(self) -> float:
        return self.now

    def later(self, seconds: float, happen: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._queue, (self.now + max(seconds, 0.0), self._number, happen))

    def next_time(self) -> float:
        return self._queue[0][0] if self._queue else float("inf")

    @property
    def waiting(self) -> bool:
        return bool(self._queue)

    def step(self) -> None:
        moment, _, happen = heapq.heappop(self._queue)
        self.now = max(self.now, moment)
        self.events += 1
        happen()

    def freeze(self, seconds: float) -> None:
        """Let time pass for everything but the process."""
        end = self.now + seconds
        while self.next_time() <= end:
            self.step()
        self.now = end


class _Selector(selectors.BaseSelector):
    """Waits in virtual time; on a thread of INIT's, with nothing to wait for, in real time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._keys: dict[Any, selectors.SelectorKey] = {}
        self.woken = threading.Event()
        self.main = threading.get_ident()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, 0, events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        world = self._world
        if self.woken.is_set():
            self.woken.clear()
            timeout = 0
        end = float("inf") if timeout is None else world.now + max(timeout, 0)
        while not world.inbox and world.waiting and world.next_time() <= end:
            world.step()
        if not world.inbox:
            if timeout is None:
                if threading.get_ident() == self.main:
                    raise Stuck("the loop waits, and nothing will happen")
                self.woken.wait(10)
            else:
                world.now = max(world.now, end)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop without sockets whose clock is the world's."""

    def __init__(self, world: World, connect: Callable[..., Any]) -> None:
        self._world = world
        self._chosen = _Selector(world)
        self._connect = connect
        super().__init__(self._chosen)

    def time(self) -> float:
        return self._world.now

    def _write_to_self(self) -> None:
        self._chosen.woken.set()

    def _process_events(self, event_list: Any) -> None:
        inbox, self._world.inbox = self._world.inbox, []
        for deliver in inbox:
            self.call_soon(deliver)

    async def create_connection(  # type: ignore[override]
        self, factory: Any, host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        return await self._connect(self, factory)

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> Any:
        return [(2, 1, 6, "", (host, port))]
