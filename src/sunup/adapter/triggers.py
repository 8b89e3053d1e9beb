"""Invocations that are no HTTP requests: schedules, queues, and what else the app has a use for."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from sunup import deadline, request
from sunup.privacy import strip_data

from . import alarm, answers
from .events import WAKE, UnknownEvent
from .loop import Loop, Overrun, finish
from .protocols import StartableDatabase, remaining_ms

T = TypeVar("T")

_TOO_LONG = "the event took too long: the function's time is up"


def function_for(
    event: Any, events: Callable[[Any, Any], Any] | None, database: StartableDatabase | None
) -> Callable[[Any, Any], Any]:
    """What answers an event that is no HTTP request. Raises `UnknownEvent`."""
    if event == WAKE and database is not None:
        from .wake import woken

        return woken(database)
    if events is None:
        raise UnknownEvent(event)
    return events


def answer(
    events: Callable[[Any, Any], Any],
    event: Any,
    context: Any,
    current: request.Request,
    *,
    loop: Callable[[], Loop],
    end: Callable[[], None],
) -> Any:
    """The result of `events`, with the function's own deadline; raises what it raises.

    `loop` gives the app's event loop; `end` is called when the function has ended.
    """
    limit = deadline.of_invocation(now=current.started, remaining_ms=remaining_ms(context))
    token = request.begin(current, alone=True)
    try:
        with deadline.until(limit):
            deadline.share(limit)
            if limit is not None:
                alarm.arm(deadline.remaining() + alarm.BLOCKED, _CALLERS)
            try:
                result = events(event, context)
                if isinstance(result, Awaitable):
                    result = _run_in_time(loop(), finish(result))
            except BaseException as error:
                strip_data(error)  # the runtime logs it
                if isinstance(error, (Exception, *answers.ENDS_THE_PROCESS)):
                    raise
                raise _for_the_runtime(error) from error
            finally:
                alarm.disarm()
                end()
                deadline.share(None)
    finally:
        request.end(token)
    return result


# What calls the function, for the alarm.
_CALLERS = (answer.__code__, finish.__code__)


def _run_in_time(loop: Loop, work: Coroutine[Any, Any, T]) -> T:
    limit = deadline.remaining()
    try:
        ends = None if limit == deadline.NEVER else limit
        return loop.run(work, ends, interrupted=alarm.rang)
    except Overrun:
        raise TimeoutError(_TOO_LONG) from None


def _for_the_runtime(error: BaseException) -> Exception:
    """The runtime client reports an `Exception`, and ends with anything else."""
    if isinstance(error, deadline.DeadlineExceeded):
        return TimeoutError(_TOO_LONG)
    return RuntimeError(f"the function for events ended with {type(error).__name__}")
