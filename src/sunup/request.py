"""What is known of the request that is being answered: for its log line and for its answer.

One `Request` is shared by everything that works on a request, also in other threads and tasks.
"""

import time
from contextvars import ContextVar
from dataclasses import dataclass, field

from .failures import DatabaseUnavailable

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@dataclass(slots=True)
class Request:
    """Times are in seconds; `started` is since the epoch."""

    method: str = ""
    path: str = ""
    id: str | None = None
    cold_start: bool = False
    started: float = field(default_factory=time.time)
    # How long the request waited for a connection, awake or resuming.
    connect_seconds: float = 0.0
    resume_seconds: float = 0.0
    query_seconds: float = 0.0
    queries: int = 0
    rows: int = 0
    # The last failure of the database that the app was told; it decides what an error answers.
    failure: DatabaseUnavailable | None = None

    def note_query(self, seconds: float, rows: int) -> None:
        """Add one statement's time and number of rows."""
        self.query_seconds += seconds
        self.queries += 1
        self.rows += max(rows, 0)

    def log_fields(self, status: int) -> dict[str, object]:
        """The fields of the request's log line; no query string, body or parameter is in it."""
        fields: dict[str, object] = {
            "method": self.method,
            "path": self.path,
            "status": status,
            "duration_ms": _ms(time.time() - self.started),
        }
        if self.id is not None:
            fields["request_id"] = self.id
        if self.cold_start:
            fields["cold_start"] = True
        if self.connect_seconds:
            fields["connect_ms"] = _ms(self.connect_seconds)
        if self.resume_seconds:
            fields["resume_ms"] = _ms(self.resume_seconds)
        if self.queries:
            fields["queries"] = self.queries
            fields["query_ms"] = _ms(self.query_seconds)
            fields["rows"] = self.rows
        if self.failure is not None:
            fields["code"] = self.failure.code
            fields["cause"] = str(self.failure)
        return fields


current: ContextVar[Request | None] = ContextVar("sunup_request", default=None)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def note_wait(seconds: float, *, resuming: bool) -> None:
    """Add the time that the current request waited for a connection."""
    request = current.get()
    if request is None:
        return
    if resuming:
        request.resume_seconds += seconds
    else:
        request.connect_seconds += seconds


def note_failure(failure: DatabaseUnavailable | None) -> None:
    """Remember what the database's failure was for the current request's answer; None: it works."""
    request = current.get()
    if request is not None:
        request.failure = failure
