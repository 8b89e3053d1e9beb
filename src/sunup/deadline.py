"""How long the current request may still take.

A deadline is wall-clock time (seconds since the epoch): it keeps its meaning across a freeze of the
process. It belongs to the current context, so requests that are served together do not mix.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

NEVER = float("inf")

# None: not known in this context.
_current: ContextVar[float | None] = ContextVar("sunup_deadline", default=None)

# That of the request which this process answers, where it answers one at a time: it is for
# threads that were started without a copy of the context.
_shared: float | None = None

# Seconds between the deadline, at which waits for the database end, and cancelling the app.
GRACE = 0.25

# Seconds that a cancelled app has for its clean-up: what it still does then is left behind.
CLEANUP = 0.25

# Seconds after its answer that a request's background tasks have, before the process may be frozen.
AFTERWARDS = 1.0

# Seconds that putting a connection right after its block may take: a cancelled statement's end, a
# rollback, a reset. The second is the least that is left for it after the deadline.
CLEANING = 1.0
_LEAST_CLEANING = 0.2


class DeadlineExceeded(BaseException):
    """The request's time is up. Not an `Exception`: `except Exception` must not swallow it."""


def at() -> float | None:
    """When the current request must have been answered, in seconds since the epoch, if known."""
    limit = _current.get()
    if limit is None:
        return _shared
    return None if limit == NEVER else limit


def remaining() -> float:
    """Seconds that the current request may still take: never negative, infinite without a limit."""
    limit = at()
    return NEVER if limit is None else max(0.0, limit - time.time())


def for_cleaning() -> float:
    """Seconds that may be spent now on putting things right, also after the deadline."""
    limit = at()
    if limit is None:
        return CLEANING
    return min(CLEANING, max(_LEAST_CLEANING, limit + GRACE + CLEANUP - time.time()))


@contextmanager
def until(moment: float | None) -> Iterator[None]:
    """Set the deadline of what runs inside to a moment in seconds since the epoch.

    An earlier deadline that is already set stays in force.
    """
    token = begin(moment)
    try:
        yield
    finally:
        end(token)


def begin(moment: float | None) -> Token[float | None]:
    """As `until`, without a block: `end` with the result puts back what was."""
    outer = at()
    if moment is None or (outer is not None and outer < moment):
        moment = outer
    return _current.set(moment)


def end(token: Token[float | None]) -> None:
    """Put back the deadline that `begin` replaced."""
    _current.reset(token)


def forget() -> None:
    """Remove the deadline from this context."""
    _current.set(NEVER)


def share(moment: float | None) -> None:
    """Set the deadline of the one request that this process answers; None: it is answered."""
    global _shared
    _shared = moment


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give what runs inside at most `seconds` (a scheduled job, a script, a test)."""
    with until(time.time() + seconds):
        yield


def of_invocation(
    *,
    now: float,
    remaining_ms: int | None = None,
    gateway_started_ms: int | None = None,
    gateway_timeout: float = 30.0,
    margin: float = 1.0,
) -> float | None:
    """When a Lambda invocation has to answer: the earlier of its own end and the gateway's.

    `remaining_ms` is the context's `get_remaining_time_in_millis()`; `gateway_started_ms` the
    event's `requestContext.timeEpoch` (1.0: `requestTimeEpoch`). An HTTP API gives up 30 s after
    that (API Gateway Developer Guide, "Quotas for HTTP APIs"; it cannot be raised). A request
    that is older than the gateway's limit has no gateway waiting for it: it is a replay or a
    console's test event, and only the function's own time counts. `margin`, in seconds, is left
    for writing the answer.
    """
    end = NEVER if remaining_ms is None else now + remaining_ms / 1000
    if gateway_started_ms is not None:
        waits = gateway_started_ms / 1000 + gateway_timeout
        if waits > now:
            # A gateway clock ahead of ours must not grant more than the whole limit.
            end = min(end, waits, now + gateway_timeout)
    return None if end == NEVER else max(now, end - margin)
