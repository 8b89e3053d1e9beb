"""What is known of the request that is being answered: for its log line and for its answer.

One `Request` is shared by everything that works on a request, also in other threads and tasks.
"""

import threading
import time
from collections.abc import Callable
from contextvars import Context, ContextVar, Token, copy_context
from typing import Any, Literal

from . import deadline
from .deadline import DeadlineExceeded
from .failures import ConnectionsBusy, DatabaseUnavailable
from .settings import on_lambda
from .statements import Change

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

Executed = Literal["no", "unknown", "yes"]


class Request:
    """Times are in seconds; `started` is since the epoch."""

    # Not a dataclass: making one costs a cold start more than all else in this module. What a
    # request begins with is the class's, so that making one is quick, too.

    # How long the request waited for a connection, awake or resuming.
    connect_seconds = resume_seconds = query_seconds = 0.0
    queries = rows = 0
    # The last failure of the database that the app was told, and the driver's exception behind it.
    failure: DatabaseUnavailable | None = None
    origin: BaseException | None = None
    # What was committed, and what may have been: both stay, whatever happens later.
    committed = doubtful = Change.NOTHING
    # What ended in a framework's own page, where an integration reports it.
    raised: BaseException | None = None
    # The values of its header `Accept`, where a person may get a page.
    accepts: Callable[[], list[str]] | None = None
    # Whether an answer can be sent; else the client will get a 500.
    can_send: Callable[[Any], bool] | None = None
    # The run of its work that is under way, where it has a receipt.
    run: "Run | None" = None
    # What became of its commit is not known; but whoever repeats it, with its key, learns it.
    unsettled = False
    # What its receipt was good for, and how often its work ran: for the log.
    receipt: str | None = None
    runs = 0
    # How often a transaction was run again (`Database.run`).
    retries = 0
    # The trace that it belongs to, where somebody wants to know; what is noted of it.
    trace_id: str | None = None
    trace: Any = None
    # Answered with a failure: what it left running gets no more connections.
    over = False
    # The process may be frozen: what it left running gets a connection in the next request.
    ended = False

    def __init__(
        self,
        method: str = "",
        path: str = "",
        id: str | None = None,  # noqa: A002  # the invocation's
        *,
        cold_start: bool = False,
        started: float | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.id = id
        self.cold_start = cold_start
        self.started = time.time() if started is None else started
        # The connections that it holds, each with how to take it away at the request's end.
        self.held: dict[object, Callable[[], None]] = {}

    @property
    def executed(self) -> Executed:
        """Whether something that this request sent to the database was executed and stays.

        A safe method promises to change nothing (RFC 9110, section 9.2.1), so functions that its
        reads call are believed to change nothing.
        """
        least = Change.YES if self.method in SAFE_METHODS else Change.PERHAPS
        if self.committed >= least:
            return "yes"
        # A COMMIT is under way, perhaps in a thread that goes on: nobody may say "no" any more.
        return "unknown" if self.unsettled or self.doubtful >= least else "no"

    def note_executed(self, change: Change, *, known: bool) -> None:
        """Something was committed, or (not `known`) may have been."""
        if known:
            self.committed = max(self.committed, change)
        else:
            self.doubtful = max(self.doubtful, change)

    def finish(self) -> None:
        """It is answered, and the process may be frozen: nothing holds a connection for it now."""
        self.ended = True
        if self.held:
            self.reclaim()

    def reclaim(self) -> None:
        """Take its connections away from those who still hold them."""
        for take in list(self.held.values()):
            try:
                take()
            except Exception:  # the others have to be taken all the same
                import logging

                logging.getLogger("sunup.database").exception("a connection was not taken back")

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
        if self.receipt is not None:
            fields["receipt"] = self.receipt
        if self.retries:
            fields["retries"] = self.retries
        if self.runs > 1:
            fields["runs"] = self.runs
        if self.failure is not None:
            fields["code"] = self.failure.code
            fields["cause"] = str(self.failure)
        return fields


current: ContextVar[Request | None] = ContextVar("sunup_request", default=None)

# What this process answers, where that is one request at a time: Lambda. Threads that were started
# without a copy of the context (`loop.run_in_executor`) belong to it too.
_serving: Request | None = None

# One has been answered: Lambda may freeze the process.
_between = False


def begin(request: Request, *, alone: bool = False) -> Token[Request | None]:
    """Make it the current request; `alone`: the process answers no other one meanwhile."""
    global _between, _serving
    if alone:
        _serving = request
        _between = False
    return current.set(request)


def end(token: Token[Request | None]) -> None:
    """Put back what `begin` replaced."""
    global _between, _serving
    _between = _serving is not None
    _serving = None
    current.reset(token)


def active() -> Request | None:
    """The request on whose behalf the calling code runs, if it is known."""
    return current.get() or _serving


class Run:
    """One run of the work of a request with a receipt; `unit` is its one transaction.

    `outer` is the run that it is a part of: of an app on another database that calls this one.
    """

    __slots__ = ("after_commit", "outer", "over", "unit")

    def __init__(self, unit: Any, outer: "Run | None" = None) -> None:
        # None: it was committed, and what is left running is on its own.
        self.unit = unit
        self.outer = outer
        # It was rolled back: what is left running must not change anything any more.
        self.over = False
        # What the app does once it is committed.
        self.after_commit: list[Callable[[], Any]] = []


# The run that the calling code belongs to, also in the tasks that it has begun, and in the threads
# with a copy of the context. False: to none, for certain.
working: ContextVar["Run | Literal[False] | None"] = ContextVar("sunup_run", default=None)


def run_here() -> Run | None:
    """The run of the work that the calling code belongs to.

    Raises `DeadlineExceeded` in what a run has left that was rolled back, and `ConnectionsBusy` in
    a thread of which nobody knows to what it belongs.
    """
    run = working.get()
    if run is None:
        if _serving is not None and _serving.run is not None and current.get() is None:
            raise ConnectionsBusy(
                "the request that is answered has a receipt, and a thread without its context is "
                "no part of it: start it by `asyncio.to_thread`, or `copy_context().run`"
            )
        return None
    if run is False:
        return None
    if run.over:
        raise DeadlineExceeded("the work that this belongs to was rolled back")
    return run


def unit_of(database: object) -> Any:
    """The transaction that this database's blocks have to join, if there is one."""
    run = run_here()
    while run is not None:
        if run.unit is not None and run.unit.database is database:
            return run.unit
        run = run.outer
    return None


def alone(request: Request | None) -> bool:
    """Whether the process answers this request only, and may be frozen at its end."""
    return request is not None and request is _serving


def not_over() -> Request | None:
    """As `active`, for a caller that asks for a connection: the request that will hold it.

    What an earlier request left running holds it on behalf of the one that is being answered, with
    which it ends. Raises `ConnectionsBusy` where there is none: the process may be frozen any time.
    Raises `DeadlineExceeded` for a request that was answered with a failure: what it left running
    must not change anything any more.
    """
    request = active()
    if request is None:
        elsewhere = threading.current_thread() is not threading.main_thread()
        if _between and elsewhere and on_lambda():
            raise ConnectionsBusy(
                "a thread asks for a connection while no request is being answered"
            )
        return None
    if request.over:
        raise DeadlineExceeded("the request has been answered")
    if request.ended:
        request = _serving
        if request is None or request.ended:
            raise ConnectionsBusy("the request has ended, and no other one is being answered")
    return request


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def apart() -> Context:
    """A copy of the context that belongs to no request, and knows no deadline."""
    context = copy_context()
    context.run(current.set, None)
    context.run(working.set, False)  # noqa: FBT003
    context.run(deadline.forget)
    return context


def note_wait(seconds: float, *, resuming: bool) -> None:
    """Add the time that the current request waited for a connection."""
    request = active()
    if request is None:
        return
    trace = request.trace
    if trace is not None:
        trace.waited(seconds, resuming=resuming)
    if resuming:
        request.resume_seconds += seconds
    else:
        request.connect_seconds += seconds


def note_failure(failure: DatabaseUnavailable | None, origin: BaseException | None = None) -> None:
    """Remember the database's failure for the current request's answer; None: it works.

    `origin` is the exception that the app sees, where that is not the failure itself.
    """
    request = active()
    if request is not None:
        request.failure, request.origin = failure, origin


class _Noting:
    """A block that asks for a connection: a failure to get one is remembered."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, DatabaseUnavailable):
            note_failure(error)


noting_failures = _Noting()


def doubts() -> Change | None:
    """What the current request may have executed, and nobody knows; None: there is no request."""
    request = active()
    return None if request is None else request.doubtful


def note_executed(change: Change, *, known: bool) -> None:
    """Something was committed, or (not `known`) may have been."""
    request = active()
    if request is not None:
        request.note_executed(change, known=known)
