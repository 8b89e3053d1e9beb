"""An HTTP request and its answer, as the adapter hands them on."""

from dataclasses import dataclass, field

Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Call:
    """A request. `path` is percent-encoded and begins with `root_path` (the stage's prefix)."""

    method: str
    path: str
    query: bytes = b""
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    root_path: str = ""
    scheme: str = "https"
    server: tuple[str, int] = ("", 443)
    client: tuple[str, int] | None = None
    # The event's own `timeEpoch`, milliseconds since the epoch, where a gateway waits.
    gateway_started_ms: int | None = None


@dataclass(slots=True)
class Answer:
    """A response; header names are in lower case. `error` is why it is the app's own 500."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    error: BaseException | None = None
