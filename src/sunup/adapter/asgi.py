"""Runs an ASGI 3 app: its lifespan once per process, and one request at a time."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from typing import Any
from urllib.parse import unquote

from sunup import deadline
from sunup.deadline import DeadlineExceeded
from sunup.request import apart

from . import alarm
from .http import Answer, Call
from .loop import Loop, Overrun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Of INIT's 10 s, how many an app's start-up may use before the first request waits for it instead.
STARTUP_IN_INIT = 7.0


class AsgiRunner:
    """Calls an ASGI app from another thread."""

    def __init__(self, app: App, loop: Loop) -> None:
        self._app = app
        self._loop = loop
        self._state: dict[str, Any] = {}
        self._lifespan: Lifespan | None = None
        self._startup: Future[bool] | None = None
        self._started = False
        # For the alarm: the request's task and tasks of the app's.
        self.callers: tuple[CodeType, ...] = (
            AsgiRunner._serve.__code__,
            asyncio.events.Handle._run.__code__,  # noqa: SLF001
        )

    def start(self, wait: float = STARTUP_IN_INIT) -> bool:
        """Run the app's start-up; false when it is not done in `wait` seconds, but goes on.

        Raises what the app raised; the next call starts it again.
        """
        if self._started:
            return True
        if self._startup is None:
            self._lifespan = Lifespan(self._app, self._state)
            # In a request's context it would end with that request.
            self._startup = apart().run(self._loop.submit, self._lifespan.startup())
        startup = self._startup
        self._loop.go_on()
        try:
            startup.result(None if wait == deadline.NEVER else wait)
        except BaseException as error:
            if isinstance(error, TimeoutError) and not startup.done():
                return False
            self._startup = None
            raise
        self._started = True
        return True

    def stop(self, limit: float | None = None) -> None:
        """Run the app's shut-down; raises `TimeoutError` after `limit` seconds."""
        if self._lifespan is not None and not self._loop.running_here:
            self._loop.run(self._lifespan.shutdown(), limit)

    def __call__(self, call: Call) -> Answer:
        """Serve one request. Raises `DeadlineExceeded`, and what the app raised."""
        if not self._started and not self.start(wait=deadline.remaining()):
            raise DeadlineExceeded("the app's start-up goes on")
        limit = deadline.remaining() + deadline.GRACE
        try:
            work = self._serve(call)
            ends = None if limit == deadline.NEVER else limit
            return self._loop.run(work, ends, interrupted=alarm.rang)
        except Overrun as error:
            raise DeadlineExceeded("the app was cancelled") from error

    async def _serve(self, call: Call) -> Answer:
        exchange = Exchange(call)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": call.method,
            "scheme": call.scheme,
            "path": unquote(call.path),
            "raw_path": call.path.encode("ascii"),
            "query_string": call.query,
            "root_path": call.root_path,
            "headers": call.headers,
            "client": call.client,
            "server": call.server,
            "state": self._state.copy(),
        }
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except (Exception, DeadlineExceeded, asyncio.CancelledError) as error:
            if not exchange.complete:
                raise
            answer = exchange.answer()
            if isinstance(error, Exception):
                # Frameworks answer 500 in the app's own words, and re-raise for the server to log.
                answer.error = error
            return answer
        return exchange.answer()


class Exchange:
    """The two channels of one request."""

    def __init__(self, call: Call) -> None:
        self._body: bytes | None = call.body
        self._start: Message | None = None
        self._chunks: list[bytes] = []
        self._ended = False
        # Made for an app that waits for the client to disconnect.
        self._gone: asyncio.Event | None = None

    @property
    def complete(self) -> bool:
        """Whether the app has sent a whole response."""
        return self._start is not None and self._ended

    async def receive(self) -> Message:
        """The whole body at once; afterwards, when all is sent, that the client has gone."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        if self._gone is None:
            self._gone = asyncio.Event()
        if not self._ended:
            await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a part of the response."""
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            self._chunks.append(bytes(message.get("body", b"")))
            if not message.get("more_body", False):
                self._ended = True
                if self._gone is not None:
                    self._gone.set()

    def answer(self) -> Answer:
        """The response. Raises `RuntimeError` when the app sent no complete one."""
        if self._start is None or not self.complete:
            raise RuntimeError("the ASGI app returned without completing its response")
        headers = [
            (bytes(name).lower(), bytes(value)) for name, value in self._start.get("headers", ())
        ]
        return Answer(self._start["status"], headers, b"".join(self._chunks))


class Lifespan:
    """The lifespan protocol of an ASGI app, which not every app speaks."""

    def __init__(self, app: App, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state
        self._in: asyncio.Queue[Message] = asyncio.Queue()
        self._out: asyncio.Queue[Message | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> bool:
        """Run start-up; False: the app has none. Raises `RuntimeError` when it failed."""
        self._task = asyncio.create_task(self._run(), name="sunup-lifespan")
        return await self._exchange("startup")

    async def shutdown(self) -> None:
        """Run shut-down, where start-up was run."""
        if self._task is not None and not self._task.done():
            await self._exchange("shutdown")
            await self._task

    async def _exchange(self, step: str) -> bool:
        await self._in.put({"type": f"lifespan.{step}"})
        message = await self._out.get()
        if message is None:
            return False
        if message["type"] == f"lifespan.{step}.failed":
            raise RuntimeError(f"the app's {step} failed: {message.get('message', '')}")
        return True

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        try:
            await self._app(scope, self._in.get, self._out.put)
        except (Exception, DeadlineExceeded):  # noqa: S110  # the protocol's way to say "no lifespan here"
            pass
        finally:
            await self._out.put(None)
