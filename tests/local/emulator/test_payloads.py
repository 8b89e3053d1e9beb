import base64
import json
from typing import Any

import pytest

from sunup.local.emulator.payloads import event_1, event_2
from sunup.local.emulator.results import response
from tests.adapter import formats


def scope(**changes: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "http_version": "1.1",
        "raw_path": b"/a%2Fb/caf%C3%A9",
        "query_string": b"a=1&a=2&b=%20",
        "headers": [
            (b"host", b"localhost:3000"),
            (b"accept", b"text/html"),
            (b"accept", b"text/plain"),
            (b"cookie", b"x=1; y=2"),
            (b"content-type", b"application/json"),
        ],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 3000),
        **changes,
    }


def test_payload_2_is_as_api_gateway_makes_it() -> None:
    event = event_2(scope(), b'{"n": 1}', 1800000000.5)
    assert event["version"] == "2.0"
    assert event["rawPath"] == "/a/b/café"
    assert event["rawQueryString"] == "a=1&a=2&b=%20"
    assert event["queryStringParameters"] == {"a": "1,2", "b": " "}
    assert event["cookies"] == ["x=1", "y=2"]
    assert "cookie" not in event["headers"]
    assert event["headers"]["accept"] == "text/html,text/plain"
    assert (event["body"], event["isBase64Encoded"]) == ('{"n": 1}', False)
    context = event["requestContext"]
    assert context["timeEpoch"] == 1800000000500
    assert context["time"] == "15/Jan/2027:08:00:00 +0000"
    assert context["http"] == {
        "method": "POST",
        "path": "/a/b/café",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "",
    }


def test_what_is_absent_is_left_out() -> None:
    event = event_2(scope(query_string=b"", headers=[]), b"", 0)
    assert not {"body", "cookies", "queryStringParameters"} & set(event)


def test_payload_1_keeps_repeated_headers_and_parameters() -> None:
    event = event_1(scope(), b"", 1800000000)
    assert event["multiValueHeaders"]["accept"] == ["text/html", "text/plain"]
    assert event["headers"]["accept"] == "text/plain"
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [" "]}
    assert event["body"] is None
    assert event["requestContext"]["requestTimeEpoch"] == 1800000000000


@pytest.mark.parametrize("make", [event_1, event_2])
def test_the_adapter_reads_back_what_was_sent(make: Any) -> None:
    for body in (b"", b'{"n": "\xc3\xa4"}', b"\xff\x00"):
        call = formats.parse(json.loads(json.dumps(make(scope(), body, 0))))
        assert (call.method, call.path, call.body) == ("POST", "/a/b/caf%C3%A9", body)
        assert ("cookie", "x=1; y=2") in call.headers


def test_a_response_is_read_in_both_formats() -> None:
    status, headers, body = response(
        json.dumps(
            {"statusCode": 201, "headers": {"X-A": "1"}, "cookies": ["a=1", "b=2"], "body": "ä"}
        ).encode()
    )
    assert (status, body) == (201, "ä".encode())
    assert (b"x-a", b"1") in headers
    assert headers.count((b"set-cookie", b"b=2")) == 1
    _, headers, body = response(
        json.dumps(
            {
                "statusCode": 200,
                "multiValueHeaders": {"a": ["1", "2"]},
                "body": base64.b64encode(b"\xff").decode(),
                "isBase64Encoded": True,
            }
        ).encode(),
        version_2=False,
    )
    assert [value for name, value in headers if name == b"a"] == [b"1", b"2"]
    assert body == b"\xff"
    with pytest.raises(ValueError, match="no statusCode"):
        response(b'{"n": 1}', version_2=False)


def test_anything_without_a_status_is_the_body_of_a_200() -> None:
    assert response(b'{"n": 1}')[0] == 200
    assert response(b'{"n": 1}')[2] == b'{"n": 1}'
    assert response(b'"text"')[2] == b'"text"'


@pytest.mark.parametrize(
    "body", [b"{", b'{"statusCode": "x"}', b'{"statusCode": 99}', b'{"statusCode": 200, "body": 1}', b'{"statusCode": 200, "body": "%", "isBase64Encoded": true}']
)  # fmt: skip
def test_a_malformed_response_is_an_error(body: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        response(body)


@pytest.mark.parametrize(
    "field", ['"body": "\\ud800"', '"headers": {"x": "\\ud800"}', '"cookies": ["\\ud800"]']
)
def test_text_that_is_no_unicode_is_malformed(field: str) -> None:
    """From Python 3.12 on the runtime client itself fails to send it."""
    with pytest.raises(ValueError, match="surrogates not allowed"):
        response(f'{{"statusCode": 200, {field}}}'.encode())
