"""What of an answer is sent to Lambda, and what cannot be sent."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from sunup.adapter.api_gateway import LAMBDA_LIMIT
from sunup.adapter.events import format_of
from sunup.adapter.handler import Handler
from sunup.adapter.http import Answer, Headers
from sunup.adapter.sending import Sender

from .test_events import event_1, event_2
from .test_load_balancer import event as balancer_event
from .test_load_balancer import many as many_valued

TEXT = ("content-type", "text/plain; charset=utf-8")


def send(answer: Answer, method: str = "GET", event: Any = None, **options: Any) -> dict[str, Any]:
    event = event or event_2()
    form = format_of(event)
    assert form is not None
    return Sender(**options).send(form, answer, method)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_what_has_no_body_is_sent_without_one(method: str, status: int) -> None:
    headers = [TEXT, ("content-length", "5"), ("etag", '"a"')]
    response = send(Answer(status, headers, b"Hello"), method)
    assert (response["statusCode"], response["body"]) == (status, "")
    assert response["headers"]["etag"] == '"a"'
    # What a GET would have had; but a 204 has no length at all.
    assert response["headers"].get("content-length") == (None if status == 204 else "5")


@pytest.mark.parametrize("status", [0, 99, 100, 199, 600, 1000, -1, None, "200", 200.0, True])
def test_a_status_that_is_none_is_a_500_with_a_log_line(
    status: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert send(Answer(status))["statusCode"] == 500
    assert f"its status is {status!r}" in caplog.text


@pytest.mark.parametrize(
    "pair",
    [
        ("x-a", "b\r\nset-cookie: c=1"),
        ("x-a", "nul \0"),
        ("x-a", "\x7f"),
        ("x a", "b"),
        ("", "b"),
        ("x-a\r\nb", "c"),
        ("x:a", "b"),
        ("ü", "b"),
    ],
)
def test_a_header_that_would_be_another_is_a_500_with_a_log_line(
    pair: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    response = send(Answer(200, [TEXT, pair], b"secret"))
    assert (response["statusCode"], set(response["headers"])) == (
        500, {"content-type", "content-length"},
    )  # fmt: skip
    assert "the response cannot be sent" in caplog.text
    assert "secret" not in caplog.text


def test_headers_are_sent_as_text_whatever_their_bytes_were() -> None:
    headers: Headers = [
        ("x-city", "Łódź"),
        ("x-latin", b"M\xfcnchen".decode("utf-8", "surrogateescape")),
        ("x-tab", "a\tb"),
    ]
    response = send(Answer(200, headers))
    assert response["headers"] == {"x-city": "Łódź", "x-latin": "München", "x-tab": "a\tb"}
    json.dumps(response, ensure_ascii=False).encode()


def sized(length: int, unit: str = "x") -> Answer:
    return Answer(200, [TEXT], (unit * length).encode())


def size(response: dict[str, Any]) -> int:
    """As awslambdaric writes it."""
    return len(json.dumps(response, ensure_ascii=sys.version_info < (3, 12)).encode())


@pytest.mark.parametrize("unit", ["x", '"', "\x01", "ü", "あ", "😀"])
def test_the_limit_counts_what_is_sent_to_lambda(
    unit: str, caplog: pytest.LogCaptureFixture
) -> None:
    empty = size(send(sized(0)))
    each = size(send(sized(1, unit))) - empty
    most = (LAMBDA_LIMIT - empty) // each
    fits = send(sized(most, unit))
    assert fits["statusCode"] == 200
    assert LAMBDA_LIMIT - each < size(fits) <= LAMBDA_LIMIT
    response = send(sized(most + 1, unit))
    assert (response["statusCode"], response["body"]) == (500, '{"error": "Internal Server Error"}')
    assert "at most 6,291,556 can be sent" in caplog.text


def test_base64_and_headers_count_too() -> None:
    binary = Answer(200, [("content-type", "image/png")], b"\0" * (LAMBDA_LIMIT * 3 // 4))
    assert send(binary)["statusCode"] == 500
    assert send(Answer(200, [("x-long", "x" * LAMBDA_LIMIT)]))["statusCode"] == 500
    assert send(Answer(200, [(f"x-{n:06}", "x" * 60) for n in range(90_000)]))["statusCode"] == 500


def test_a_load_balancer_takes_one_megabyte() -> None:
    response = send(sized(1024 * 1024), event=balancer_event())
    assert (response["statusCode"], response["statusDescription"]) == (
        500, "500 Internal Server Error",
    )  # fmt: skip
    assert send(sized(1024 * 1024 - 1000), event=balancer_event())["statusCode"] == 200


def test_more_types_go_as_text_and_headers_are_left_out() -> None:
    picture = ("content-type", "image/svg+xml; charset=utf-8")
    own = ("content-type", "application/x-own")
    assert send(Answer(200, [picture], b"<svg/>"))["isBase64Encoded"] is False
    assert send(Answer(200, [own], b"own"))["isBase64Encoded"] is True
    options: dict[str, Any] = {
        "text_types": ("application/x-own",),
        "excluded": frozenset({"server"}),
    }
    response = send(Answer(200, [own, ("server", "mine")], b"own"), **options)
    assert response == {
        "statusCode": 200,
        "headers": {"content-type": "application/x-own"},
        "body": "own",
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize("event", [event_2, event_1, balancer_event, many_valued])
@pytest.mark.parametrize("spare", [0, 1, 2, 50, 100, 200, 400])
def test_nothing_over_the_limit_gets_out_whatever_stands_around_the_body(
    event: Any, spare: int
) -> None:
    form = format_of(event())
    assert form is not None
    for status in (200, 511):
        body = b"\0" * ((form.limit - spare) // 6)
        response = send(Answer(status, [("content-type", "text/")], body), event=event())
        assert size(response) <= form.limit
    empty = Answer(200, [("set-cookie", "")] * (form.limit // 4), b"")
    assert size(send(empty, event=event())) <= form.limit


def test_whatever_an_app_has_made_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    for answer in (
        Answer(10**5000),
        Answer(200, [(b"a", "b")]),  # type: ignore[list-item]
        Answer(200, [("a", b"b")]),  # type: ignore[list-item]
        Answer(200, [("content-type", "text/plain")], "text"),  # type: ignore[arg-type]
    ):
        caplog.clear()
        assert send(answer)["statusCode"] == 500
        assert "the response cannot be sent" in caplog.text


def test_names_that_are_known_already_count_too() -> None:
    """A second answer with the same long names, and a body of which each byte is an escape."""
    room = LAMBDA_LIMIT - 300 - 48 - 72
    for _ in range(3):
        names: Headers = [(f"x-{number}-{'n' * 91}", "") for number in range(4)]
        response = send(Answer(200, [TEXT, *names], b"\x01" * (room // 6)))
        assert size(response) <= LAMBDA_LIMIT


def test_a_balancer_is_answered_as_it_asked_whatever_the_app_does_to_the_event() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["aws.event"].clear()
        start_response("200 OK", [("X-A", "b")])
        return []

    handler = Handler(app)
    for asked, field in ((balancer_event(), "headers"), (many_valued(), "multiValueHeaders")):
        answer = handler(asked, None)
        assert answer["statusCode"] == 200
        assert set(answer[field]) == {"x-a"}


@pytest.mark.parametrize(
    "name", ["transfer-encoding", "connection", "keep-alive", "upgrade", "trailer", "te"]
)
def test_headers_of_a_connection_that_the_app_does_not_have_are_not_sent(name: str) -> None:
    for _ in range(2):
        response = send(Answer(200, [TEXT, (name, "chunked"), ("x-a", "b")], b"Hello"))
        assert response["headers"] == {TEXT[0]: TEXT[1], "x-a": "b"}


@pytest.mark.parametrize("runtime", ["AWS_Lambda_Image", "AWS_Lambda_python3.13"])
def test_the_limit_counts_as_the_runtime_client_of_the_same_environment_writes(
    runtime: str,
) -> None:
    """awslambdaric itself is asked; in an image it escapes what is not ASCII."""
    code = """if True:
        import json
        from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller
        from sunup.adapter.sending import _size
        made = {"statusCode": 200, "body": "\u0142" * 1000 + "\U0001f600"}
        written = LambdaMarshaller().marshal_response(made)
        written = written[0] if isinstance(written, tuple) else written
        print(_size(made), len(written.encode() if isinstance(written, str) else written))
    """
    environ = {**os.environ, "AWS_EXECUTION_ENV": runtime}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    ours, theirs = map(int, done.stdout.split())
    if runtime == "AWS_Lambda_python3.13" and sys.version_info < (3, 12):
        assert ours >= theirs  # a managed 3.13 runs no 3.11
    else:
        assert ours == theirs
