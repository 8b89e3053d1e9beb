"""What a client is told when the app or the database failed."""

import json
import logging

from sunup.failures import DatabaseUnavailable
from sunup.request import SAFE_METHODS, Request

from .http import Answer

logger = logging.getLogger("sunup.request")


class DeadlineExceeded(Exception):
    """The app had not answered when its time was up; it was cancelled."""


def instead_of(request: Request, status: int) -> Answer | None:
    """The answer that replaces the app's own server error, when the database was its cause.

    Frameworks turn any exception into a 500; a database that wakes up is not an error of the app.
    """
    if status >= 500 and request.failure is not None:
        return of_failure(request.failure, request.method)
    return None


def of_exception(error: BaseException, request: Request) -> Answer:
    """The answer for an exception that the app let through; logs what nobody else explains."""
    if isinstance(error, DeadlineExceeded):
        return _json(
            503,
            {"error": "The request took too long", "code": "deadline_exceeded"},
            retry_after=1 if request.method in SAFE_METHODS else None,
        )
    failure = error if isinstance(error, DatabaseUnavailable) else request.failure
    if failure is not None:
        request.failure = failure
        return of_failure(failure, request.method)
    log_unforeseen(error)
    return internal_error()


def log_unforeseen(error: BaseException) -> None:
    """Write an exception of the app's with its traceback."""
    logger.error("unhandled %s in the app", type(error).__name__, exc_info=error)


def of_failure(failure: DatabaseUnavailable, method: str) -> Answer:
    """503, with `Retry-After` where trying again helps and can do no harm.

    A lost connection may have carried out a write: that is a 500, which no client repeats by
    itself, unless the method is a safe one.
    """
    repeatable = failure.nothing_executed or method in SAFE_METHODS
    return _json(
        503 if repeatable else 500,
        {"error": failure.message, "code": failure.code},
        retry_after=failure.retry_after if repeatable else None,
    )


def bad_request(reason: str) -> Answer:
    """400 for an event that is no HTTP request that could be passed on."""
    return _json(400, {"error": reason})


def internal_error() -> Answer:
    """500 that tells nothing."""
    return _json(500, {"error": "Internal Server Error"})


def log(request: Request, status: int) -> None:
    """Write the request's log line."""
    level = logging.INFO
    if status >= 500:
        level = logging.WARNING if request.failure and status == 503 else logging.ERROR
    if not logger.isEnabledFor(level):
        return
    logger.log(
        level,
        "%s %s %d",
        request.method,
        request.path,
        status,
        extra=request.log_fields(status),
    )


def _json(status: int, content: dict[str, str], *, retry_after: int | None = None) -> Answer:
    body = json.dumps(content).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    return Answer(status, headers, body)
