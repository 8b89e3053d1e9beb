"""What goes wrong with the emulated Aurora, on demand."""

import asyncio
import time

from .background import Background
from .listening import Listener
from .places import Places
from .timeline import Timeline


class Faults:
    """One fault per method; the attributes are faults that sessions meet. On one event loop."""

    def __init__(self, places: Places, listener: Listener, timeline: Timeline) -> None:
        self._places = places
        self._listener = listener
        self._timeline = timeline
        self._work = Background()
        # Seconds by which each message to the server is late.
        self.delay = 0.0
        # New sessions are on a reader.
        self.read_only = False
        # The answer to the next statement is lost: it is executed, and the line is cut.
        self.reset_next = False
        self._starting_until = self._deaf_until = 0.0

    @property
    def starting(self) -> bool:
        """Whether the server, after a restart, does not let anybody in yet."""
        return time.monotonic() < self._starting_until

    async def stop(self) -> None:
        """End what is under way."""
        await self._work.stop()

    async def drop(self, *, graceful: bool = False) -> None:
        """End all sessions: with the server's words (57P01), or by cutting the line."""
        self._timeline.add("fault", fault="drop", connections=len(self._places))
        self._places.end_all(graceful=graceful)

    async def restart(self, seconds: float = 1.0) -> None:
        """End all sessions; answer 57P03 to new ones for a while."""
        self._timeline.add("fault", fault="restart", seconds=seconds)
        self._starting_until = time.monotonic() + seconds
        self._places.end_all(graceful=True)

    async def refuse(self, seconds: float = 2.0) -> None:
        """Refuse TCP connections for a while. Open sessions go on."""
        self._timeline.add("fault", fault="refuse", seconds=seconds)
        self._deafen(seconds)

    async def failover(self, seconds: float = 1.0) -> None:
        """The writer goes: the lines are cut, and nobody listens until the other took over."""
        self._timeline.add("fault", fault="failover", seconds=seconds)
        self._deafen(seconds)
        self._places.end_all(graceful=False)

    def lose_an_answer(self) -> bool:
        """Whether the answer to what is sent now is to be lost, once."""
        if not self.reset_next:
            return False
        self.reset_next = False
        self._timeline.add("fault", fault="reset mid-statement")
        return True

    def _deafen(self, seconds: float) -> None:
        self._deaf_until = max(self._deaf_until, time.monotonic() + seconds)
        self._listener.deafen()
        self._work.start(self._listen_again_in(seconds))

    async def _listen_again_in(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if time.monotonic() >= self._deaf_until:  # nobody has asked for longer
            self._listener.open()
