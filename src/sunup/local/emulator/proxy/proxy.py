"""Aurora behind an RDS Proxy: it verifies tokens itself, and never lets Aurora pause.

docs/emulator.md has each behaviour with its source.
"""

from pathlib import Path

from ..aurora import Aurora
from ..certificates import Certificates
from ..line import Line
from ..options import RdsProxyOptions
from ..pooling.pool import Pool
from ..pooling.session import Pumps
from ..timeline import Timeline
from ..tokens import Iam
from .faults import Faults
from .session import Session


class RdsProxy(Aurora):
    """Puts the parts together. All methods are called on one event loop."""

    def __init__(
        self,
        socket_folder: str,
        certificates: Certificates,
        iam: Iam,
        options: RdsProxyOptions,
        timeline: Timeline,
    ) -> None:
        self._proxy_options = options
        path = str(Path(socket_folder) / ".s.PGSQL.5432")
        self._pool = Pool(path, options.session_limit, options.borrow_timeout)
        self._pumps: Pumps = {}
        super().__init__(socket_folder, certificates, iam, options, timeline)

    async def stop(self) -> None:
        """End everything."""
        await super().stop()
        self._pool.end_all()

    async def pause(self) -> None:
        """Pause now, which Aurora itself would not do behind a proxy. Sessions end."""
        self._pool.end_all()
        await super().pause()

    def figures(self) -> dict[str, object]:
        """The sessions that the proxy has on the database, and the clients that keep theirs."""
        return {
            "max_connections": self._most_clients(),
            "sessions": len(self._pool),
            "max_sessions": self._proxy_options.session_limit,
            "pinned": sum(each.is_pinned for each in self._pumps.values()),
        }

    def _session(self, line: Line) -> Session:
        return Session(self._server, line, self._pool, self._pumps)

    def _make_faults(self) -> Faults:
        return Faults(self.places, self._listener, self._timeline, self._pool)

    def _most_clients(self) -> int:
        return self._proxy_options.clients

    def _is_busy(self) -> bool:
        # "The proxy maintains an open connection to each DB instance in the cluster. Thus, any
        # Aurora Serverless v2 instances in such a cluster won't automatically pause" (Aurora User
        # Guide, auto-pause).
        return True
