"""Aurora PostgreSQL with express configuration: it verifies tokens, pauses, resumes and fails.

A TLS front on a real PostgreSQL. docs/emulator.md has each behaviour with its source.
"""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import asyncpg

from sunup.tools.database.limits import connection_limit

from .certificates import Certificates
from .listening import Listener
from .session import Session
from .timeline import Timeline
from .tokens import Iam

HangAt = Literal["tcp", "tls", "auth"]
State = Literal["awake", "pausing", "asleep", "resuming"]

_PAUSING = 0.2

_HAS_RDS_IAM = """
    with recursive held(oid) as (
        select oid from pg_roles where rolname = $1 and rolcanlogin
        union select m.roleid from pg_auth_members m join held on m.member = held.oid)
    select exists (select from held join pg_roles using (oid) where rolname = 'rds_iam')
"""


@dataclass(frozen=True)
class AuroraOptions:
    """Times are in seconds. The defaults are Aurora's own, as far as they are documented."""

    region: str = "eu-central-1"
    host: str = "localhost"
    pause_after: float = 300.0
    resume_seconds: float = 15.0
    deep_sleep_after: float = 86_400.0
    deep_resume_seconds: float = 35.0
    hang_at: HangAt = "auth"
    max_acu: float = 16.0
    max_connections: int | None = None

    @property
    def connection_limit(self) -> int:
        """`max_connections`, from the maximum ACU where it is not given."""
        return self.max_connections or connection_limit(self.max_acu)


class Aurora:
    """Owns the state. All methods are called on one event loop."""

    def __init__(
        self,
        socket_folder: str,
        certificates: Certificates,
        iam: Iam,
        options: AuroraOptions,
        timeline: Timeline,
    ) -> None:
        self.socket = Path(socket_folder) / ".s.PGSQL.5432"
        self.certificates = certificates
        self.iam = iam
        self.options = options
        self.timeline = timeline
        self.state: State = "awake"
        self.sessions: set[Session] = set()
        self.most_connections = 0
        self.delay = 0.0
        self.read_only = False
        self.reset_next = False
        self.starting_until = 0.0
        self._clients: set[asyncio.Task[None]] = set()
        self._attempts: set[Session] = set()
        self._changed = asyncio.Condition()
        self._since = time.monotonic()
        self._awake_before = 0.0
        self._idle_since: float | None = time.monotonic()
        self._listener = Listener(self._accept)
        self._admin: asyncpg.Connection | None = None
        self._admin_lock = asyncio.Lock()
        self._work: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port; pausing begins to count."""
        self._admin = await asyncpg.connect(
            host=str(self.socket.parent), user="postgres", database="postgres"
        )
        await self._admin.execute(
            "do $$ begin create role rds_iam nologin;"
            " exception when duplicate_object then null; end $$; grant rds_iam to postgres"
        )
        self._listener.open()
        self._background(self._pause_when_idle())
        self.timeline.add("aurora", state=self.state, connections=0)

    async def stop(self) -> None:
        """End everything."""
        self._listener.close()
        tasks = [*self._work, *self._clients]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._listener.drop()
        if self._admin is not None:
            await self._admin.close()

    # What the page and the tests ask.

    @property
    def port(self) -> int:
        """Where it listens, the same for its whole life."""
        return self._listener.port

    @property
    def connections(self) -> int:
        """Sessions that are logged in, or being logged in."""
        return len(self.sessions)

    @property
    def awake_seconds(self) -> float:
        """How long it was not paused since the start: what would be billed."""
        running = 0.0 if self.state == "asleep" else time.monotonic() - self._since
        return self._awake_before + running

    async def has_rds_iam(self, user: str) -> bool:
        """Whether a role may log in with a token."""
        async with self._admin_lock:
            assert self._admin is not None
            return bool(await self._admin.fetchval(_HAS_RDS_IAM, user))

    # Sleeping and waking.

    async def awake(self) -> None:
        """Wait until the instance runs; asking for it begins to resume it."""
        async with self._changed:
            if self.state in ("asleep", "pausing"):
                await self._resume_locked()
            await self._changed.wait_for(lambda: self.state == "awake")

    async def pause(self) -> None:
        """Pause now, as if nobody had been connected for long enough. Sessions end."""
        await self.drop(graceful=True)
        await self._set("asleep")

    async def resume(self) -> None:
        """Begin to resume, and return."""
        async with self._changed:
            if self.state in ("asleep", "pausing"):
                await self._resume_locked()

    async def _resume_locked(self) -> None:
        deep = self.state == "asleep" and (
            time.monotonic() - self._since >= self.options.deep_sleep_after
        )
        seconds = self.options.deep_resume_seconds if deep else self.options.resume_seconds
        self._enter("resuming")
        self._background(self._become_awake_in(seconds))

    async def _become_awake_in(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._set("awake")

    async def _pause_when_idle(self) -> None:
        while True:
            await asyncio.sleep(min(0.05, self.options.pause_after / 5))
            busy = bool(self.sessions or self._attempts) or self.state != "awake"
            if busy:
                self._idle_since = None
            elif self._idle_since is None:
                self._idle_since = time.monotonic()
            elif time.monotonic() - self._idle_since >= self.options.pause_after:
                self._idle_since = None
                await self._set("pausing")
                await asyncio.sleep(min(_PAUSING, self.options.pause_after))
                if self.state == "pausing":
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
        self.timeline.add("aurora", state=state, connections=self.connections)
        self._changed.notify_all()

    # Faults.

    async def drop(self, *, graceful: bool = False) -> None:
        """End all sessions: with the server's words (57P01), or by cutting the line."""
        self.timeline.add("fault", fault="drop", connections=self.connections)
        for session in list(self.sessions):
            session.end(graceful=graceful)

    async def restart(self, seconds: float = 1.0) -> None:
        """End all sessions; answer 57P03 to new ones for a while."""
        self.timeline.add("fault", fault="restart", seconds=seconds)
        self.starting_until = time.monotonic() + seconds
        for session in list(self.sessions):
            session.end(graceful=True)

    async def refuse(self, seconds: float = 2.0) -> None:
        """Refuse TCP connections for a while. Open sessions go on."""
        self.timeline.add("fault", fault="refuse", seconds=seconds)
        self._listener.deafen()
        self._background(self._listen_again_in(seconds))

    async def failover(self, seconds: float = 1.0) -> None:
        """The writer goes: the lines are cut, and nobody listens until the other took over."""
        self.timeline.add("fault", fault="failover", seconds=seconds)
        await self.refuse(seconds)
        await self.drop()

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    # Connections.

    async def _listen_again_in(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._listener.open()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        session = Session(self, reader, writer)
        self._attempts.add(session)
        try:
            if await session.log_in():
                self._attempts.discard(session)
                await session.run()
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client has gone, or everything ends
        finally:
            # A session may come and go between two looks of `_pause_when_idle`.
            self._idle_since = None
            self._clients.discard(task)
            self._attempts.discard(session)
            self.leave(session)
            with suppress(OSError, RuntimeError):
                session.close()

    def enter(self, session: Session) -> bool:
        """Take one of the connections; false when there is none left."""
        if len(self.sessions) >= self.options.connection_limit:
            self.timeline.add("refused", reason="too many clients")
            return False
        self.sessions.add(session)
        self.most_connections = max(self.most_connections, len(self.sessions))
        self.timeline.add("connections", connections=len(self.sessions))
        return True

    def leave(self, session: Session) -> None:
        """Give the connection back."""
        if session in self.sessions:
            self.sessions.discard(session)
            self.timeline.add("connections", connections=len(self.sessions))
