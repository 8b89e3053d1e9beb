"""Aurora PostgreSQL with express configuration: it verifies tokens, pauses, resumes and fails.

A TLS front on a real PostgreSQL. docs/emulator.md has each behaviour with its source.
"""

import asyncio
import socket
from pathlib import Path

import psycopg

from sunup.failures import plain_text

from .background import Background
from .certificates import Certificates
from .faults import Faults
from .line import Line
from .listening import Listener
from .options import AuroraOptions
from .places import Places
from .session import Server, Session
from .sleep import Sleep, State
from .timeline import Timeline
from .tokens import Iam
from .wire import ProtocolError

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
        self._socket_folder = socket_folder
        self._timeline = timeline
        self._clients = Background()
        self._attempts: set[Session] = set()
        self._listener = Listener(self._accept, options.port)
        self._admin: psycopg.AsyncConnection | None = None
        self._admin_lock = asyncio.Lock()
        self.places = Places(options.connection_limit, timeline)
        self.faults = Faults(self.places, self._listener, timeline)
        self.sleep = Sleep(
            options, busy=lambda: bool(self.places or self._attempts), changed=self._note
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

    async def _connect_admin(self) -> psycopg.AsyncConnection:
        # For replication: that does not count as one of the server's `max_connections`.
        return await psycopg.AsyncConnection.connect(
            host=self._socket_folder,
            user="postgres",
            dbname="postgres",
            autocommit=True,
            replication="database",
            cursor_factory=psycopg.AsyncClientCursor,
        )

    async def start(self) -> None:
        """Listen on a free port; the time until a pause begins to count."""
        self._admin = await self._connect_admin()
        await self._admin.execute(
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
        if self._admin is not None:
            await self._admin.close()

    @property
    def port(self) -> int:
        """Where it listens, the same for its whole life."""
        return self._listener.port

    @property
    def logins(self) -> int:
        """Clients that are connected and not yet logged in: they keep it awake, too."""
        return len(self._attempts)

    async def pause(self) -> None:
        """Pause now, as if nobody had been connected for long enough. Sessions end."""
        self._timeline.add("fault", fault="pause")
        self.places.end_all(graceful=True)
        await self.sleep.pause()

    async def resume(self) -> None:
        """Begin to resume, as if somebody had come."""
        self._timeline.add("fault", fault="resume")
        await self.sleep.resume()

    def _note(self, state: State) -> None:
        self._timeline.add("aurora", state=state, connections=len(self.places))

    async def _has_rds_iam(self, user: str) -> bool:
        async with self._admin_lock:
            assert self._admin is not None
            if self._admin.closed:
                self._admin = await self._connect_admin()
            try:
                found = await self._admin.execute(_HAS_RDS_IAM, (user,))
            except psycopg.OperationalError:
                # The owner may end all sessions, this one too.
                await self._admin.close()
                self._admin = await self._connect_admin()
                found = await self._admin.execute(_HAS_RDS_IAM, (user,))
            return await found.fetchone() == (True,)

    def _accept(self, connection: socket.socket) -> None:
        session = Session(self._server, Line(connection))
        self._attempts.add(session)
        self._clients.start(self._serve(session))

    async def _serve(self, session: Session) -> None:
        try:
            if await session.log_in():
                self._attempts.discard(session)
                await session.run()
        except ProtocolError as error:
            self._timeline.add("refused", reason=f"no PostgreSQL client: {error}", user="")
        except psycopg.Error as error:
            self._timeline.add("error", error=f"the real PostgreSQL: {plain_text(error)}")
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client has gone, or everything ends
        finally:
            # A session may come and go between two looks at who is connected.
            self.sleep.touch()
            self._attempts.discard(session)
            self.places.leave(session)
            session.close()
