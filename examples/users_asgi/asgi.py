"""What a framework would do, as far as this API needs it: ASGI in, JSON out."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import msgspec

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class HTTPError(Exception):
    """Ends a request with a status and, as JSON, the reason and the body's field that is wrong."""

    def __init__(self, status: int, reason: str = "", field: str | None = None) -> None:
        super().__init__(status)
        content = {"error": reason or HTTPStatus(status).phrase}
        if field is not None:
            content["field"] = field
        self.reply = Reply(content, status)


@dataclass
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    receive: Receive

    @property
    def segment(self) -> str:
        """The last one of the path."""
        return self.path.rpartition("/")[2]

    async def stream(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self.receive()
            yield message.get("body", b"")
            more = message.get("more_body", False)


@dataclass
class Reply:
    content: object
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Endpoint = Callable[[Request], Awaitable[Reply]]
# By path; `None` for one that is unknown.
Routes = Callable[[str], Mapping[str, Endpoint] | None]
OnError = Callable[[Exception], HTTPError | None]


class App:
    """Calls the endpoint of a path and method; `on_error` turns the app's own exceptions."""

    def __init__(self, routes: Routes, on_error: OnError) -> None:
        self._routes = routes
        self._on_error = on_error

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        reply, unforeseen = await self._reply(Request(scope["method"], path, query, receive))
        body = msgspec.json.encode(reply.content)
        headers = {
            **reply.headers,
            "content-type": "application/json",
            "content-length": str(len(body)),
        }
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
        await send({"type": "http.response.body", "body": body})
        if unforeseen is not None:
            raise unforeseen  # as Starlette does: the server logs it, and sunup with its cause

    async def _reply(self, request: Request) -> tuple[Reply, Exception | None]:
        try:
            return await self._endpoint(request)(request), None
        except HTTPError as error:
            return error.reply, None
        except Exception as error:
            told = self._on_error(error)
            return (HTTPError(500).reply, error) if told is None else (told.reply, None)

    def _endpoint(self, request: Request) -> Endpoint:
        found = self._routes(request.path)
        if found is None:
            raise HTTPError(404)
        method = "GET" if request.method == "HEAD" else request.method
        if method not in found:
            refused = HTTPError(405)
            refused.reply.headers["allow"] = ", ".join(
                ["HEAD", *found] if "GET" in found else found
            )
            raise refused
        return found[method]


async def lifespan(receive: Receive, send: Send) -> None:
    """There is nothing to start: the database connects by itself."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
