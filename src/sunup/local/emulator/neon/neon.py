"""A Neon compute behind Neon's proxy, or behind its pooler as well.

docs/emulator.md has each behaviour with its source.
"""

from pathlib import Path

from ..aurora import Aurora
from ..certificates import Certificates
from ..dsql.login import ServerNames
from ..line import Line
from ..options import NeonOptions
from ..pooling.pool import Pool
from ..pooling.session import Pumps
from ..sleep import State
from ..timeline import Timeline
from ..tokens import Iam
from .session import Direct, Pooled, Session


class Neon(Aurora):
    """Puts the parts together. All methods are called on one event loop."""

    options: NeonOptions

    def __init__(
        self,
        socket_folder: str,
        certificates: Certificates,
        iam: Iam,
        options: NeonOptions,
        timeline: Timeline,
        *,
        pooled: bool,
    ) -> None:
        self._pooled = pooled
        self._clients_limit = options.clients if pooled else options.connection_limit
        super().__init__(socket_folder, certificates, iam, options, timeline)
        self._names = ServerNames(certificates.server)
        path = str(Path(socket_folder) / ".s.PGSQL.5432")
        limit = options.session_limit if pooled else options.connection_limit
        self._pool = Pool(path, limit, options.borrow_timeout)
        self._pumps: Pumps = {}

    async def stop(self) -> None:
        """End everything."""
        await super().stop()
        self._pool.end_all()

    async def pause(self) -> None:
        """Suspend now, as if no query had been active for long enough. Sessions end."""
        await super().pause()
        self._pool.end_all()

    def figures(self) -> dict[str, object]:
        """Of the pooler: its sessions."""
        if not self._pooled:
            return {}
        return {
            "max_connections": self._most_clients(),
            "sessions": len(self._pool),
            "max_sessions": self.options.session_limit,
        }

    def _session(self, line: Line) -> Session:
        kind = Pooled if self._pooled else Direct
        return kind(self._server, line, self._pool, self._pumps, self._names)

    def _most_clients(self) -> int:
        return self._clients_limit

    def _is_busy(self) -> bool:
        """Only what is active keeps it awake; in a transaction a session is (Neon, lifecycle)."""
        return any(each.busy for each in self._pumps.values())

    def _note(self, state: State) -> None:
        if state == "pausing":
            # "Only the truly inactive connections are closed" (Neon, "Compute lifecycle").
            for each in list(self._pumps.values()):  # not who is just logging in
                each.end(graceful=True)
            self._pool.end_all()
        super()._note(state)
