"""What goes wrong with the emulated Aurora DSQL, on demand: Aurora's faults, and its own."""

import asyncio

from ..faults import Faults as AuroraFaults
from ..listening import Listener
from ..places import Places
from ..timeline import Timeline


class Faults(AuroraFaults):
    """The attributes are faults that sessions meet. On one event loop."""

    def __init__(self, places: Places, listener: Listener, timeline: Timeline) -> None:
        super().__init__(places, listener, timeline)
        self.places = places
        # So many of the next statements and COMMITs fail with XX000; nothing of them is done.
        self.unavailable = 0
        # So many of the next COMMITs are done, and answered with XX000 (DSQLUG, troubleshooting:
        # "uncertain commit outcome").
        self.uncertain = 0

    async def fail_statement(self) -> None:
        """The next statement or COMMIT fails with XX000."""
        self._timeline.add("fault", fault="server unavailable")
        self.unavailable += 1

    async def lose_commit(self) -> None:
        """The next COMMIT is done, and answered with XX000."""
        self._timeline.add("fault", fault="uncertain commit")
        self.uncertain += 1

    async def late(self) -> None:
        """Wait as long as each message is late."""
        if self.delay:
            await asyncio.sleep(self.delay)

    def is_unavailable(self) -> bool:
        """Whether what is asked for now fails."""
        self.unavailable, found = max(0, self.unavailable - 1), self.unavailable > 0
        return found

    def is_uncertain(self) -> bool:
        """Whether the COMMIT that is asked for now is done and fails."""
        self.uncertain, found = max(0, self.uncertain - 1), self.uncertain > 0
        return found
