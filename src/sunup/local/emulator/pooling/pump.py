"""Between a client that is logged in and the sessions behind: one for each transaction.

What the protocol asks for is PostgreSQL's manual, "Message flow": a cycle ends with ReadyForQuery,
which says whether a transaction is open.
"""

import asyncio
from collections.abc import Callable, Mapping

from ..dsql.messages import Message
from .backend import Backend, NotOpenedError
from .pool import Pool
from .stream import Stream

# What is answered by ReadyForQuery; what belongs to a cycle that a Sync will end.
_ENDING = b"QSF"
_WITHIN = b"PBDECH"
_COPIED = b"dcf"


class Pump:
    """`judge` says why a client is to keep its session from a message on, if it is.

    `kept`: it keeps that one in any case. `touch` is told of each statement. `too_late` is what the
    client is told, at last, when it got no session in time.
    """

    def __init__(
        self,
        client: Stream,
        pool: Pool,
        parameters: Mapping[str, str],
        *,
        judge: Callable[[Message], str | None],
        pinned: Callable[[str], None],
        touch: Callable[[], None],
        too_late: bytes,
        kept: Backend | None = None,
        idle_timeout: float | None = None,
    ) -> None:
        self._client = client
        self._pool = pool
        self._parameters = parameters
        self._judge = judge
        self._pinned = pinned
        self._touch = touch
        self._too_late = too_late
        self._idle_timeout = idle_timeout
        self._backend = kept
        self._keeps = kept is not None
        self._last: Backend | None = None
        # Cycles that were not answered yet; a cycle has begun; the transaction's state.
        self._awaited = 0
        self._within = False
        self._status = b"I"
        self._timer: asyncio.TimerHandle | None = None
        if kept is not None:
            kept.lend(self._said)

    @property
    def busy(self) -> bool:
        """Whether a statement is under way or a transaction is open."""
        return bool(self._awaited) or self._within or self._status != b"I"

    @property
    def is_pinned(self) -> bool:
        """Whether the client keeps its session."""
        return self._keeps

    async def run(self) -> None:
        """Until one side ends. Raises `wire.ProtocolError`."""
        try:
            self._expect()
            while (message := await self._client.read()).kind != b"X":
                self._expect()
                if not await self._pass(message):
                    break
        except (EOFError, OSError):
            pass  # the client has gone
        finally:
            self._let_go()
            await self._client.finish()

    def close(self) -> None:
        """Hang up, also where it has never run."""
        self._let_go()
        self._client.close()

    async def cancel(self) -> None:
        """Cancel the statement under way."""
        if self._backend is not None and self._awaited:
            await self._backend.cancel()

    async def _pass(self, message: Message) -> bool:
        """Whether it could be passed on."""
        if message.kind in _COPIED and not self._awaited:
            return True  # the rest of a COPY that has failed
        if self._backend is None and not await self._borrow():
            return False
        if not self._keeps and (reason := self._judge(message)) is not None:
            self._keeps = True
            self._pinned(reason)
        if message.kind in _ENDING:
            self._awaited += 1
            self._within = False
        elif message.kind in _WITHIN:
            self._within = True
        assert self._backend is not None
        self._backend.send(message)
        await self._backend.taken()
        return True

    async def _borrow(self) -> bool:
        try:
            backend = await self._pool.borrow(self._parameters, self._last)
            while backend.closed:  # meanwhile
                self._pool.drop(backend)
                backend = await self._pool.borrow(self._parameters, self._last)
        except TimeoutError:
            self._client.send((self._too_late,))
            return False
        except NotOpenedError as refused:
            self._client.send((refused.error.encode(),))
            return False
        self._backend = backend
        backend.lend(self._said)
        return True

    async def _said(self, message: Message | None) -> None:
        """What the session behind says."""
        backend = self._backend
        if message is None:
            await self._client.finish()  # with what it was told last
            return
        self._client.send((message.encode(),))
        if message.kind == b"Z":
            self._touch()
            self._awaited -= 1
            self._status = message.body
            if backend is not None and not (self.busy or self._keeps):
                self._backend, self._last = None, backend
                self._pool.give_back(backend)
        await self._client.taken()

    def _let_go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        backend, self._backend = self._backend, None
        if backend is not None:
            self._pool.drop(backend)  # in a transaction, or as no other may find it

    def _expect(self) -> None:
        """A client that says nothing for too long is thrown out."""
        if self._idle_timeout is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._idle_timeout, self._idle)

    def _idle(self) -> None:
        if self._awaited:
            self._expect()
        else:
            self._client.close()
