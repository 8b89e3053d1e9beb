"""One client of a front that pools: logged in by the front, then a pump to the sessions behind."""

import asyncio
import secrets
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress

from .. import wire
from ..dsql.messages import Message, ready
from ..line import Line
from ..session import Server
from ..session import Session as AuroraSession
from .backend import NotOpenedError
from .pool import Pool
from .pump import Pump
from .stream import Stream

_AUTHENTICATED = Message(b"R", struct.pack("!I", 0))

Pumps = dict[bytes, "PooledSession"]


class PooledSession(AuroraSession):
    """`pumps` are the sessions by what cancels their statements; `keeps`: it shares with nobody."""

    # What a client is told, at last, that waited too long for a session.
    too_late = b""
    idle_timeout: float | None = None
    keeps = False

    def __init__(self, server: Server, client: Line, pool: Pool, pumps: Pumps) -> None:
        super().__init__(server, client)
        self._pool = pool
        self._pumps = pumps
        self._key = secrets.token_bytes(8)
        self._pump: Pump | None = None

    @property
    def busy(self) -> bool:
        """Whether a statement is under way or a transaction is open."""
        return self._pump is not None and self._pump.busy

    @property
    def is_pinned(self) -> bool:
        """Whether it keeps its session although it need not."""
        return not self.keeps and self._pump is not None and self._pump.is_pinned

    def judge(self, message: Message) -> str | None:
        """Why it keeps its session from a message on, if it does."""
        return None

    def parameters(self, start: wire.Start) -> Mapping[str, str]:
        """The start-up parameters of the sessions behind."""
        return {
            name: value for name, value in start.parameters.items() if not name.startswith("_pq_.")
        }

    async def cancel(self) -> None:
        """Cancel the statement under way."""
        if self._pump is not None:
            await self._pump.cancel()

    async def _cancel(self, start: wire.Start) -> None:
        found = self._pumps.get(start.body)
        if found is not None:
            await found.cancel()

    async def _open_upstream(self, start: wire.Start) -> None:
        parameters = self.parameters(start)
        try:
            backend = await self._pool.borrow(parameters, None)
        except TimeoutError:
            self._client.close(self.too_late)
            raise EOFError from None
        except NotOpenedError as refused:
            self._client.close(refused.error.encode())
            raise EOFError from None
        greeting = (_AUTHENTICATED, *backend.said, Message(b"K", self._key), ready("I"))
        if not self.keeps:
            self._pool.give_back(backend)
        outer, inner = socket.socketpair()
        self._upstream = Line(outer)
        self._pump = Pump(
            await Stream.of(inner),
            self._pool,
            parameters,
            judge=self.judge,
            pinned=self._note_pinned,
            touch=self._server.sleep.touch,
            too_late=self.too_late,
            kept=backend if self.keeps else None,
            idle_timeout=self.idle_timeout,
        )
        self._pumps[self._key] = self
        await self._client.write(b"".join(each.encode() for each in greeting))

    async def run(self) -> None:
        """Until one side ends, or a fault does."""
        assert self._pump is not None
        pumping = asyncio.create_task(self._pump.run())
        try:
            await super().run()
        finally:
            self._pumps.pop(self._key, None)
            pumping.cancel()
            with suppress(asyncio.CancelledError):
                await pumping

    def close(self) -> None:
        """Close all lines."""
        super().close()
        if self._pump is not None:
            self._pump.close()

    def _note_pinned(self, reason: str) -> None:
        self._server.timeline.add("pinned", reason=reason)
