"""Aurora PostgreSQL with express configuration: it verifies tokens, pauses, resumes and fails.

A TLS front on a real PostgreSQL. docs/emulator.md has each behaviour with its source.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from .certificates import Certificates
from .clients import Clients
from .faults import Faults
from .line import Line
from .listening import Listener
from .options import AuroraOptions
from .owner import Owner
from .places import Places
from .session import Server, Session
from .sleep import Sleep, State
from .timeline import Timeline
from .tokens import Iam

_HAS_RDS_IAM = """
    with recursive held(oid) as (
        select oid from pg_roles where rolname = %s and rolcanlogin
        union select m.roleid from pg_auth_members m join held on m.member = held.oid)
    select exists (select from held join pg_roles using (oid) where rolname = 'rds_iam')
"""


class Aurora:
    """Puts the parts together. All methods are called on one event loop."""

    def __init__(
        self,
        socket_folder: str,
        certificates: Certificates,
        iam: Iam,
        options: AuroraOptions,
        timeline: Timeline,
    ) -> None:
        self.options = options
        self.certificates = certificates
        self._timeline = timeline
        self._clients = Clients(
            self._session, lambda: self.places, lambda: self.sleep.touch(), timeline
        )
        self._listener = Listener(self._clients.accept, options.port)
        self._owner = Owner(socket_folder)
        self.places = Places(self._most_clients(), timeline)
        self.faults = self._make_faults()
        self.sleep = Sleep(
            options,
            busy=self._is_busy,
            changed=self._note,
        )
        self._server = Server(
            options=options,
            socket=Path(socket_folder) / ".s.PGSQL.5432",
            port=self.port,
            certificates=certificates,
            iam=iam,
            may_use_tokens=self._has_rds_iam,
            sleep=self.sleep,
            places=self.places,
            faults=self.faults,
            timeline=timeline,
        )

    async def start(self) -> None:
        """Listen on a free port; the time until a pause begins to count."""
        await self._owner.fetch(
            "do $$ begin create role rds_iam nologin;"
            " exception when duplicate_object then null; end $$; grant rds_iam to postgres"
        )
        self._listener.open()
        self.sleep.start()
        self._note(self.sleep.state)

    async def stop(self) -> None:
        """End everything."""
        self._listener.close()
        await self.sleep.stop()
        await self.faults.stop()
        await self._clients.stop()
        await self._owner.close()

    @property
    def port(self) -> int:
        """Where it listens, the same for its whole life."""
        return self._listener.port

    @property
    def logins(self) -> int:
        """Clients that are connected and not yet logged in: they keep it awake, too."""
        return len(self._clients.attempts)

    def change(self, **options: Any) -> None:
        """Change options while it runs: for sessions, pauses and resumes to come.

        What it was made with stays: the port, and how many connections there may be.
        """
        self.options = self.sleep.options = replace(self.options, **options)
        self._server = replace(self._server, options=self.options)

    async def pause(self) -> None:
        """Pause now, as if nobody had been connected for long enough. Sessions end."""
        self._timeline.add("fault", fault="pause")
        self.places.end_all(graceful=True)
        await self.sleep.pause()

    async def resume(self) -> None:
        """Begin to resume, as if somebody had come."""
        self._timeline.add("fault", fault="resume")
        await self.sleep.resume()

    def figures(self) -> dict[str, object]:
        """What the console tells of it beside what it tells of any database."""
        return {}

    def _session(self, line: Line) -> Session:
        return Session(self._server, line)

    def _make_faults(self) -> Faults:
        return Faults(self.places, self._listener, self._timeline)

    def _most_clients(self) -> int:
        return self.options.connection_limit

    def _is_busy(self) -> bool:
        """Whether it may not pause: an idle connection is enough."""
        return bool(self.places or self._clients.attempts)

    def _note(self, state: State) -> None:
        self._timeline.add("aurora", state=state, connections=len(self.places))

    async def _has_rds_iam(self, user: str) -> bool:
        return await self._owner.fetch(_HAS_RDS_IAM, (user,)) == [(True,)]
