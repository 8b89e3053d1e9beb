"""Runs an ASGI 3 app: its lifespan once per process, and one request at a time."""

import asyncio
import logging
from concurrent.futures import Future
from typing import Any
from urllib.parse import unquote

from sunup import deadline
from sunup.deadline import DeadlineExceeded
from sunup.request import apart

from . import alarm
from .answers import ENDS_THE_PROCESS
from .http import Answer, Call, Headers, header_bytes, header_text
from .lifespan import App, Lifespan, LifespanMode, Message
from .loop import Loop, Overrun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

logger = logging.getLogger("sunup.request")

# Of INIT's 10 s, how many an app's start-up may use before the first request waits for it instead.
STARTUP_IN_INIT = 7.0


class AsgiRunner:
    """Calls an ASGI app from another thread."""

    def __init__(self, app: App, loop: Loop, lifespan: LifespanMode = "auto") -> None:
        self._app = app
        self._mode = lifespan
        self._loop = loop
        self._state: dict[str, Any] = {}
        self._lifespan: Lifespan | None = None
        self._startup: Future[bool] | None = None
        self._started = lifespan == "off"
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
            self._lifespan = Lifespan(self._app, self._state, required=self._mode == "on")
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
            raise DeadlineExceeded("the app is still starting up")
        limit = deadline.remaining() + deadline.GRACE
        exchange = Exchange(call.body)
        try:
            work = self._serve(call, exchange)
            ends = None if limit == deadline.NEVER else limit
            return self._loop.run(work, ends, interrupted=alarm.rang)
        except Overrun as error:
            if not exchange.complete:
                raise DeadlineExceeded("the app was cancelled") from error
        except asyncio.CancelledError:
            if not exchange.complete:
                raise
        return exchange.answer()  # whole before the app was cancelled, perhaps by itself

    async def _serve(self, call: Call, exchange: "Exchange") -> Answer:
        prefix, headers = call.root_path, encoded(call.headers)
        fields = call.event.get("headers") if call.body else None
        quickly = type(fields) is dict and "content-length" in fields
        if call.body and not quickly and not dict(headers).get(b"content-length"):
            # Of some requests API Gateway tells none (Kludex/mangum#143), and Django reads no form.
            headers.append((b"content-length", str(len(call.body)).encode()))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": call.method,
            "scheme": call.scheme,
            "path": unquote(call.path),
            "raw_path": call.path.encode("ascii"),
            "query_string": call.query.encode("ascii"),
            "root_path": unquote(prefix) if prefix else "",
            "headers": headers,
            "client": call.client,
            "server": call.server,
            "state": self._state.copy(),
            "aws.event": call.event,
            "aws.context": call.context,
        }
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            if not exchange.complete or isinstance(error, ENDS_THE_PROCESS):
                raise
            answer = exchange.answer()
            if isinstance(error, Exception):
                # Frameworks answer 500 in the app's own words, and re-raise for the server to log.
                answer.error = error
            return answer
        return exchange.answer()


class Exchange:
    """The two channels of one request. A message that cannot be is an error, as under a server."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._status: int | None = None
        self._headers: Headers = []
        self._chunks: list[bytes] = []
        # The response is whole: what comes now changes nothing.
        self.complete = False
        # Made for an app that waits for the client to disconnect.
        self._gone: asyncio.Event | None = None

    async def receive(self) -> Message:
        """The whole body at once; afterwards, when all is sent, that the client has gone."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        if self._gone is None:
            self._gone = asyncio.Event()
        if not self.complete:
            await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a part of the response. Raises `RuntimeError` and `TypeError`."""
        kind = message["type"]
        if self.complete:
            return
        if kind == "http.response.start":
            self._begin(message)
        elif kind == "http.response.body":
            if self._status is None:
                raise RuntimeError("the ASGI app sent a body before it started its response")
            body = message.get("body", b"")
            self._chunks.append(body if type(body) is bytes else _bytes(body))
            if not message.get("more_body", False):
                self.complete = True
                if self._gone is not None:
                    self._gone.set()
        else:
            raise RuntimeError(f"the ASGI app sent a message of the unknown type {kind!r}")

    def _begin(self, message: Message) -> None:
        if self._status is not None:
            logger.error("the ASGI app started its response twice; the first start is used")
            return
        status = message["status"]
        if not isinstance(status, int):
            raise TypeError(f"the ASGI app sent a status that is not a number: {status!r}")
        self._headers = headers_of(message)
        self._status = int(status)  # HTTPStatus, too

    def answer(self) -> Answer:
        """The response. Raises `RuntimeError` when the app sent no complete one."""
        if self._status is None or not self.complete:
            raise RuntimeError("the ASGI app returned without completing its response")
        return Answer(self._status, self._headers, b"".join(self._chunks))


# Names and their bytes: the same ones recur; but anybody can send new ones.
_NAMES: dict[str, bytes] = {}
_MOST_NAMES = 200


def encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them."""
    return [
        (_NAMES.get(name) or _name(name), value.encode("utf-8", "surrogateescape"))
        for name, value in headers
    ]


def _name(name: str) -> bytes:
    key = header_bytes(name)
    if len(_NAMES) < _MOST_NAMES:
        _NAMES[name] = key
    return key


def headers_of(start: Message) -> Headers:
    """The headers of a response's start. Raises `TypeError`."""
    fields = start.get("headers") or ()
    try:
        return [
            (_TEXTS.get(name) or _text(name), value.decode("utf-8", "surrogateescape"))
            for name, value in fields
        ]
    except AttributeError:
        raise TypeError("the ASGI app sent a header that is not bytes") from None


# The same for names that come as bytes.
_TEXTS: dict[bytes, str] = {}


def _text(name: bytes) -> str:
    key = header_text(name.lower())  # as bytes: only ASCII letters have two cases here
    if len(_TEXTS) < _MOST_NAMES:
        _TEXTS[bytes(name)] = key
    return key


def _bytes(body: object) -> bytes:
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    raise TypeError(f"the ASGI app sent a body that is not bytes but {type(body).__name__}")
