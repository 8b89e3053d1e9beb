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
    assert call.query == "parameter1=value1&parameter1=value2&parameter2=value"
    assert ("cookie", "cookie1=a; cookie2=b") in call.headers
    assert ("header2", "value1,value2") in call.headers
    assert call.client == ("192.0.2.1", 0)
    assert (call.scheme, call.server) == ("https", ("id.example.com", 443))
    assert call.gateway_started_ms == 1583348638390


def test_payload_1_is_read_with_repeated_headers_and_parameters() -> None:
    call = formats.parse(event_1())
    assert (call.method, call.path, call.body) == ("GET", "/my/path", b"")
    assert call.query == "parameter1=value1&parameter1=value+2&p2=v"
    assert call.headers.count(("header1", "value1")) == 1
    assert call.headers.count(("header1", "value2")) == 1
    assert call.gateway_started_ms == 1583349317135


def test_payload_1_without_the_multi_value_fields_is_read() -> None:
    call = formats.parse(event_1(multiValueHeaders=None, multiValueQueryStringParameters=None))
    assert call.headers == [("header1", "value2")]
    assert call.query == "parameter1=value2"


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/a%2Fb", "/a%252Fb"),  # the client sent /a%252Fb
        ("/%61dmin", "/%2561dmin"),
        ("/a b", "/a%20b"),
        ("/a+b", "/a+b"),
        ("/é", "/%C3%A9"),
        ("", "/"),
        ("/100%", "/100%25"),
        ("*", "/*"),
        ("http://other.example/x", "/http://other.example/x"),
        ("/a;b=1,2:@!$&'()*+~", "/a;b=1,2:@!$&'()*+~"),
    ],
)
def test_a_path_of_an_http_api_is_decoded_already_and_gets_its_encoding_back(
    raw: str, path: str
) -> None:
    assert formats.parse(event_2(rawPath=raw)).path == path
    assert formats.parse(event_1(requestContext={"path": raw}, path=raw)).path == path


def rest_event(**changes: Any) -> dict[str, Any]:
    """A REST API's: payload 1.0 without a version."""
    event = event_1(**changes)
    del event["version"]
    return event


def url_event(**changes: Any) -> dict[str, Any]:
    """A function URL's."""
    context = {"domainName": "abc.lambda-url.eu-central-1.on.aws"}
    return event_2(**changes, requestContext=context)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/a%2Fb", "/a%2Fb"),
        ("/%2561dmin", "/%2561dmin"),
        ("/a b", "/a%20b"),
        ("/é", "/%C3%A9"),
        ("", "/"),
        ("/100%25", "/100%25"),
    ],
)
def test_a_path_of_a_rest_api_or_function_url_is_as_it_was_sent(raw: str, path: str) -> None:
    assert formats.parse(url_event(rawPath=raw)).path == path
    assert formats.parse(rest_event(path=raw, requestContext={"path": raw})).path == path


def test_text_that_is_not_ascii_reaches_the_app_as_utf_8() -> None:
    call = formats.parse(event_2(headers={"x-city": "Łódź"}, cookies=["stadt=Köln", "b=2"]))
    assert ("x-city", "Łódź") in call.headers
    assert ("cookie", "stadt=Köln; b=2") in call.headers
    assert formats.parse(event_2(rawQueryString="q=Łódź&a=1+2")).query == (
        "q=%C5%81%C3%B3d%C5%BA&a=1+2"
    )


def test_payload_1_merges_single_and_multiple_values() -> None:
    event = event_1(
        headers={"Host": "id.example.com", "AUTHORIZATION": "Bearer x", "header1": "value2"},
        multiValueHeaders={"header1": ["value1", "value2"], "host": ["id.example.com"]},
        queryStringParameters={"only": "one", "parameter1": "value2"},
    )
    call = formats.parse(event)
    assert sorted(call.headers) == [
        ("authorization", "Bearer x"),
        ("header1", "value1"),
        ("header1", "value2"),
        ("host", "id.example.com"),
    ]
    assert sorted(call.query.split("&")) == [
        "only=one", "p2=v", "parameter1=value+2", "parameter1=value1"
    ]  # fmt: skip


def test_what_is_null_is_absent() -> None:
    nulls = {"cookies": None, "rawQueryString": None, "body": None, "isBase64Encoded": None}
    call = formats.parse(event_2(**nulls, headers={"a": None, "b": "1"}))
    assert (call.headers, call.query, call.body) == ([("b", "1")], "", b"")
    assert formats.parse(event_2(headers=None, cookies=None)).headers == []
    event = event_1(headers={"a": None}, multiValueHeaders={"b": None, "c": [None, "1"]})
    event |= {"queryStringParameters": {"q": None}, "multiValueQueryStringParameters": None}
    call = formats.parse(event)
    assert (call.headers, call.query) == ([("c", "1")], "")


@pytest.mark.parametrize(
    ("fields", "scheme", "server"),
    [
        ({}, "https", ("id.example.com", 443)),
        ({"x-forwarded-proto": "http"}, "http", ("id.example.com", 80)),
        ({"x-forwarded-proto": "javascript"}, "https", ("id.example.com", 443)),
        ({"x-forwarded-proto": "http, https"}, "https", ("id.example.com", 443)),
        ({"x-forwarded-port": "8443"}, "https", ("id.example.com", 8443)),
        ({"x-forwarded-port": "1, 8443"}, "https", ("id.example.com", 8443)),
        ({"x-forwarded-port": "0"}, "https", ("id.example.com", 443)),
        ({"x-forwarded-port": "65536"}, "https", ("id.example.com", 443)),
        ({"x-forwarded-port": "²"}, "https", ("id.example.com", 443)),
        ({"x-forwarded-port": "9" * 5000}, "https", ("id.example.com", 443)),
        ({"host": "[::1]:8000"}, "https", ("[::1]", 443)),
    ],
)
def test_forwarded_schemes_and_ports_are_parsed(
    fields: dict[str, str], scheme: str, server: tuple[str, int]
) -> None:
    call = formats.parse(event_2(headers={"host": "id.example.com", **fields}))
    assert (call.scheme, call.server) == (scheme, server)


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
    assert [name for name, _ in call.headers].count("cookie") == 1


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
        {"headers": {"": "value"}},
        {"headers": {"a b": "value"}},
        {"headers": {"name": "a\r\nx: y"}},
        {"headers": {"name": "nul \0"}},
        {"headers": {"name": "\ud800"}},
        {"headers": {"name": 5}},
        {"headers": ["name", "value"]},
        {"headers": "name"},
        {"cookies": ["a=1\n"]},
        {"cookies": "a=1", "headers": 7},
        {"cookies": [1]},
        {"cookies": "a=1"},
        {"cookies": {"a": "b"}},
        {"cookies": 0},
        {"headers": {"name": ["x"]}},
        {"body": "x", "isBase64Encoded": []},
        {"requestContext": {"domainName": "a\r\nb"}, "headers": {}},
        {"requestContext": {"domainName": "\ud800"}, "headers": {}},
        {"requestContext": {"http": {"method": "GET", "sourceIp": 5}}},
        {"requestContext": {"http": {"method": "GET", "sourceIp": "a\r\nb"}}},
        {"requestContext": {"timeEpoch": 10**400}},
        {"requestContext": {"timeEpoch": -(10**400)}},
        {"rawPath": 5},
        {"rawPath": ["/"]},
        {"rawQueryString": {"a": "1"}},
        {"body": {"a": 1}},
        {"body": "e30=", "isBase64Encoded": "true"},
        {"requestContext": None},
        {"requestContext": {"http": None}},
        {"requestContext": {"http": {"method": "GET\r\n"}}},
        {"requestContext": {"http": {"method": ["GET"]}}},
        {"requestContext": {"stage": 7}},
        {"requestContext": {"timeEpoch": "now"}},
    ],
)
def test_what_cannot_be_passed_on_is_a_bad_event(changes: dict[str, Any]) -> None:
    event = event_2()
    changed = changes.get("requestContext", {})
    context = changed and {**event["requestContext"], **changed}
    event |= changes | {"requestContext": context} if "requestContext" in changes else changes
    with pytest.raises(BadEvent):
        formats.parse(event)


@pytest.mark.parametrize(
    "event",
    [
        {"Records": []},
        {},
        [],
        None,
        "x",
        {"requestContext": {}, "path": "/"},
        # Authorizers are asked about requests (API Gateway Developer Guide, "Lambda authorizers").
        event_1() | {"type": "REQUEST", "methodArn": "arn:aws:execute-api:::api/s/GET/"},
        event_2() | {"type": "REQUEST", "routeArn": "arn:aws:execute-api:::api/s/GET/"},
        {"type": "TOKEN", "methodArn": "arn", "authorizationToken": "x"},
        # An agent's tool: "Bedrock User Guide, Lambda functions for action groups".
        {"messageVersion": "1.0", "apiPath": "/", "httpMethod": "GET", "actionGroup": "a"},
    ],
)
def test_other_events_are_a_clear_error(event: object) -> None:
    with pytest.raises(UnknownEvent, match="not an HTTP request from API Gateway"):
        formats.parse(event)


def test_a_response_of_payload_2_has_cookies_apart_and_joined_headers() -> None:
    answer = Answer(
        200,
        [
            ("content-type", "text/plain; charset=utf-8"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("vary", "accept"),
            ("vary", "cookie"),
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
    answer = Answer(204, [("set-cookie", "a=1"), ("set-cookie", "b=2")])
    assert formats.encode(event_1(), answer) == {
        "statusCode": 204,
        "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]},
        "body": "",
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize(
    "headers",
    [
        [("content-type", "image/png")],
        [],
        [("content-type", "application/json"), ("content-encoding", "gzip")],
        [("content-type", "text/plain; charset=latin-1")],
    ],
)
def test_what_is_not_plain_utf_8_text_goes_in_base64(headers: list[tuple[str, str]]) -> None:
    response = formats.encode(event_2(), Answer(200, headers, b"\xff\x00\xfc"))
    assert response["isBase64Encoded"] is True
    assert base64.b64decode(response["body"]) == b"\xff\x00\xfc"


def test_a_cookie_that_is_null_is_absent() -> None:
    assert ("cookie", "a=1; b=2") in formats.parse(event_2(cookies=["a=1", None, "b=2"])).headers
    assert "cookie" not in dict(formats.parse(event_2(cookies=[])).headers)


def test_multi_value_headers_are_an_object() -> None:
    with pytest.raises(BadEvent):
        formats.parse(event_1(multiValueHeaders=""))


def test_a_rest_api_s_stage_is_a_prefix_only_where_the_context_s_path_has_it() -> None:
    def read(path: str, whole: str) -> tuple[str, str]:
        event = event_1(path=path)
        del event["version"]
        event["requestContext"] |= {"path": whole, "stage": "v1"}
        call = formats.parse(event)
        return call.path, call.root_path

    assert read("/v1/users", "/v1/users") == ("/v1/users", "")  # a custom domain
    assert read("/users", "/v1/users") == ("/v1/users", "/v1")
    assert read("/v1/users", "/v1/v1/users") == ("/v1/v1/users", "/v1")


@pytest.mark.parametrize(
    "domain", ["api.lambda-url.example.org", "a.lambda-url.on.aws.example.org"]
)
def test_a_custom_domain_makes_no_function_url(domain: str) -> None:
    event = event_2(rawPath="/%61")
    event["requestContext"]["domainName"] = domain
    assert formats.parse(event).path == "/%2561"
