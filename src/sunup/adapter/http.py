"""An HTTP request and its answer, as the adapter hands them on."""

Headers = list[tuple[bytes, bytes]]


class Call:
    """A request. `path` is percent-encoded and begins with `root_path` (the stage's prefix).

    `gateway_started_ms` is the event's own `timeEpoch`, in milliseconds since the epoch, where a
    gateway waits.
    """

    __slots__ = (
        "body",
        "client",
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
        query: bytes = b"",
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


class Answer:
    """A response; header names are in lower case. `error` is the cause of an app's own 500."""

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
