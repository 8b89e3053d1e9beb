import base64
from typing import Any

import pytest

from sunup.adapter.event_parts import BadEvent
from sunup.adapter.events import UnknownEvent
from sunup.adapter.http import Answer

from . import formats


def event_2(**changes: Any) -> dict[str, Any]:
    """As in the API Gateway Developer Guide, payload format version 2.0."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/my/path",
        "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=value",
        "cookies": ["cookie1=a", "cookie2=b"],
        "headers": {"header1": "value1", "header2": "value1,value2", "host": "id.example.com"},
        "requestContext": {
            "domainName": "id.execute-api.us-east-1.amazonaws.com",
            "http": {
                "method": "POST",
                "path": "/my/path",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "agent",
            },
            "requestId": "id",
            "stage": "$default",
            "timeEpoch": 1583348638390,
        },
        "body": "Hello",
        "isBase64Encoded": False,
    }
    context = {**event["requestContext"], **changes.pop("requestContext", {})}
    return {**event, **changes, "requestContext": context}


def event_1(**changes: Any) -> dict[str, Any]:
    """As in the same guide, payload format version 1.0."""
    event: dict[str, Any] = {
        "version": "1.0",
        "resource": "/my/path",
        "path": "/my/path",
        "httpMethod": "GET",
        "headers": {"header1": "value2"},
        "multiValueHeaders": {"header1": ["value1", "value2"], "Host": ["id.example.com"]},
        "queryStringParameters": {"parameter1": "value2"},
        "multiValueQueryStringParameters": {"parameter1": ["value1", "value 2"], "p2": ["v"]},
        "requestContext": {
            "domainName": "id.execute-api.us-east-1.amazonaws.com",
            "httpMethod": "GET",
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "agent"},
            "path": "/my/path",
            "requestTimeEpoch": 1583349317135,
            "stage": "$default",
        },
        "body": None,
        "isBase64Encoded": False,
    }
    context = {**event["requestContext"], **changes.pop("requestContext", {})}
    return {**event, **changes, "requestContext": context}


def test_payload_2_is_read() -> None:
    call = formats.parse(event_2())
    assert (call.method, call.path, call.body) == ("POST", "/my/path", b"Hello")
    assert call.query == b"parameter1=value1&parameter1=value2&parameter2=value"
    assert (b"cookie", b"cookie1=a; cookie2=b") in call.headers
    assert (b"header2", b"value1,value2") in call.headers
    assert call.client == ("192.0.2.1", 0)
    assert (call.scheme, call.server) == ("https", ("id.example.com", 443))
    assert call.gateway_started_ms == 1583348638390


def test_payload_1_is_read_with_repeated_headers_and_parameters() -> None:
    call = formats.parse(event_1())
    assert (call.method, call.path, call.body) == ("GET", "/my/path", b"")
    assert call.query == b"parameter1=value1&parameter1=value+2&p2=v"
    assert call.headers.count((b"header1", b"value1")) == 1
    assert call.headers.count((b"header1", b"value2")) == 1
    assert call.gateway_started_ms == 1583349317135


def test_payload_1_without_the_multi_value_fields_is_read() -> None:
    call = formats.parse(event_1(multiValueHeaders=None, multiValueQueryStringParameters=None))
    assert call.headers == [(b"header1", b"value2")]
    assert call.query == b"parameter1=value2"


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/a%2Fb", "/a%2Fb"),
        ("/a b", "/a%20b"),
        ("/é", "/%C3%A9"),
        ("", "/"),
        ("/100%25", "/100%25"),
        ("/a;b=1,2:@!$&'()*+~", "/a;b=1,2:@!$&'()*+~"),
    ],
)
def test_a_path_keeps_its_encoding_and_gets_one_where_it_has_none(raw: str, path: str) -> None:
    assert formats.parse(event_2(rawPath=raw)).path == path


def test_a_stage_is_a_prefix() -> None:
    prod = formats.parse(event_2(rawPath="/prod/users", requestContext={"stage": "prod"}))
    assert (prod.root_path, prod.path) == ("/prod", "/prod/users")
    mapped = formats.parse(event_2(rawPath="/production", requestContext={"stage": "prod"}))
    assert mapped.root_path == ""
    one = formats.parse(
        event_1(path="/users", requestContext={"stage": "prod", "path": "/prod/users"})
    )
    assert (one.root_path, one.path) == ("/prod", "/prod/users")


def test_a_cookie_header_is_not_doubled() -> None:
    call = formats.parse(event_2(headers={"cookie": "cookie1=a; cookie2=b"}))
    assert [name for name, _ in call.headers].count(b"cookie") == 1


def test_binary_bodies_are_decoded() -> None:
    body = base64.b64encode(bytes(range(256))).decode()
    assert formats.parse(event_2(body=body, isBase64Encoded=True)).body == bytes(range(256))


def test_a_function_url_has_no_gateway_that_gives_up() -> None:
    context = {"domainName": "abc.lambda-url.eu-central-1.on.aws"}
    assert formats.parse(event_2(requestContext=context)).gateway_started_ms is None


@pytest.mark.parametrize(
    "changes",
    [
        {"body": "%%%", "isBase64Encoded": True},
        {"body": "abc", "isBase64Encoded": True},
        {"headers": {"näme": "value"}},
        {"headers": {"name": "日本"}},
    ],
)
def test_what_cannot_be_passed_on_is_a_bad_event(changes: dict[str, Any]) -> None:
    with pytest.raises(BadEvent):
        formats.parse(event_2(**changes))


@pytest.mark.parametrize(
    "event", [{"Records": []}, {}, [], None, "x", {"requestContext": {}, "path": "/"}]
)  # fmt: skip
def test_other_events_are_a_clear_error(event: object) -> None:
    with pytest.raises(UnknownEvent, match="not an HTTP request from API Gateway"):
        formats.parse(event)


def test_a_response_of_payload_2_has_cookies_apart_and_joined_headers() -> None:
    answer = Answer(
        200,
        [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"vary", b"accept"),
            (b"vary", b"cookie"),
        ],
        "ü".encode(),
    )
    assert formats.encode(event_2(), answer) == {
        "statusCode": 200,
        "headers": {"content-type": "text/plain; charset=utf-8", "vary": "accept, cookie"},
        "cookies": ["a=1", "b=2"],
        "body": "ü",
        "isBase64Encoded": False,
    }


def test_a_response_of_payload_1_has_lists_of_headers() -> None:
    answer = Answer(204, [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")])
    assert formats.encode(event_1(), answer) == {
        "statusCode": 204,
        "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]},
        "body": "",
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-type", b"image/png")],
        [],
        [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")],
        [(b"content-type", b"text/plain; charset=latin-1")],
    ],
)
def test_what_is_not_plain_utf_8_text_goes_in_base64(headers: list[tuple[bytes, bytes]]) -> None:
    response = formats.encode(event_2(), Answer(200, headers, b"\xff\x00\xfc"))
    assert response["isBase64Encoded"] is True
    assert base64.b64decode(response["body"]) == b"\xff\x00\xfc"
