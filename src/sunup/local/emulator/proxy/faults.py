"""What goes wrong behind the emulated RDS Proxy, on demand: its clients are spared most of it.

"Most connections stay alive during failovers or other disruptions. Only connections that are in the
middle of a transaction or SQL statement are canceled" (Aurora User Guide, RDS Proxy, "Failover").
"""

from ..faults import Faults as AuroraFaults
from ..listening import Listener
from ..places import Places
from ..pooling.pool import Pool
from ..timeline import Timeline


class Faults(AuroraFaults):
    """`drop` and `refuse` are the proxy's, `restart` and `failover` the database's."""

    def __init__(self, places: Places, listener: Listener, timeline: Timeline, pool: Pool) -> None:
        super().__init__(places, listener, timeline)
        self._pool = pool

    async def restart(self, seconds: float = 1.0) -> None:
        """The database ends all sessions, and takes no new ones for a while."""
        self._timeline.add("fault", fault="restart", seconds=seconds)
        self._pool.end_all(closed_for=seconds)

    async def failover(self, seconds: float = 1.0) -> None:
        """The writer goes: as `restart`, to a client of the proxy."""
        self._timeline.add("fault", fault="failover", seconds=seconds)
        self._pool.end_all(closed_for=seconds)
