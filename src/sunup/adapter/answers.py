"""What a client is told when the app or the database failed."""

import json
import logging

from sunup.deadline import DeadlineExceeded
from sunup.failures import DatabaseResuming, DatabaseUnavailable, chain_of
from sunup.request import SAFE_METHODS, Request
from sunup.statements import Change

from .http import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sunup.observing import Observer

logger = logging.getLogger("sunup.request")

# These end the process; any other exception that a request ends with gets an answer.
ENDS_THE_PROCESS = (SystemExit, KeyboardInterrupt)


def of_exception(error: BaseException, request: Request, otherwise: Answer | None = None) -> Answer:
    """The answer for an exception that the app let through; logs what nobody else explains.

    Where nothing is known of its cause it is `otherwise`, or a 500 without details.
    """
    answer = _of_cause(error, request)
    if answer is None:
        log_unforeseen(error)
        request.over = True
    return answer or otherwise or internal_error()


def _of_cause(error: BaseException, request: Request) -> Answer | None:
    """The answer for an exception that the database, or the deadline, has caused."""
    chain = chain_of(error)
    for each in chain:
        if isinstance(each, DatabaseUnavailable) or each is request.origin:
            failure = each if isinstance(each, DatabaseUnavailable) else request.failure
            assert failure is not None
            answer = of_failure(failure, request)
            request.failure = failure
            return answer
    request.failure = None  # one that the app had got over
    if any(isinstance(each, DeadlineExceeded) for each in chain):
        return of_deadline(request)
    return None


def of_deadline(request: Request) -> Answer:
    """503 where the database executed nothing, 500 where a repetition might do it twice.

    What else the app did, such as calls to other services, only the app knows: `Retry-After` is for
    safe methods.
    """
    return _json(
        503 if _may_be_repeated(request) else 500,
        {"error": "The request took too long", "code": "deadline_exceeded"},
        request,
        retry_after=1 if request.method in SAFE_METHODS or request.receipt else None,
    )


def of_failure(failure: DatabaseUnavailable, request: Request) -> Answer:
    """503, with `Retry-After` where trying again helps, if nothing of the request was executed.

    Else a 500, which no client repeats automatically.
    """
    if not failure.nothing_executed and failure is not request.failure:
        request.note_executed(Change.PERHAPS, known=False)  # on a connection that is not sunup's
    answer = _json(
        503 if _may_be_repeated(request) else 500,
        {"error": failure.message, "code": failure.code},
        request,
        retry_after=failure.retry_after,
    )
    if failure.code == DatabaseResuming.code and answer.status == 503:
        _for_a_person(answer, request, failure.retry_after or 1)
    return answer


def _for_a_person(answer: Answer, request: Request, seconds: int) -> None:
    """A page instead of the JSON, where a browser asks for one."""
    if request.accepts is None or request.method not in ("GET", "HEAD"):
        return
    # A cache must not give one to who wants the other; nor keep either.
    answer.headers += [("vary", "accept"), ("cache-control", "no-store")]
    from . import waking_page

    if waking_page.is_for(request.accepts()):
        answer.body = waking_page.body(seconds)
        answer.headers = [
            (name, value)
            for name, value in answer.headers
            if name not in ("content-type", "content-length")
        ]
        answer.headers += [
            ("content-type", "text/html; charset=utf-8"),
            ("content-length", str(len(answer.body))),
        ]


def of_page(page: Answer, request: Request, *, late: bool = False) -> Answer:
    """The answer in place of a 500, if that is a framework's bare one and its cause is known.

    `late`: the app was interrupted at its deadline.
    """
    from .bare import is_bare

    unknown = request.failure is None and request.raised is None and not late
    if unknown or not is_bare(page.status, page.body):
        return page
    if request.raised is not None:
        return _of_cause(request.raised, request) or page
    return of_deadline(request) if request.failure is None else of_failure(request.failure, request)


def log_unforeseen(error: BaseException) -> None:
    """Write an exception of the app's with its traceback."""
    logger.error("unhandled %s in the app", type(error).__name__, exc_info=error)


def bad_request(reason: str) -> Answer:
    """400 for an event that is not an HTTP request that can be passed on."""
    return _answer(400, {"error": reason})


def internal_error() -> Answer:
    """500 without details."""
    return _answer(500, {"error": "Internal Server Error"})


def log(request: Request, status: int, observer: "Observer | None" = None) -> None:
    """Write the request's log line."""
    level = logging.INFO
    if status >= 500:
        level = logging.WARNING if request.failure and status == 503 else logging.ERROR
    enabled = logger.isEnabledFor(level)
    if not enabled and (observer is None or not observer.always):
        return
    fields = request.log_fields(status)
    if observer is not None:
        fields = observer.fields(request, fields, status)
        if not enabled and "_aws" not in fields:
            return
    record = logger.makeRecord(
        logger.name,
        level,
        "",
        0,
        "%s %s %d",
        (request.method, request.path, status),
        None,
        extra=fields,
    )
    logger.handle(record)


def _may_be_repeated(request: Request) -> bool:
    """Whether nothing is done twice: nothing was executed, or who repeats it has a receipt."""
    return request.executed == "no" or request.unsettled


def _json(
    status: int, content: dict[str, str], request: Request, *, retry_after: int | None
) -> Answer:
    answer = _answer(status, {**content, "executed": request.executed})
    if retry_after is not None and _may_be_repeated(request):
        answer.headers.append(("retry-after", str(retry_after)))
    # What it left running must not change anything any more.
    request.over = True
    return answer


def _answer(status: int, content: dict[str, str]) -> Answer:
    body = json.dumps(content).encode()
    headers = [
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
    ]
    return Answer(status, headers, body)
