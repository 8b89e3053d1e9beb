"""The Lambda entry: `handler = sunup.Handler("app:app", database=db)`."""

import logging
import os
import time
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from sunup import deadline, logs, request
from sunup.settings import Settings

from . import alarm, answers, ending, lifecycle, startup
from .event_parts import BadEvent, prefix_of
from .events import format_of
from .http import Answer, Call
from .loading import Interface, interface_of, load
from .protocols import LambdaContext, Runner, StartableDatabase, remaining_ms, request_id
from .sending import Sender

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Future

    from sunup.observing import Observer

    from .lifespan import LifespanMode
    from .loop import Loop

T = TypeVar("T")

# Seconds for closing connections ahead of a snapshot.
_CLOSE_LIMIT = 5.0

logger = logging.getLogger("sunup.request")


class Handler:
    """Answers HTTP events with an ASGI or WSGI app.

    They come from API Gateway (payload 2.0 and 1.0), function URLs, Application Load Balancers and
    VPC Lattice. `app` is the app or its name, `module:name`; SUNUP_APP unless given. Given by name,
    it is imported while `database` already connects. `interface` settles what cannot be guessed.
    `events` is called as `events(event, context)` with whatever else the function is invoked with,
    such as a schedule or a queue, and its result (awaited on the app's event loop where it must be)
    is the invocation's; without it such events raise `UnknownEvent`. `base_path` is what a custom
    domain's API mapping puts in front of the app's paths, such as `/v1`. `prime` is a path, such as
    `/health?deep=1`, that the app is asked for during INIT, on its full processor, so that what a
    first request does only once is already done: it must change nothing. `lifespan` is "on" where
    an app without start-up is a mistake, "off" where it must not run. Bodies of `text_types`, such
    as `image/svg+xml`, are sent as text too, which matters only to who reads the function's own
    result; `excluded_headers` of the app's are not sent. `log_stream_header` adds
    `X-Lambda-Log-Stream` to each response, where Lambda names the stream. Raises `SettingsError`,
    and what importing the app raises: INIT fails, and Lambda logs why.
    """

    def __init__(
        self,
        app: Any = None,
        *,
        database: StartableDatabase | None = None,
        interface: Interface | None = None,
        events: Callable[[Any, Any], Any] | None = None,
        base_path: str = "",
        prime: str | None = None,
        lifespan: "LifespanMode" = "auto",
        text_types: Collection[str] = (),
        excluded_headers: Collection[str] = (),
        log_stream_header: bool = False,
        settings: Settings | None = None,
    ) -> None:
        self._settings = settings or Settings.from_environment()
        self._observer = _observer_of(self._settings)
        self._loop: Loop | None = None
        self._cold = True
        self._events = events
        self._base_path = f"/{base_path.strip('/')}" if base_path.strip("/") else ""
        stream = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self._stream = stream if log_stream_header else None
        if lifespan not in ("auto", "on", "off"):
            raise ValueError(f"lifespan is {lifespan!r}; expected auto, on or off")
        self._sender = Sender(_lower(text_types), frozenset(_lower(excluded_headers)))
        logs.configure(self._settings)
        self._database = database
        if database is not None:
            _ = database.settings  # a wrong setting ends INIT here, and the log says which
            # Only for a request that waits may a sleeping database be woken: provisioned
            # concurrency and SnapStart initialise long before anybody calls.
            if _initialization() == "on-demand":
                self._begin_connecting()
        if app is None:
            app = load(self._settings.app or "app:app", "SUNUP_APP")
        elif isinstance(app, str):
            app = load(app)
        if (interface or interface_of(app)) == "asgi":
            from .asgi import AsgiRunner

            runner = AsgiRunner(app, self._event_loop(), lifespan)
            try:
                runner.start()
            except BaseException:
                self._event_loop().close()
                raise
            self._run: Runner = runner
        else:
            from .wsgi import WsgiRunner

            self._run = WsgiRunner(app)
        if prime is not None and not prime.startswith("/"):
            raise ValueError(f"prime is {prime!r}; expected a path of the app, such as /health")
        # A snapshot is made once for each release, whose migrations have just woken the database:
        # what a first request does only once is in it, without the connection.
        if prime is not None and _initialization() in ("on-demand", "snap-start"):
            from .priming import ask

            ask(prime, self._run, lambda current: self._end(current, answered=False))
        lifecycle.on_snapshot(self._before_snapshot, self._after_restore)
        lifecycle.on_shutdown(self._shut_down)
        if self._observer is not None:
            self._observer.initialised(for_a_request=_initialization() == "on-demand")
        startup.end()

    def __call__(self, event: Any, context: LambdaContext | None = None) -> Any:
        """Answer one invocation. Raises `UnknownEvent` for one that nobody handles."""
        form = format_of(event)
        if form is None:
            return self._answer_event(event, context)
        try:
            call = form.read(event)
        except BadEvent as error:
            logger.warning("400: %s", error)
            return self._sender.send(form, answers.bad_request(str(error)), "GET")
        call.event, call.context = event, context
        if self._base_path:
            prefix = prefix_of(call.path.removeprefix(call.root_path), self._base_path)
            call.root_path += prefix
        now = time.time()
        current = request.Request(
            method=call.method,
            path=call.path,
            id=request_id(context),
            cold_start=self._cold,
            started=now,
        )
        self._cold = False
        if self._settings.waking_page:
            current.accepts = lambda: [v for name, v in call.headers if name == "accept"]
        current.can_send = lambda answer: self._sender.can_send(form, answer, call.method)
        limit = deadline.of_invocation(
            now=now,
            remaining_ms=remaining_ms(context),
            gateway_started_ms=call.gateway_started_ms,
            gateway_timeout=self._settings.gateway_timeout,
        )
        token = request.begin(current, alone=True)
        observer, status = self._observer, None
        if observer is not None:
            observer.begin(current, call.headers)
        try:
            outer = deadline.begin(limit)
            deadline.share(limit)
            try:
                answer = self._answer(call, current)
            finally:
                deadline.share(None)
                deadline.end(outer)
            response = self._sender.send(form, answer, call.method)
            status = response["statusCode"]
            answers.log(current, status, observer)
        finally:
            if observer is not None:
                observer.end(current, status, failed=status is None, until=limit)
            request.end(token)
        return response

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run a coroutine on the event loop that the app runs on: for scripts and tests."""
        return self._event_loop().submit(work)

    def close(self, limit: float | None = None) -> None:
        """Run the app's shut-down, in at most `limit` seconds, and end the event loop."""
        try:
            with suppress(AttributeError, TimeoutError):
                self._run.stop(limit)
        finally:
            if self._loop is not None:
                self._loop.close()

    def _answer(self, call: Call, current: request.Request) -> Answer:
        error: BaseException | None = None
        answer = None
        try:
            limit = deadline.remaining()
            if limit != deadline.NEVER:
                alarm.arm(limit + alarm.BLOCKED, self._run.callers)
            try:
                answer = self._run(call)
            finally:
                alarm.disarm()
        except BaseException as raised:  # whatever it is, the client gets an answer
            error = raised
        self._end(current, answered=error is None)
        if error is not None and isinstance(error, answers.ENDS_THE_PROCESS):
            raise error
        # Only now is it settled what was executed.
        if answer is None:
            assert error is not None
            answer = answers.of_exception(error, current)
        elif answer.error is not None:  # answered by a framework or a catch-all, and re-raised
            answer = answers.of_exception(answer.error, current, answer)
        elif answer.status == 500:
            answer = answers.of_page(answer, current, late=alarm.rang())
        if self._stream is not None:
            answer.headers.append(("x-lambda-log-stream", self._stream))
        return answer

    def _answer_event(self, event: Any, context: Any) -> Any:
        from . import triggers

        events = triggers.function_for(event, self._events, self._database)
        current = request.Request(
            method="EVENT", id=request_id(context), cold_start=self._cold, started=time.time()
        )
        self._cold = False
        if self._observer is not None:
            self._observer.begin(current, [])
        if self._loop is not None:
            self._loop.mark()
        failed = True
        try:
            answer = triggers.answer(
                events,
                event,
                context,
                current,
                loop=self._event_loop,
                end=lambda: self._end(current, answered=True),
            )
            failed = False
        finally:
            if self._observer is not None:
                self._observer.end(current, None, failed=failed)
        return answer

    def _end(self, current: request.Request, *, answered: bool) -> None:
        left = ending.end(current, self._loop, answered=answered)
        if left:
            names = ", ".join(left)
            logger.warning(
                "tasks still running after the request; they pause until the next one: %s", names
            )

    def _begin_connecting(self) -> None:
        if self._database is not None:
            started = self._database.start()
            if started is not None:
                from .loop import finish

                self._event_loop().submit(finish(started))

    def _close_database(self, limit: float) -> None:
        closing = None if self._database is None else self._database.close()
        if closing is not None and not self._event_loop().running_here:
            from .loop import finish

            self._event_loop().run(finish(closing), limit)

    def _before_snapshot(self) -> None:
        # What the app's import opened would be dead in each copy, and credentials expire.
        self._close_database(_CLOSE_LIMIT)

    def _after_restore(self) -> None:
        lifecycle.reseed()
        self._cold = True
        self._begin_connecting()  # a restore is for a request, which waits

    def _shut_down(self) -> None:
        limit = lifecycle.SHUTDOWN_LIMIT / 2
        with suppress(Exception):  # what the app's own shut-down raises must not stop the rest
            self._run.stop(limit)
        # So that the server sees the end at once, and not after its idle timeout.
        with suppress(TimeoutError):
            self._close_database(limit)

    def _event_loop(self) -> "Loop":
        if self._loop is None:
            from .loop import Loop

            self._loop = Loop()
        return self._loop


def _observer_of(settings: Settings) -> "Observer | None":
    """What tells of requests beyond the log, where something is switched on."""
    if settings.metrics == settings.traces == "off":
        return None
    from sunup.observing import Observer

    return Observer(settings)


def _initialization() -> str:
    """What this start is for (Lambda Developer Guide, "Using Lambda environment variables")."""
    return os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")


def _lower(names: Collection[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        names = (names,)
    return tuple([name.strip().lower() for name in names])
