"""What the Lambda handler does around an app, for an app that another ASGI server runs."""

import asyncio
import time

from sunup import deadline, request
from sunup.settings import Settings

from . import answers
from .asgi import encoded, headers_of
from .http import Answer
from .lifespan import App, Message, Receive, Scope, Send


class RequestMiddleware:
    """Gives each request its deadline, its answers for a database that fails, and its log line.

    For a local server, a container, a test client: the app behaves as it does on Lambda.
    """

    def __init__(self, app: App, settings: Settings | None = None) -> None:
        self._app = app
        self._settings = settings or Settings.from_environment()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as an ASGI app."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        raw_path = scope.get("raw_path") or scope["path"].encode()
        current = request.Request(method=scope["method"], path=raw_path.decode("latin-1"))
        if self._settings.waking_page:
            current.accepts = lambda: [
                value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"
            ]
        token = request.begin(current)
        limit = deadline.of_invocation(
            now=time.time(),
            gateway_started_ms=int(current.started * 1000),
            gateway_timeout=self._settings.gateway_timeout,
        )
        guarded = _Guard(current, send)
        try:
            with deadline.until(limit):
                await self._in_time(scope, receive, guarded.send)
        except (Exception, deadline.DeadlineExceeded, BaseExceptionGroup) as error:
            current.reclaim()
            await guarded.end(error)
        else:
            await guarded.end(None)
        finally:
            answers.log(current, guarded.status or 500)
            request.end(token)

    async def _in_time(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = deadline.remaining() + deadline.GRACE
        try:
            async with asyncio.timeout(None if limit == deadline.NEVER else limit) as timeout:
                await self._app(scope, receive, send)
        except TimeoutError:
            if timeout.expired():
                raise deadline.DeadlineExceeded from None
            raise


class _Guard:
    """Lets a response pass, unless it is a 500 that hides a failure of the database.

    A 500 is held back until it is known whether the app re-raised, unless it comes in parts.
    """

    def __init__(self, current: request.Request, send: Send) -> None:
        self._current = current
        self._send = send
        self._held: Message | None = None
        self._page = b""
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Pass on, or hold back, a part of the app's response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status == 500:
                self._held = message
                return
        elif self._held is not None and message["type"] == "http.response.body":
            self._page += message.get("body", b"")
            if message.get("more_body", False):
                await self._let_go()
            return
        await self._send(message)

    async def end(self, error: BaseException | None) -> None:
        """The app has returned, or raised."""
        current = self._current
        if self.status is None:
            if error is not None:
                await self._answer(answers.of_exception(error, current))
            return
        if self._held is None:
            if error is not None and current.failure is None:
                answers.log_unforeseen(error)  # the framework has already answered
            return
        page = Answer(500, headers_of(self._held), self._page)
        if error is not None:
            page = answers.of_exception(error, current, page)
        else:
            page = answers.of_page(page, current)
        await self._answer(page)

    async def _let_go(self) -> None:
        held, self._held = self._held, None
        assert held is not None
        await self._send(held)
        page = {"type": "http.response.body", "body": self._page, "more_body": True}
        await self._send(page)

    async def _answer(self, answer: Answer) -> None:
        self.status = answer.status
        await self._send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": encoded(answer.headers),
            }
        )
        await self._send({"type": "http.response.body", "body": answer.body})
