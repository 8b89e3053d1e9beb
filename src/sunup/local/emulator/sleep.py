"""Whether the instance is awake: it pauses when nobody is connected, and resumes when asked for."""

import asyncio
import time
from collections.abc import Callable
from typing import Literal

from .background import Background
from .options import AuroraOptions

State = Literal["awake", "pausing", "asleep", "resuming"]

_PAUSING = 0.2


class Sleep:
    """Awake, pausing, asleep, resuming. All methods are called on one event loop.

    `busy` says whether somebody is connected or tries to be; `changed` is called when the state
    has changed.
    """

    def __init__(
        self, options: AuroraOptions, *, busy: Callable[[], bool], changed: Callable[[State], None]
    ) -> None:
        self.options = options
        self._busy = busy
        self._tell = changed
        self.state: State = "awake"
        self._changed = asyncio.Condition()
        self._since = time.monotonic()
        self._awake_before = 0.0
        self._idle_since: float | None = time.monotonic()
        self._work = Background()

    def start(self) -> None:
        """Begin to count the time until it pauses."""
        self._work.start(self._pause_when_idle())

    async def stop(self) -> None:
        """Neither pause nor resume any more."""
        await self._work.stop()

    @property
    def awake_seconds(self) -> float:
        """How long it has not been paused since the start: what would be billed."""
        running = 0.0 if self.state == "asleep" else time.monotonic() - self._since
        return self._awake_before + running

    async def awake(self) -> None:
        """Wait until the instance runs; asking for it begins to resume it."""
        async with self._changed:
            self._resume()
            await self._changed.wait_for(lambda: self.state == "awake")

    async def resume(self) -> None:
        """Begin to resume, and return."""
        async with self._changed:
            self._resume()

    async def pause(self) -> None:
        """Pause now, as if nobody had been connected for long enough."""
        await self._set("asleep")

    def touch(self) -> None:
        """Somebody was connected: the time until the pause starts again."""
        self._idle_since = None

    def _resume(self) -> None:
        if self.state not in ("asleep", "pausing"):
            return
        deep = self.state == "asleep" and (
            time.monotonic() - self._since >= self.options.deep_sleep_after
        )
        seconds = self.options.deep_resume_seconds if deep else self.options.resume_seconds
        self._enter("resuming")
        self._work.start(self._become_awake_in(seconds))

    async def _become_awake_in(self, seconds: float) -> None:
        began = self._since
        await asyncio.sleep(seconds)
        if self.state == "resuming" and self._since == began:  # it was not paused meanwhile
            await self._set("awake")

    async def _pause_when_idle(self) -> None:
        while True:
            pause_after = self.options.pause_after
            await asyncio.sleep(min(0.05, pause_after / 5))
            if self._busy() or self.state != "awake":
                self._idle_since = None
            elif self._idle_since is None:
                self._idle_since = time.monotonic()
            elif time.monotonic() - self._idle_since >= pause_after:
                self._idle_since = None
                await self._set("pausing")
                await asyncio.sleep(min(_PAUSING, pause_after))
                await self._fall_asleep()

    async def _fall_asleep(self) -> None:
        if self.state == "pausing":  # nobody came meanwhile
            await self._set("asleep")

    async def _set(self, state: State) -> None:
        async with self._changed:
            self._enter(state)

    def _enter(self, state: State) -> None:
        if state == self.state:
            return
        now = time.monotonic()
        if self.state != "asleep":
            self._awake_before += now - self._since
        self._since = now
        self.state = state
        self._tell(state)
        self._changed.notify_all()
