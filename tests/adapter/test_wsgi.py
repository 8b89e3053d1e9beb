import base64
import sys
from collections.abc import Iterator
from typing import Any
from wsgiref.validate import validator

import flask
import pytest

from sunup.adapter.handler import Handler
from sunup.adapter.http import Call
from sunup.adapter.wsgi import WsgiRunner, environ
from sunup.failures import ConnectionLost

from .test_events import event_1, event_2


def call(**changes: object) -> Call:
    values: dict[str, object] = {
        "method": "GET",
        "path": "/prod/caf%C3%A9%2Fx",
        "root_path": "/prod",
        "query": "a=1",
        "headers": [("accept", "a"), ("accept", "b"), ("cookie", "x=1"), ("cookie", "y=2")],
    }
    return Call(**{**values, **changes})  # type: ignore[arg-type]


def test_the_environ_is_pep_3333_s() -> None:
    fields = environ(call(headers=[*call().headers, ("content-type", "text/plain")], body=b"12"))
    assert fields["SCRIPT_NAME"] == "/prod"
    assert fields["PATH_INFO"].encode("latin-1").decode() == "/café/x"
    assert fields["HTTP_ACCEPT"] == "a,b"
    assert fields["HTTP_COOKIE"] == "x=1; y=2"
    assert fields["CONTENT_TYPE"] == "text/plain"
    assert fields["CONTENT_LENGTH"] == "2"


def test_a_validating_server_finds_no_fault() -> None:
    def app(fields: dict[str, object], start_response: object) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])  # type: ignore[operator]
        return [b"fine"]

    answer = WsgiRunner(validator(app))(call(path="/x", root_path=""))
    assert answer.status == 200
    assert answer.body == b"fine"


def test_the_body_is_closed_also_when_it_fails() -> None:
    closed: list[bool] = []

    class Body:
        def __iter__(self) -> "Body":
            return self

        def __next__(self) -> bytes:
            raise OSError("broken")

        def close(self) -> None:
            closed.append(True)

    def app(_: object, start_response: object) -> Body:
        start_response("200 OK", [])  # type: ignore[operator]
        return Body()

    with pytest.raises(OSError, match="broken"):
        WsgiRunner(app)(call())
    assert closed == [True]


def test_written_bytes_come_first() -> None:
    def app(_: object, start_response: object) -> list[bytes]:
        write = start_response("200 OK", [])  # type: ignore[operator]
        write(b"one ")
        return [b"two"]

    assert WsgiRunner(app)(call()).body == b"one two"


def test_an_app_that_never_starts_its_response_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="without calling start_response"):
        WsgiRunner(lambda _, __: [])(call())


def test_headers_with_an_underscore_do_not_reach_the_app() -> None:
    headers = [("x_user", "admin"), ("x-user", "anna"), ("content_length", "9"), ("x__a", "1")]
    fields = environ(call(headers=headers))
    assert fields["HTTP_X_USER"] == "anna"
    assert fields["CONTENT_LENGTH"] == "0"
    assert not [name for name in fields if name.startswith("HTTP_X__") or name == "-"]


def test_text_that_is_not_ascii_is_utf_8_in_latin_1() -> None:
    fields = environ(call(headers=[("x-city", "Łódź"), ("cookie", "stadt=Köln")]))
    assert fields["HTTP_X_CITY"].encode("latin-1").decode() == "Łódź"
    assert fields["HTTP_COOKIE"].encode("latin-1").decode() == "stadt=Köln"

    def app(_: object, start_response: object) -> list[bytes]:
        start_response("200 OK", [("X-City", "Łódź".encode().decode("latin-1"))])  # type: ignore[operator]
        return []

    assert WsgiRunner(app)(call()).headers == [("x-city", "Łódź")]


def fails_after(*parts: bytes) -> Any:
    def app(_: object, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("X-First", "1")])
        yield from parts
        try:
            raise LookupError("late")  # noqa: TRY301
        except LookupError:
            start_response("500 Oh", [("X-Second", "2")], sys.exc_info())
        yield b"error page"

    return app


def test_a_response_may_be_started_anew_until_there_is_output() -> None:
    answer = WsgiRunner(fails_after(b""))(call())
    assert (answer.status, answer.headers, answer.body) == (500, [("x-second", "2")], b"error page")
    with pytest.raises(LookupError, match="late"):
        WsgiRunner(fails_after(b"output"))(call())


def test_a_second_start_without_a_reason_is_an_error() -> None:
    def app(_: object, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    with pytest.raises(RuntimeError, match="called twice"):
        WsgiRunner(app)(call())


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_validating_server_finds_no_fault_around_the_whole_adapter(method: str) -> None:
    def app(fields: dict[str, Any], start_response: Any) -> list[bytes]:
        fields["wsgi.input"].read(int(fields["CONTENT_LENGTH"]))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [] if fields["REQUEST_METHOD"] == "HEAD" else [b"fine"]

    handler = Handler(validator(app))
    for event in (event_1(httpMethod=method, body="x"), event_2(cookies=["ä=ö"])):
        assert handler(event, None)["statusCode"] == 200


@pytest.mark.parametrize("pair", [("a", b"b"), (b"a", "b"), ("a", None)])
def test_headers_that_are_not_text_are_a_500_and_the_next_request_is_served(pair: Any) -> None:
    headers = [pair]

    def app(_: object, start_response: Any) -> list[bytes]:
        start_response("200 OK", [headers.pop()] if headers else [])
        return []

    handler = Handler(app)
    assert [handler(event_2(), None)["statusCode"] for _ in range(2)] == [500, 200]


class Closes:
    """A body whose clean-up fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield b"whole"

    def close(self) -> None:
        raise self._error


def test_a_clean_up_that_fails_after_the_whole_response_is_logged_and_the_response_stands(
    capfd: pytest.CaptureFixture[str],
) -> None:
    errors: list[Exception] = [ValueError("in close"), ConnectionLost("in close")]

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Closes(errors.pop(0)) if errors else [b"whole"]

    handler = Handler(app)
    assert handler(event_2(), None)["body"] == "whole"
    assert "ValueError: in close" in capfd.readouterr().err
    # What the database could not do is another matter: a COMMIT, perhaps.
    assert handler(event_2(), None)["statusCode"] in (500, 503)
    assert handler(event_2(), None)["statusCode"] == 200


@pytest.mark.parametrize("headers", [{}, {"transfer-encoding": "chunked"}, {"content-length": "0"}])
def test_flask_reads_a_body_that_came_without_a_length(headers: dict[str, str]) -> None:
    app = flask.Flask("x")

    @app.post("/")
    def echo() -> bytes:
        return flask.request.get_data()

    event = event_2(rawPath="/", body="hello", headers=headers, isBase64Encoded=False)
    event["requestContext"]["http"]["method"] = "POST"
    answer = Handler(app)(event, None)
    body = answer["body"]
    assert (base64.b64decode(body).decode() if answer["isBase64Encoded"] else body) == "hello"
