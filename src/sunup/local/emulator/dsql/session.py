"""One client of the emulated Aurora DSQL: its messages, each judged, done and answered.

What the protocol asks for is PostgreSQL's manual, "Message flow".
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import wire
from ..line import Line
from ..opening import Refusal
from . import preparing, settings
from .conflicts import Conflicts
from .disguise import disguised
from .doing import Doing
from .faults import Faults
from .jobs import Jobs
from .login import Door, Login
from .messages import Incoming, Message, query, ready
from .options import DsqlOptions
from .prepared import Prepared
from .statements import statements
from .upstream import Upstream
from .work import Work

# Seconds between two looks whether a client is there whose statement takes long.
_LOOK = 0.2


@dataclass(frozen=True)
class Server:
    """What a session needs from the server. `socket` is the real PostgreSQL's."""

    options: DsqlOptions
    socket: Path
    database: str
    door: Door
    conflicts: Conflicts
    jobs: Jobs
    faults: Faults


class Session:
    """From the client's first byte to its last."""

    def __init__(self, server: Server, client: Line) -> None:
        self._server = server
        self._client = client
        self._incoming = Incoming(client)
        self._login = Login(server.door, client)
        self._upstream: Upstream | None = None
        self._out: list[Message] = []
        self._lost = False
        self._looking: asyncio.TimerHandle | None = None

    async def log_in(self) -> bool:
        """Take the client as far as an open session; false when it was refused or is done.

        Raises `wire.ProtocolError`, `EOFError`, `OSError`.
        """
        server, timeline = self._server, self._server.door.timeline
        try:
            async with asyncio.timeout(server.options.authentication_timeout):
                start = await self._login.pass_door(lambda: server.faults.places.enter(self))
                return start is not None and await self._open(start)
        except TimeoutError:
            timeline.add("refused", reason="the login took too long")
            self._client.close()
            return False
        except Refusal as refusal:
            user = self._login.start.user if self._login.start is not None else ""
            if refusal.reason is not None:
                timeline.add("refused", reason=refusal.reason, user=user)
            self._client.close(wire.error(refusal.state, str(refusal), hint=refusal.hint))
            return False

    async def _open(self, start: wire.Start) -> bool:
        """Begin the session on the server behind; false when that one refuses."""
        given = {name: value for name, value in start.parameters.items() if name[:5] != "_pq_."}
        options = settings.without_cluster(given.pop("options", ""))
        parameters = {
            **given,
            "database": self._server.database,
            "options": f"{preparing.SESSION} {options}".strip(),
        }
        upstream = await Upstream.open(str(self._server.socket), parameters)
        self._upstream = upstream
        said, pid = [], 0
        while (message := await upstream.read()).kind not in (b"Z", b"E"):
            if message.kind == b"K":
                pid = int.from_bytes(message.body[:4], "big")
            said.append(disguised(message))
        await self._send([*said, message])
        if message.kind == b"E":
            return False
        self._work = Work(upstream, pid, self._server.conflicts)
        self._doing = Doing(
            self._work, self._server.options, self._server.jobs, self._server.faults
        )
        self._prepared = Prepared(self._work, self._doing)
        return True

    async def run(self) -> None:
        """Until one side ends, or the connection's time is over."""
        conflicts, loop = self._server.conflicts, asyncio.get_running_loop()
        # After an hour, whatever it does (DSQLUG, quotas): the line ends without a word.
        over = loop.call_later(self._server.options.connection_lifetime, self._expire)
        conflicts.enter(self._work)
        try:
            while (message := await self._incoming.read()).kind != b"X":
                await self._server.faults.late()
                self._looking = loop.call_later(_LOOK, self._look)
                async with self._work.turn:
                    await self._take(message)
                self._looking.cancel()
                conflicts.at_rest()
        finally:
            over.cancel()
            if self._looking is not None:
                self._looking.cancel()
            conflicts.leave(self._work)

    async def _take(self, message: Message) -> None:
        # It is done, to its Sync; and then the line is cut.
        self._lost |= message.kind in b"QE" and self._server.faults.lose_an_answer()
        if message.kind == b"Q":
            await self._query(message.texts(1)[0])
        elif message.kind == b"S":
            self._out += await self._prepared.sync()
            await self._flush()
        elif message.kind == b"H":
            await self._flush()
        elif message.kind in b"PBDEC":
            self._out += await self._prepared.take(message, self._stream, self._copied)
        elif message.kind == b"F":
            raise wire.ProtocolError("a function call")

    async def _query(self, text: str) -> None:
        """Several statements are one transaction, unless they begin and end their own."""
        self._prepared.forget_unnamed()
        found = statements(text)
        if not found:
            self._out += [Message(b"I")]
        for n, statement in enumerate(found):
            last = n == len(found) - 1
            answers = await self._doing.query(
                statement,
                query(statement.text).encode(),
                alone=last,
                tell=self._stream,
                copied=self._copied,
            )
            self._out += answers
            if any(each.kind == b"E" for each in answers):
                break
        self._out.append(ready(self._doing.status))
        await self._flush()

    async def _stream(self, answers: Sequence[Message]) -> None:
        """The beginning of an answer that is too long to be kept."""
        self._out += answers
        await self._flush()

    async def _copied(self) -> tuple[bytes, ...]:
        """What the client sends of a COPY, to its end."""
        await self._flush()
        found = []
        while True:
            message = await self._incoming.read()
            found.append(message.encode())
            if message.kind in b"cf":
                return tuple(found)

    async def _flush(self) -> None:
        out, self._out = self._out, []
        if self._lost:
            self._client.abort()
        else:
            await self._send(out)

    async def _send(self, messages: Sequence[Message]) -> None:
        await self._client.write(b"".join(disguised(each).encode() for each in messages))

    def _look(self) -> None:
        """End a statement whose client has gone: nobody could take its answer."""
        if self._client.hung_up:
            self.close()
        else:
            self._looking = asyncio.get_running_loop().call_later(_LOOK, self._look)

    def _expire(self) -> None:
        self._server.door.timeline.add("expired", connections=len(self._server.faults.places))
        self.close()

    def end(self, *, graceful: bool) -> None:
        """Throw the client out; what DSQL says then, nobody has recorded: nothing."""
        if graceful:
            self._client.close()
        else:
            self._client.abort()
        self.close()
        self._server.faults.places.leave(self)

    def close(self) -> None:
        """Close both lines."""
        self._client.close()
        if self._upstream is not None:
            self._upstream.close()
