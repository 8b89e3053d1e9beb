from wsgiref.validate import validator

import pytest

from sunup.adapter.http import Call
from sunup.adapter.wsgi import WsgiRunner, environ


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
