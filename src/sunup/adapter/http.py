"""An HTTP request and its answer, as the adapter hands them on."""

from typing import Any

# Names in lower case; values as Unicode text, with surrogates for bytes that are not UTF-8
# (PEP 383).
Headers = list[tuple[str, str]]


class Call:
    """A request. `path` is percent-encoded and begins with `root_path` (the stage's prefix).

    `query` is ASCII. `gateway_started_ms` is the event's own `timeEpoch`, in milliseconds since the
    epoch, where a gateway waits. `event` and `context` are what Lambda was given.
    """

    __slots__ = (
        "body",
        "client",
        "context",
        "event",
        "gateway_started_ms",
        "headers",
        "method",
        "path",
        "query",
        "root_path",
        "scheme",
        "server",
    )

    def __init__(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Headers | None = None,
        body: bytes = b"",
        root_path: str = "",
        scheme: str = "https",
        server: tuple[str, int] = ("", 443),
        client: tuple[str, int] | None = None,
        gateway_started_ms: int | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers: Headers = [] if headers is None else headers
        self.body = body
        self.root_path = root_path
        self.scheme = scheme
        self.server = server
        self.client = client
        self.gateway_started_ms = gateway_started_ms
        self.event: dict[str, Any] = {}
        self.context: Any = None


class Answer:
    """A response. `error` is the cause of an app's own 500."""

    __slots__ = ("body", "error", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: Headers | None = None,
        body: bytes = b"",
        error: BaseException | None = None,
    ) -> None:
        self.status = status
        self.headers: Headers = [] if headers is None else headers
        self.body = body
        self.error = error


def header_text(value: bytes) -> str:
    """A header's bytes as text."""
    return value.decode("utf-8", "surrogateescape")


def header_bytes(text: str) -> bytes:
    """The opposite of `header_text`."""
    return text.encode("utf-8", "surrogateescape")
