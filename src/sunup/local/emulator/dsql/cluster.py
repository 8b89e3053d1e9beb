"""Aurora DSQL: it verifies tokens, sleeps, refuses, and finds conflicts at COMMIT.

A front that reads each message, on a real PostgreSQL. docs/emulator.md has each behaviour with its
source.
"""

from pathlib import Path

from ..certificates import Certificates
from ..clients import Clients
from ..line import Line
from ..listening import Listener
from ..owner import Owner
from ..places import Places
from ..timeline import Timeline
from ..tokens import Iam
from .conflicts import Conflicts
from .faults import Faults
from .jobs import Jobs
from .login import Door, ServerNames
from .options import DsqlOptions
from .rate import Rate
from .session import Server, Session
from .sleep import Sleep, State

_GRANTED = """
select 1 from sys.granted join pg_roles on oid = role
where rolname = %s and rolcanlogin and arn = %s
"""


class Dsql:
    """Puts the parts together. All methods are called on one event loop."""

    def __init__(
        self,
        socket_folder: str,
        database: str,
        certificates: Certificates,
        iam: Iam,
        options: DsqlOptions,
        timeline: Timeline,
    ) -> None:
        self.options = options
        self.certificates = certificates
        self._timeline = timeline
        self._owner = Owner(socket_folder, database)
        self.places = Places(options.connection_limit, timeline)
        self._clients = Clients(self._session, lambda: self.places, self._touch, timeline)
        self._listener = Listener(self._clients.accept, options.port)
        self.faults = Faults(self.places, self._listener, timeline)
        self.sleep = Sleep(options, busy=lambda: bool(self.places), changed=self._note)
        self.conflicts = Conflicts(self._owner, options.conflicts, timeline)
        self._jobs = Jobs(self._owner, options.job_seconds)
        door = Door(
            options=options,
            context=certificates.server,
            names=ServerNames(certificates.server),
            iam=iam,
            rate=Rate(options.connection_rate, options.connection_burst),
            sleep=self.sleep,
            granted=self._is_granted,
            timeline=timeline,
        )
        self._server = Server(
            options=options,
            socket=Path(socket_folder) / ".s.PGSQL.5432",
            database=database,
            door=door,
            conflicts=self.conflicts,
            jobs=self._jobs,
            faults=self.faults,
        )

    async def start(self) -> None:
        """Listen on a free port; the time until it sleeps begins to count."""
        self._listener.open()
        self.sleep.start()
        self._note(self.sleep.state)

    async def stop(self) -> None:
        """End everything."""
        self._listener.close()
        await self.sleep.stop()
        await self.faults.stop()
        await self._clients.stop()
        await self._jobs.stop()
        await self.conflicts.stop()
        await self._owner.close()

    @property
    def port(self) -> int:
        """Where it listens, the same for its whole life."""
        return self._listener.port

    @property
    def logins(self) -> int:
        """Clients that are connected and not yet logged in."""
        return len(self._clients.attempts)

    async def pause(self) -> None:
        """INACTIVE now, as if nobody had been connected for long enough. Sessions end."""
        self._timeline.add("fault", fault="pause")
        self.places.end_all(graceful=True)
        self.sleep.deactivate()

    async def conflict(self) -> None:
        """The next COMMIT of changes conflicts."""
        self._timeline.add("fault", fault="conflict")
        self.conflicts.next += 1

    async def resume(self) -> None:
        """Begin to wake, as if somebody had come."""
        self._timeline.add("fault", fault="resume")
        self.sleep.wake()

    def _session(self, line: Line) -> Session:
        return Session(self._server, line)

    def _touch(self) -> None:
        self.sleep.touch()

    def _note(self, state: State) -> None:
        status = self.sleep.status
        self._timeline.add("aurora", state=state, status=status, connections=len(self.places))

    async def _is_granted(self, user: str) -> bool:
        return bool(await self._owner.fetch(_GRANTED, (user, self.options.caller)))
