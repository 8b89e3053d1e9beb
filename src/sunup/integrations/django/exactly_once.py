"""Receipts for a Django project: the first of its MIDDLEWARE.

MIDDLEWARE = ["sunup.integrations.django.exactly_once.Middleware", ...]
INSTALLED_APPS = ["sunup.integrations.django", ...]
SUNUP_EXACTLY_ONCE = {"required": "POST /payments"}
"""

import copy
import io
from collections.abc import Callable, Iterator
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from sunup.adapter.http import Answer
from sunup.receipts import wants
from sunup.receipts.policy import Policy

from .unit import Unit

_Answer = Callable[[HttpRequest], HttpResponseBase]


class Middleware:
    """A request with an `Idempotency-Key` is one transaction, `atomic()`, with its answer in it.

    As with ATOMIC_REQUESTS, what may fail and is caught belongs into an `atomic()` of its own. The
    options in SUNUP_EXACTLY_ONCE are those of `sunup.exactly_once`, but for `database`; `using` is
    the alias in DATABASES, and `caller` gets the `HttpRequest`.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Any) -> None:
        self._next = get_response
        self._get_response: _Answer = get_response
        self._async = iscoroutinefunction(get_response)
        if self._async:
            markcoroutinefunction(self)
            self._get_response = async_to_sync(get_response)
        options = dict(getattr(settings, "SUNUP_EXACTLY_ONCE", {}))
        self._using = options.pop("using", "default")
        engine = settings.DATABASES.get(self._using, {}).get("ENGINE")
        if engine != "sunup.integrations.django":
            raise ImproperlyConfigured(
                f"receipts need a database of sunup's: the ENGINE of DATABASES[{self._using!r}] is"
                f" {engine!r}; expected 'sunup.integrations.django'"
            )
        caller = options.pop("caller", None)
        if caller is not None:
            options["caller"] = lambda scope: caller(scope["django.request"])
        try:
            self._policy = Policy(**options)
        except (TypeError, ValueError) as error:
            raise ImproperlyConfigured(f"SUNUP_EXACTLY_ONCE: {error}") from None

    def __call__(self, request: HttpRequest) -> Any:
        """Answer a request; under ASGI, to be awaited."""
        key = request.META.get("HTTP_IDEMPOTENCY_KEY")
        if not wants(
            self._policy, request.method or "GET", request.path_info, has_key=key is not None
        ):
            return self._next(request)
        if self._async:
            # Django's connection is its thread's.
            return sync_to_async(self._serve)(request)
        return self._serve(request)

    def _serve(self, request: HttpRequest) -> HttpResponseBase:
        from sunup.receipts import problems
        from sunup.receipts.service import LARGEST_REQUEST, Asked, Service, a_request, run_here
        from sunup.receipts.unit import Outcome

        method = request.method or "GET"
        key = request.META.get("HTTP_IDEMPOTENCY_KEY")
        whole = request.read(LARGEST_REQUEST + 1)
        if len(whole) > LARGEST_REQUEST:
            return _response(problems.too_large(LARGEST_REQUEST))
        length = request.META.get("CONTENT_LENGTH") or ""
        if length.isdecimal() and len(whole) < int(length):
            return _response(problems.cut_off())
        target = request.get_full_path()
        asked = Asked(
            method=method,
            host=str(request.META.get("HTTP_HOST", "")).lower(),
            target=target,
            path=request.path_info,
            keys=[] if key is None else [key],
            credentials=_credentials(request),
            content_type=request.META.get("CONTENT_TYPE", ""),
            body=whole,
        )
        service = Service(self._policy, self)
        scope = {**_scope(request), "django.request": request}
        refused = service.refused(asked)
        if refused is not None:
            return _response(refused)
        made: list[tuple[Answer, HttpResponseBase]] = []
        runs = _runs(request, whole)

        async def work() -> Outcome:
            try:
                response = self._get_response(next(runs))
            except Exception as error:  # with DEBUG_PROPAGATE_EXCEPTIONS
                return Outcome(None, error)
            answer = _answer(response)
            if not response.streaming:
                made[:] = [(answer, response)]
            return Outcome(answer)

        with a_request(method, target):
            flow = service.flow(scope, asked, blocking=True)
            if flow is None:
                return self._get_response(next(runs))
            outcome = run_here(flow.run(work))
        if outcome.error is not None:
            raise outcome.error
        if made and outcome.answer is made[0][0]:
            return made[0][1]
        assert outcome.answer is not None
        return _response(outcome.answer)

    def unit(self) -> Unit:
        """One transaction on the thread's connection."""
        return Unit(self._using)


def _credentials(request: HttpRequest) -> list[str]:
    """Headers that say who calls; of the cookies the session's, where there is one."""
    from sunup.receipts.claims import CREDENTIALS, environ_names

    cookies = request.COOKIES
    session = cookies.get(settings.SESSION_COOKIE_NAME)
    if session is None:
        others = (settings.CSRF_COOKIE_NAME, settings.LANGUAGE_COOKIE_NAME, "messages")
        said = [f"{name}={value}" for name, value in cookies.items() if name not in others]
    else:
        said = [session]
    names = [*environ_names(CREDENTIALS - {"cookie"}), "REMOTE_USER"]
    return [f"{name}: {request.META[name]}" for name in names if request.META.get(name)] + said


def _scope(request: HttpRequest) -> dict[str, Any]:
    found: dict[str, Any] = getattr(request, "scope", None) or getattr(request, "environ", {})
    return found


def _runs(request: HttpRequest, body: bytes) -> Iterator[HttpRequest]:
    """The request itself, and for each further run of the work one as it came."""
    untouched: Any = copy.copy(request)
    untouched.META = dict(request.META)
    fresh: Any = request
    while True:
        fresh._stream = io.BytesIO(body)  # noqa: SLF001
        fresh._read_started = False  # noqa: SLF001
        yield fresh
        fresh = copy.copy(untouched)
        fresh.META = dict(untouched.META)


def _answer(response: Any) -> Answer:
    content = _streamed(response) if response.streaming else response.content
    headers = [(name.lower(), value) for name, value in response.items()]
    headers += [("set-cookie", morsel.OutputString()) for morsel in response.cookies.values()]
    return Answer(response.status_code, headers, content)


def _streamed(response: Any) -> bytes:
    async def collected() -> bytes:
        return b"".join([part async for part in response])

    try:
        return async_to_sync(collected)() if response.is_async else b"".join(response)
    finally:
        # Not `close()`: the request goes on.
        for close in response._resource_closers:  # noqa: SLF001
            close()


def _response(answer: Answer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status)
    del response["Content-Type"]
    cookies = []
    for name, value in answer.headers:
        if name == "set-cookie":
            cookies.append(value)
        else:
            response[name] = value
    for each in cookies:
        response.cookies.load(each)
    return response
