"""What the Lambda handler does around an app, for an app that another ASGI server runs."""

import time

from sunup import deadline, request
from sunup.settings import Settings

from . import answers
from .asgi import App, Message, Receive, Scope, Send
from .http import Answer


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
        token = request.current.set(current)
        limit = deadline.of_invocation(
            now=time.time(),
            gateway_started_ms=int(current.started * 1000),
            gateway_timeout=self._settings.gateway_timeout,
        )
        guarded = _Guard(current, send)
        try:
            with deadline.until(limit):
                await self._app(scope, receive, guarded.send)
        except Exception as error:
            if guarded.status is None:
                await guarded.answer(answers.of_exception(error, current))
            elif current.failure is None:
                answers.log_unforeseen(error)  # the framework has answered 500 by itself
        finally:
            answers.log(current, guarded.status or 500)
            request.current.reset(token)


class _Guard:
    """Lets a response pass, unless it is a server error that the database caused."""

    def __init__(self, current: request.Request, send: Send) -> None:
        self._current = current
        self._send = send
        self._replaced = False
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            instead = answers.instead_of(self._current, message["status"])
            if instead is not None:
                self._replaced = True
                await self.answer(instead)
                return
            self.status = message["status"]
        if not self._replaced:
            await self._send(message)

    async def answer(self, answer: Answer) -> None:
        self.status = answer.status
        await self._send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": answer.headers,
            }
        )
        await self._send({"type": "http.response.body", "body": answer.body})
