"""How an ASGI app may behave, and misbehave; the scope by asgiref's own types."""

import asyncio
import base64
import json
import time
from functools import partial
from typing import Any, cast, get_type_hints

import pytest
from asgiref.typing import ASGIVersions, HTTPScope
from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from sunup.adapter.handler import Handler
from sunup.adapter.loading import interface_of

from .test_events import event_1, event_2
from .test_handler import Context, Make, make, reply

__all__ = ["make"]

START = {"type": "http.response.start", "status": 200, "headers": [(b"x-first", b"1")]}
BODY = {"type": "http.response.body", "body": b"ok"}


def sends(*messages: dict[str, Any]) -> Any:
    async def app(scope: dict[str, Any], _: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        for message in messages:
            await send(message)

    return app


@pytest.mark.parametrize(
    "messages",
    [
        (START, BODY, BODY | {"body": b"more"}),
        (START, BODY, START | {"status": 500}, BODY),
        (START, START | {"status": 500, "headers": []}, BODY),
        (START, BODY | {"more_body": True}, START | {"status": 404}, BODY | {"body": b""}),
        (START, BODY, {"type": "http.response.trailers"}),
    ],
)
def test_what_comes_too_late_or_twice_changes_nothing(make: Make, messages: Any) -> None:
    response = make(sends(*messages))(event_2(), Context())
    assert (response["statusCode"], response["headers"]) == (200, {"x-first": "1"})
    assert response["body"] == "b2s="


@pytest.mark.parametrize(
    "messages",
    [
        (BODY,),
        (START,),
        (START, BODY | {"more_body": True}),
        (),
        (START | {"status": "200"}, BODY),
        (START | {"headers": [("x-text", "1")]}, BODY),
        (START | {"headers": [(b"x-number", 1)]}, BODY),
        (START | {"headers": [(b"x-alone",)]}, BODY),
        (START | {"headers": [(b"x-a", b"b\r\nc: d")]}, BODY),
        (START, BODY | {"body": "text"}),
        (START, BODY | {"body": 5}),
        (START, {"type": "http.response.unknown"}, BODY),
        (START | {"status": 99}, BODY),
    ],
)
def test_what_a_server_would_refuse_is_a_500_and_the_next_request_is_served(
    make: Make, messages: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = [True]

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and not broken:
            await reply(send)
            return
        broken.clear()
        await sends(*messages)(scope, receive, send)

    handler = make(app, lifespan="off")
    response = handler(event_2(), Context())
    assert (response["statusCode"], response["body"]) == (500, '{"error": "Internal Server Error"}')
    assert " ERROR " in capfd.readouterr().err
    assert handler(event_2(), Context())["statusCode"] == 200


def test_a_cancellation_of_the_app_s_own_is_a_500_and_the_next_request_is_served(
    make: Make,
) -> None:
    calls: list[int] = []

    async def app(_: dict[str, Any], __: Any, send: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise asyncio.CancelledError
        if len(calls) == 2:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        await reply(send)

    handler = make(app, lifespan="off")
    codes = [handler(event_2(), Context())["statusCode"] for _ in range(3)]
    assert codes == [500, 500, 200]


@pytest.mark.parametrize("event", [event_2, event_1])
def test_the_scope_is_as_asgiref_types_it(make: Make, event: Any) -> None:
    found: list[dict[str, Any]] = []

    async def app(scope: dict[str, Any], _: Any, send: Any) -> None:
        found.append(scope)
        await reply(send)

    given, context = event(headers={"x-city": "Łódź"}), Context()
    make(app, lifespan="off")(given, context)
    scope = found[0]
    assert scope.pop("aws.event") is given
    assert scope.pop("aws.context") is context
    hints = get_type_hints(HTTPScope, include_extras=True)
    # pydantic knows no other before 3.12.
    make_type: Any = TypedDict
    hints["asgi"] = make_type("asgi", get_type_hints(ASGIVersions))
    typed = make_type("typed", hints)
    strict = with_config(ConfigDict(strict=True, extra="forbid"))(typed)
    # Optional by the specification, required by the type.
    scope |= {"extensions": None}
    TypeAdapter(strict).validate_python(scope)
    assert (b"x-city", "Łódź".encode()) in scope["headers"]
    assert [name for name, _ in scope["headers"]] == [name.lower() for name, _ in scope["headers"]]


def test_a_call_without_a_context_works(make: Make) -> None:
    handler = make(sends(START, BODY), lifespan="off", events=lambda event, _: event["n"])
    assert handler(event_2(), None)["statusCode"] == 200
    assert handler(event_2(), cast(Any, {}))["statusCode"] == 200
    assert handler(event_2())["statusCode"] == 200
    assert handler({"n": 1}, None) == 1


def lifespan(step: str, message: dict[str, Any] | None, error: Exception | None) -> Any:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await reply(send)
            return
        while (await receive())["type"] != f"lifespan.{step}":
            await send({"type": "lifespan.startup.complete"})
        if message is not None:
            await send(message)
        if error is not None:
            raise error

    return app


def test_a_failed_startup_is_logged_with_its_cause(capfd: pytest.CaptureFixture[str]) -> None:
    failed = {"type": "lifespan.startup.failed", "message": "no licence"}
    cause = LookupError("the licence server")
    with pytest.raises(RuntimeError, match="startup failed: no licence") as caught:
        Handler(lifespan("startup", failed, cause))
    assert caught.value.__cause__ is cause
    assert "the licence server" in capfd.readouterr().err


def test_a_startup_that_raises_is_absent_or_a_failure_as_the_lifespan_says(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    app = lifespan("startup", None, LookupError("why"))
    assert make(app)(event_2(), Context())["statusCode"] == 200
    logged = capfd.readouterr().err
    assert "going on as if the app had no lifespan" in logged
    assert "LookupError: why" in logged
    assert make(app, lifespan="off")(event_2(), Context())["statusCode"] == 200
    with pytest.raises(RuntimeError, match="startup failed"):
        make(app, lifespan="on")
    with pytest.raises(RuntimeError, match="startup failed: it returned without an answer"):
        make(sends(START, BODY), lifespan="on")


def test_an_app_without_a_lifespan_is_no_reason_for_a_log_line(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    make(sends(START, BODY))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "message", [None, {"type": "lifespan.shutdown.failed", "message": "stuck"}]
)
def test_a_failed_shutdown_is_logged_with_its_cause(
    message: dict[str, Any] | None, capfd: pytest.CaptureFixture[str]
) -> None:
    handler = Handler(lifespan("shutdown", message, LookupError("why")))
    with pytest.raises(RuntimeError, match="shutdown failed"):
        handler.close()
    assert "LookupError: why" in capfd.readouterr().err


async def asynchronous(scope: Any, receive: Any, send: Any) -> None:
    await reply(send)


def hands_on(scope: Any, receive: Any, send: Any) -> Any:
    return asynchronous(scope, receive, send)


class Awaited:
    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self._send = send

    def __await__(self) -> Any:
        return reply(self._send).__await__()


class WithMethod:
    def app(self, scope: Any, receive: Any, send: Any) -> Any:
        return asynchronous(scope, receive, send)


def wsgi(environ: Any, start_response: Any, *, debug: bool = False) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]


def test_asgi_is_told_by_how_it_is_called(make: Make) -> None:
    for app in (
        asynchronous, hands_on, Awaited, WithMethod().app, partial(hands_on),
        lambda scope, receive, send: asynchronous(scope, receive, send),
    ):  # fmt: skip
        assert interface_of(app) == "asgi"
        assert make(app, lifespan="off")(event_2(), Context())["body"] == "ok"
    for each in (wsgi, partial(wsgi, debug=True), lambda environ, start: wsgi(environ, start)):
        assert interface_of(each) == "wsgi"
        assert make(each)(event_2(), Context())["body"] == "ok"


def test_a_bad_request_is_told_and_logged(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    response = make(asynchronous)(event_2(headers={"x": "a\nb"}), Context())
    assert response["statusCode"] == 400
    assert json.loads(response["body"]) == {"error": "the header x has a control character"}
    assert "the header x has a control character" in capfd.readouterr().err


def test_a_lifespan_that_is_none_of_the_three_is_refused() -> None:
    with pytest.raises(ValueError, match="expected auto, on or off"):
        Handler(asynchronous, lifespan=cast(Any, "bogus"))


class Own(BaseException):
    pass


class Bytes(bytes):
    pass


async def completes(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": Bytes(b"whole")})


async def raises_then(scope: Any, receive: Any, send: Any) -> None:
    await completes(send)
    raise Own


async def cancels_itself_then(scope: Any, receive: Any, send: Any) -> None:
    await completes(send)
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


@pytest.mark.parametrize("app", [raises_then, cancels_itself_then])
def test_what_happens_after_a_whole_response_does_not_take_it_back(make: Make, app: Any) -> None:
    handler = make(app, lifespan="off")
    for _ in range(2):
        answer = handler(event_2(), None)
        assert answer["statusCode"] == 200
        assert base64.b64decode(answer["body"]) == b"whole"


@pytest.mark.parametrize("name", ["\u212aey", "set-coo\u212aie"])
def test_a_letter_that_is_lower_case_ascii_elsewhere_makes_no_valid_name(
    make: Make, name: str
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(name.encode(), b"x")] if scope["path"] == "/bad" else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    handler = make(app, lifespan="off")
    assert handler(event_2(rawPath="/bad"), None)["statusCode"] == 500
    assert handler(event_2(), None)["statusCode"] == 200


ENDS = {
    "at once": "raise SystemExit(3)",
    "when asked": "await receive(); raise SystemExit(3)",
    "interrupted": "await receive(); raise KeyboardInterrupt",
}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("mode", ["auto", "on"])
def test_a_startup_that_ends_the_process_ends_init_at_once(how: str, mode: str) -> None:
    names: dict[str, Any] = {}
    exec(f"async def app(scope, receive, send): {ENDS[how]}", names)
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="startup failed") as raised:
        Handler(names["app"], lifespan=mode)  # type: ignore[arg-type]
    assert time.monotonic() - began < 2
    assert isinstance(raised.value.__cause__, SystemExit | KeyboardInterrupt)


@pytest.mark.parametrize("how", ["raise SystemExit(3)", "asyncio.get_running_loop().stop()"])
def test_an_app_that_ends_the_loop_in_the_background_does_not_end_the_next_request(
    make: Make, how: str
) -> None:
    names: dict[str, Any] = {"asyncio": asyncio}
    exec(f"async def ends(): {how}", names)
    tasks = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            tasks.append(asyncio.create_task(names["ends"]()))
            await asyncio.sleep(0.05)
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await completes(send)

    began = time.monotonic()
    handler = make(app, lifespan="on")
    for _ in range(2):
        assert handler(event_2(), None)["statusCode"] == 200
    assert time.monotonic() - began < 2
    if tasks[0].done() and not tasks[0].cancelled():
        tasks[0].exception()


@pytest.mark.parametrize(("body", "expected"), [("hello", b"5"), ("", None)])
def test_a_body_without_a_length_gets_one(make: Make, body: str, expected: bytes | None) -> None:
    """Django reads no form without it."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(scope["headers"]).get(b"content-length"))
        await completes(send)

    event = event_2(body=body, headers={}, isBase64Encoded=False)
    assert make(app, lifespan="off")(event, None)["statusCode"] == 200
    assert seen == [expected]


def test_a_handler_that_is_called_within_its_own_app_is_an_error(make: Make) -> None:
    handlers: list[Handler] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/again":
            handlers[0](event_2(rawPath="/"), None)
        await completes(send)

    handlers.append(make(app, lifespan="off"))
    for _ in range(2):
        began = time.monotonic()
        inner = handlers[0](event_2(rawPath="/again"), None)
        assert time.monotonic() - began < 2
        assert inner["statusCode"] in (200, 500)
        assert handlers[0](event_2(rawPath="/"), None)["statusCode"] == 200


def test_optional_parameters_of_an_asgi_app_are_told_by_its_scope() -> None:
    def app(scope: Any, receive: Any, send: Any = None) -> None: ...
    def other(environ: Any, start_response: Any, debug: bool = False) -> None: ...

    assert (interface_of(app), interface_of(other)) == ("asgi", "wsgi")
