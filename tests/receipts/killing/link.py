"""One connection through the proxy."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress

from .faults import Fault
from .ledger import Ledger
from .wire import Frames, backend_of, is_commit, is_committed, is_ready, is_ready_outside, run_in

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

# Seconds that a server may take to answer a COMMIT, and that silence lasts at most.
_ANSWER, _SILENCE = 10.0, 20.0
_CHUNK = 65536


class Link:
    """`decide` says what its COMMITs meet; `begun` when a run is cut off wherever it is."""

    def __init__(
        self,
        app: Streams,
        server: Streams,
        decide: "Callable[[Link, str], Awaitable[Fault | None]]",
        begun: Callable[[str], float | None],
        ledger: Ledger,
    ) -> None:
        self.backend = 0
        self.strike: Callable[[], Awaitable[None]] | None = None
        self._app, self._to_app = app
        self._server, self._to_server = server
        self._decide = decide
        self._begun = begun
        self._ledger = ledger
        # The run that this connection's transaction is; and while its COMMIT has no answer.
        self._run: str | None = None
        self._waiting: str | None = None
        # Why its answer gets lost.
        self._why = "along with another's"
        # What the server has answered, where that is kept from the app.
        self._withheld: bytearray | None = None
        self._answered = asyncio.Event()
        self._striking = False

    async def run(self) -> None:
        """Until one of the sides ends it, or a fault does."""
        forward = asyncio.create_task(self._forward())
        backward = asyncio.create_task(self._backward())
        try:
            await asyncio.wait({forward, backward}, return_when=asyncio.FIRST_COMPLETED)
            if self._striking:
                await forward
        finally:
            forward.cancel()
            backward.cancel()
            await asyncio.gather(forward, backward, return_exceptions=True)
            if self._waiting is not None:
                self._lose(self._waiting)
            self.cut()

    def _lose(self, run: str) -> None:
        why = self._why
        if why.endswith("after") and run not in self._ledger.confirmed:
            why = f"{why}, but never answered"  # something else came in between
        self._ledger.lose(run, why)

    def cut(self) -> None:
        """Both ends see the connection end."""
        self._to_app.close()
        self._to_server.close()

    async def _forward(self) -> None:
        frames = Frames(ready=False)
        with suppress(OSError):
            while data := await self._app.read(_CHUNK):
                messages = frames.feed(data)
                for at, message in enumerate(messages):
                    self._see(run_in(message))
                    if self._run is not None and self._waiting is None and is_commit(message):
                        # What is behind it belongs to it: Bind, Execute, Sync.
                        commit = b"".join(messages[at:])
                        if not await self._commit(self._run, commit):
                            return
                        break
                    self._to_server.write(message)
                await self._to_server.drain()

    def _see(self, run: str | None) -> None:
        if run is None or run == self._run:
            return
        self._run = run
        seconds = self._begun(run)
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, self.cut)

    async def _backward(self) -> None:
        frames = Frames(ready=True)
        with suppress(OSError):
            while data := await self._server.read(_CHUNK):
                for message in frames.feed(data):
                    self.backend = backend_of(message) or self.backend
                    if self._waiting is not None and is_committed(message):
                        self._ledger.confirmed.add(self._waiting)
                    if self._withheld is not None:
                        self._withheld += message
                        if is_ready(message):
                            self._answered.set()
                        continue
                    self._to_app.write(message)
                    if is_ready(message):
                        self._waiting = None
                    if is_ready_outside(message):
                        self._run = None
                await self._to_app.drain()
        self._answered.set()
        if self._withheld is None:
            self._to_app.close()

    async def _server_gone(self) -> None:
        """Let the app have the server's last words."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER):
                await self._answered.wait()

    async def _commit(self, run: str, commit: bytes) -> bool:
        """Send it on, or what becomes of it; whether the connection goes on."""
        self._waiting = run
        fault = await self._decide(self, run)
        if fault is None or fault.kind == "slow":
            if fault is not None:
                await asyncio.sleep(fault.seconds)
            self._to_server.write(commit)
            await self._to_server.drain()
            return True
        self._why, self._striking = fault.name, True
        if fault.kind in ("cut", "silence", "late"):
            await self._meet_network(fault, commit)
            return False
        if fault.when == "after":
            await self._answer_to(commit)
            self._hang_up(hard=fault.hard)
        elif fault.when == "during":
            self._to_server.write(commit)
            await self._to_server.drain()
            await asyncio.sleep(fault.seconds)
        assert self.strike is not None
        await self.strike()
        if fault.kind == "split" and fault.when == "before":
            self._to_server.write(commit)
        if fault.kind != "instance":
            await self._server_gone()
        return False

    async def _meet_network(self, fault: Fault, commit: bytes) -> None:
        if fault.kind == "late":
            self._hang_up(hard=fault.hard)
            await asyncio.sleep(fault.seconds)
            await self._answer_to(commit)
        elif fault.kind == "silence":
            self._withheld = bytearray()
            if fault.when == "after":
                await self._answer_to(commit)
                with suppress(OSError, TimeoutError):
                    async with asyncio.timeout(_SILENCE):
                        while await self._app.read(_CHUNK):
                            pass
            else:
                await asyncio.sleep(fault.seconds)
                await self._answer_to(commit)
        elif fault.when == "before":
            await asyncio.sleep(fault.seconds)
            self._to_server.write(commit[: int(len(commit) * fault.part)])
        elif fault.when == "during":
            self._to_server.write(commit)
        else:
            answer = await self._answer_to(commit)
            self._to_app.write(answer[: int(len(answer) * fault.part)])
        self._hang_up(hard=fault.hard)

    async def _answer_to(self, commit: bytes) -> bytes:
        """Let the server have it, and keep its answer from the app."""
        self._withheld = self._withheld or bytearray()
        with suppress(OSError, TimeoutError):
            self._to_server.write(commit)
            await self._to_server.drain()
            async with asyncio.timeout(_ANSWER):
                await self._answered.wait()
        return bytes(self._withheld)

    def _hang_up(self, *, hard: bool) -> None:
        """The app sees the connection end; `hard`: by a reset."""
        found = self._to_app.get_extra_info("socket")
        if hard and found is not None:
            with suppress(OSError):
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._to_app.close()
