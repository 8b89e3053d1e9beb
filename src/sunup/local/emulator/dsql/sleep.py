"""Whether the cluster is there: ACTIVE, IDLE (wakes on connect), INACTIVE (refuses, and wakes).

Aurora DSQL User Guide, "Cluster lifecycle". The times are not documented.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Literal

from ..background import Background
from .options import DsqlOptions

# As GetCluster says it; while it wakes, it is INACTIVE still.
Status = Literal["ACTIVE", "IDLE", "INACTIVE"]

# In the words of the timeline, which knows Aurora's.
State = Literal["awake", "idle", "asleep", "resuming"]


class Sleep:
    """`busy` says whether somebody is connected; `changed` is called when the state has changed."""

    def __init__(
        self, options: DsqlOptions, *, busy: Callable[[], bool], changed: Callable[[State], None]
    ) -> None:
        self._options = options
        self._busy = busy
        self._changed = changed
        self.state: State = "awake"
        self._since = self._last_busy = time.monotonic()
        self._awake_before = 0.0
        self._work = Background()

    @property
    def status(self) -> Status:
        """What GetCluster would say."""
        return {"awake": "ACTIVE", "idle": "IDLE"}.get(self.state, "INACTIVE")  # type: ignore[return-value]

    @property
    def awake_seconds(self) -> float:
        """How long it has been ACTIVE since the start. Not what is billed: that is by work."""
        running = time.monotonic() - self._since if self.state == "awake" else 0.0
        return self._awake_before + running

    def start(self) -> None:
        """Begin to count the time without a connection."""
        self._work.start(self._watch())

    async def stop(self) -> None:
        """Change no more."""
        await self._work.stop()

    async def admit(self) -> bool:
        """Somebody wants to connect: whether that is possible now. Begins to wake it if not."""
        if self.state == "idle":
            await asyncio.sleep(self._options.idle_wake_seconds)
            if self.state == "idle":
                self._enter("awake")
        elif self.state == "asleep":
            self.wake()
        self.touch()
        return self.state == "awake"

    def wake(self) -> None:
        """Begin to wake."""
        if self.state == "asleep":
            self._enter("resuming")
            self._work.start(self._become_awake())
        elif self.state == "idle":
            self._enter("awake")

    def deactivate(self) -> None:
        """INACTIVE now, as if nobody had been connected for long enough."""
        self._enter("asleep")

    def touch(self) -> None:
        """Somebody was connected: the times start again."""
        self._last_busy = time.monotonic()

    async def _become_awake(self) -> None:
        await asyncio.sleep(self._options.wake_seconds)
        if self.state == "resuming":
            self.touch()
            self._enter("awake")

    async def _watch(self) -> None:
        options = self._options
        step = min(0.05, options.idle_after / 5, options.inactive_after / 5)
        while True:
            await asyncio.sleep(step)
            unused = time.monotonic() - self._last_busy
            if self._busy():
                self.touch()
            elif self.state in ("awake", "idle") and unused >= options.inactive_after:
                self._enter("asleep")
            elif self.state == "awake" and unused >= options.idle_after:
                self._enter("idle")

    def _enter(self, state: State) -> None:
        if state == self.state:
            return
        now = time.monotonic()
        if self.state == "awake":
            self._awake_before += now - self._since
        self._since, self.state = now, state
        self._changed(state)
