"""Each front: what an app sees behind it, and the front's own words."""

import base64
import http.client
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sunup.local.emulator import Emulator, GatewayOptions
from sunup.local.emulator.options import FrontName
from sunup.local.testing import Emulate

APP = """
import json, time
from sunup import Handler

def app(environ, start_response):
    path = environ["PATH_INFO"].encode("latin-1").decode()
    if path == "/picture":
        start_response("200 OK", [("Content-Type", "image/png")])
        return [bytes(range(256))]
    if path == "/cookies":
        start_response("200 OK", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-City", "Łódź".encode().decode("latin-1"))])
        return []
    if path == "/none":
        start_response("204 No Content", [])
        return [b"not sent"]
    seen = {
        "path": path, "query": environ["QUERY_STRING"], "scheme": environ["wsgi.url_scheme"],
        "client": environ["REMOTE_ADDR"], "port": environ["SERVER_PORT"],
        "body": environ["wsgi.input"].read().hex(),
        "city": environ.get("HTTP_X_CITY", "").encode("latin-1").decode(),
        "many": environ.get("HTTP_X_MANY"), "cookie": environ.get("HTTP_COOKIE"),
        "user": environ.get("HTTP_X_USER"), "base64": environ["aws.event"]["isBase64Encoded"],
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]

adapted = Handler(app)

def handler(event, context):
    path = event.get("rawPath") or event["path"]
    if path == "/error": raise ValueError("secret")
    if path == "/malformed": return {"statusCode": None}
    if path == "/slow": time.sleep(1)
    if path == "/result":
        fields = event.get("headers") or {n: v[-1] for n, v in event["multiValueHeaders"].items()}
        return json.loads({name.lower(): value for name, value in fields.items()}["x-result"])
    return adapted(event, context)
"""

FRONTS: dict[str, GatewayOptions] = {
    "http-api": GatewayOptions(),
    "http-api 1.0": GatewayOptions(payload="1.0"),
    "rest-api": GatewayOptions(front="rest-api", binary_media_types=("image/*",)),
    "function-url": GatewayOptions(front="function-url"),
    "alb": GatewayOptions(front="alb"),
    "alb multi": GatewayOptions(front="alb", multi_value_headers=True),
}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "lambda_function.py").write_text(APP)
    return tmp_path


def ask(
    aws: Emulator,
    target: str,
    *headers: tuple[str, bytes | str],
    body: bytes = b"",
    method: str = "",
) -> tuple[int, list[tuple[str, str]], bytes]:
    connection = http.client.HTTPConnection(
        "localhost", int(aws.url.rpartition(":")[2]), timeout=20
    )
    connection.putrequest(method or ("POST" if body else "GET"), target)
    for name, value in headers:
        connection.putheader(name, value)
    if body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)
    response = connection.getresponse()
    found = response.status, response.getheaders(), response.read()
    connection.close()
    return found


def see(aws: Emulator, target: str, *headers: tuple[str, bytes | str], body: bytes = b"") -> Any:
    status, _, content = ask(aws, target, *headers, body=body)
    assert status == 200, content
    return json.loads(content)


@pytest.mark.parametrize("front", FRONTS)
def test_an_app_sees_the_same_request_behind_each_front(
    emulate: Emulate, app: Path, front: str
) -> None:
    """The table of docs/handler.md, "Paths, queries and text"."""
    aws = emulate(app, gateway=FRONTS[front])
    decoded = front.startswith("http-api")
    assert see(aws, "/a%2Fb")["path"] == "/a/b"
    assert see(aws, "/%2561dmin")["path"] == "/%61dmin"
    assert see(aws, "/a+b%20c")["path"] == "/a+b c"
    assert see(aws, "/%C5%81%C3%B3d%C5%BA")["path"] == "/Łódź"
    assert see(aws, "/a%3Fb")["path"] == ("/a" if decoded else "/a?b")
    query = see(aws, "/?q=a+b%20c&q=%2B%26&%C5%81=1")["query"]
    assert query == {
        "http-api 1.0": "q=a+b+c&q=%2B%26&%C5%81=1",
        "rest-api": "q=a+b+c&q=%2B%26&%C5%81=1",
        "alb": "q=%2B%26&%C5%81=1",  # of repeated ones the last
    }.get(front, "q=a+b%20c&q=%2B%26&%C5%81=1")
    seen = see(
        aws, "/", ("X-City", "Łódź".encode()), ("X-Many", "1"), ("X-Many", "2"), ("Cookie", "a=ö".encode()),
        ("X_User", "admin"), ("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "gopher"),
    )  # fmt: skip
    assert seen["city"] == "Łódź"
    assert seen["many"] == ("2" if front == "alb" else "1,2")
    assert seen["cookie"].encode("latin-1").decode() == "a=ö"
    assert (seen["user"], seen["client"], seen["scheme"]) == (None, "127.0.0.1", "http")
    assert seen["port"] == aws.url.rpartition(":")[2]


# What goes as text, by type: AWS's rule for each front.
BODIES: list[tuple[str | None, bytes, dict[str, bool]]] = [
    ("application/json", b'{"a": 1}', {}),
    ("text/plain; charset=utf-8", "Łódź".encode(), {}),
    ("application/x-www-form-urlencoded", b"a=1&b=%20", dict.fromkeys(FRONTS, True) | {"rest-api": False}),
    (None, b"typeless", dict.fromkeys(FRONTS, True) | {"rest-api": False}),
    ("image/png", bytes(range(256)), dict.fromkeys(FRONTS, True)),
]  # fmt: skip


@pytest.mark.parametrize("front", FRONTS)
def test_bodies_arrive_whole_in_base64_where_aws_uses_it(
    emulate: Emulate, app: Path, front: str
) -> None:
    aws = emulate(app, gateway=FRONTS[front])
    for kind, body, in_base64 in BODIES:
        headers = [] if kind is None else [("Content-Type", kind)]
        seen = see(aws, "/", *headers, body=body)
        assert bytes.fromhex(seen["body"]) == body, kind
        assert seen["base64"] is in_base64.get(front, False), kind
    status, _, body = ask(aws, "/picture", ("Accept", "image/png"))
    assert (status, body) == (200, bytes(range(256)))


@pytest.mark.parametrize("front", FRONTS)
def test_responses_pass_each_front(emulate: Emulate, app: Path, front: str) -> None:
    aws = emulate(app, gateway=FRONTS[front])
    status, headers, body = ask(aws, "/cookies")
    assert (status, body) == (200, b"")
    assert sorted(value for name, value in headers if name.lower() == "set-cookie") == [
        "a=1",
        "b=2",
    ]
    city = next(value for name, value in headers if name == "x-city")
    assert city.encode("latin-1").decode() == "Łódź"
    assert ask(aws, "/none")[::2] == (204, b"")
    assert ask(aws, "/", method="HEAD")[::2] == (200, b"")
    assert see(aws, "/")["path"] == "/"


# By front: a function that fails, one that is too slow, and a request that is too large.
WORDS: dict[FrontName, list[tuple[int, str]]] = {
    "http-api": [
        (500, '{"message":"Internal Server Error"}'),
        (503, '{"message":"Service Unavailable"}'),
        (413, '{"message":"Request Entity Too Large"}'),
    ],
    "rest-api": [
        (502, '{"message": "Internal server error"}'),
        (504, '{"message": "Endpoint request timed out"}'),
        (413, "HTTP content length exceeded 10485760 bytes."),
    ],
    "function-url": [
        (502, "Internal Server Error"),
        (502, "Internal Server Error"),
        (413, '{"message":"Request must be smaller than 6291456 bytes"}'),
    ],
    "alb": [
        (502, "<center><h1>502 Bad Gateway</h1></center>"),
        (502, "<center><h1>502 Bad Gateway</h1></center>"),
        (413, "<center><h1>413 Request Entity Too Large</h1></center>"),
    ],
}


@pytest.mark.parametrize("front", WORDS)
def test_each_front_has_its_own_words_and_then_serves_the_next(
    emulate: Emulate, app: Path, front: FrontName
) -> None:
    aws = emulate(app, gateway=GatewayOptions(front=front, timeout=0.6))
    see(aws, "/")
    failed, slow, large = WORDS[front]
    for path in ("/error", "/malformed"):
        reply = httpx2.get(f"{aws.url}{path}", timeout=20)
        assert reply.status_code == failed[0]
        assert failed[1] in reply.text
        assert "secret" not in reply.text
    reply = httpx2.get(f"{aws.url}/slow", timeout=20)
    assert (reply.status_code, slow[1] in reply.text) == (slow[0], True)
    size = {"alb": 1, "function-url": 6}.get(front, 10) * 2**20 + 1
    reply = httpx2.post(aws.url, content=b"x" * size, timeout=20)
    assert (reply.status_code, large[1] in reply.text) == (large[0], True)
    assert see(aws, "/next")["path"] == "/next"


def result(aws: Emulator, content: Any, accept: str = "*/*") -> tuple[int, bytes]:
    headers = [("X-Result", json.dumps(content)), ("Accept", accept)]
    status, _, body = ask(aws, "/result", *headers)
    return status, body


def test_a_rest_api_s_rules_for_results_as_recorded_from_aws(emulate: Emulate, app: Path) -> None:
    """localstack's `test_aws_proxy_response_payload_format_validation`, recorded 2024-11-15."""
    aws = emulate(app, gateway=GatewayOptions(front="rest-api", binary_media_types=("image/*",)))
    assert result(aws, {"statusCode": 200}) == (200, b"")
    assert result(aws, {"headers": {"a": "b"}})[0] == 200
    assert result(aws, {"statusCode": "201"})[0] == 201
    assert result(aws, {"statusCode": 200, "headers": {"a": True}})[0] == 200
    for wrong in ({}, "text", {"statusCode": "test"}, {"statusCode": 200, "wrongValue": 1},
                  {"statusCode": 200, "cookies": []}, {"statusCode": 200, "multiValueHeaders": {"a": "b"}}):  # fmt: skip
        assert result(aws, wrong)[0] == 502, wrong
    packed = {
        "statusCode": 200,
        "body": base64.b64encode(b"data").decode(),
        "isBase64Encoded": True,
    }
    assert result(aws, packed) == (200, b"ZGF0YQ==")
    assert result(aws, packed, "image/png, */*") == (200, b"data")
    assert result(aws, packed, "text/html, image/png") == (200, b"ZGF0YQ==")


def test_a_function_url_s_rules_for_results_as_recorded_from_aws(
    emulate: Emulate, app: Path
) -> None:
    """localstack's `test_lambda_url_echo_*`, recorded 2025-11-24."""
    aws = emulate(app, gateway=GatewayOptions(front="function-url"))
    assert result(aws, "hello") == (200, b"hello")
    assert result(aws, 3.1) == (200, b"3.1")
    assert result(aws, {"statusCode": "418", "body": "tea"}) == (418, b"tea")
    status, headers, _ = ask(
        aws, "/result", ("X-Result", '{"statusCode": 200, "multiValueHeaders": {"a": ["b"]}}')
    )
    assert (status, "a" in dict(headers)) == (200, False)


def test_a_load_balancer_s_rules_for_results(emulate: Emulate, app: Path) -> None:
    """aws-lambda-dotnet#507, lambda-api#117, hono#2626."""
    aws = emulate(app, gateway=GatewayOptions(front="alb"))
    assert result(aws, {"statusCode": 200}) == (200, b"")
    for wrong in ({"statusCode": 200, "statusDescription": None}, {"statusCode": 200, "body": None},
                  {"statusCode": 200, "headers": {"a": True}}, {"statusCode": "200"}, {}):  # fmt: skip
        assert result(aws, wrong)[0] == 502, wrong


def test_iam_has_each_front_s_own_words(emulate: Emulate, app: Path) -> None:
    aws = emulate(app, gateway=GatewayOptions(front="function-url", authorization="AWS_IAM"))
    status, headers, body = ask(aws, "/")
    assert (status, dict(headers)["x-amzn-errortype"]) == (403, "AccessDeniedException")
    assert json.loads(body)["Message"].startswith("Forbidden. For troubleshooting")
    aws = emulate(app, gateway=GatewayOptions(front="rest-api", authorization="AWS_IAM"))
    assert ask(aws, "/")[::2] == (403, b'{"message": "Missing Authentication Token"}')


# By no front; what only some refuse is above.
WRONG: list[str] = [
    '{"statusCode": 200, "HEADERS": {"a": "b\\r\\nc: d"}}',
    '{"statusCode": 200, "HEADERS": {"a": "nul \\u0000"}}',
    '{"statusCode": 200, "HEADERS": {"a b": "c"}}',
    '{"statusCode": 200, "HEADERS": {"": "c"}}',
    '{"statusCode": 100}',
    '{"statusCode": 199}',
    '{"statusCode": Infinity}',
    '{"statusCode": 600}',
]


@pytest.mark.parametrize("front", FRONTS)
def test_what_cannot_be_sent_is_the_front_s_own_answer_and_the_next_request_is_served(
    emulate: Emulate, app: Path, front: str
) -> None:
    aws = emulate(app, gateway=FRONTS[front])
    several = front in ("http-api 1.0", "alb multi")
    failed = 500 if front.startswith("http-api") else 502
    for wrong in WRONG:
        given = wrong.replace("HEADERS", "multiValueHeaders" if several else "headers")
        if several:
            given = given.replace('": "', '": ["').replace('"}}', '"]}}')
        status, headers, _ = ask(aws, "/result", ("X-Result", given))
        assert (status, "a" in dict(headers)) == (failed, False), given
    name = "multiValueHeaders" if several else "headers"
    value: Any = [" b\t"] if several else " b\t"
    blanks = {"statusCode": 200, name: {"a": value}}
    status, headers, _ = ask(aws, "/result", ("X-Result", json.dumps(blanks)))
    assert (status, dict(headers)["a"]) == (200, "b")
    for status in (204, 304):
        spoken = {"statusCode": status, "body": "not sent"}
        assert ask(aws, "/result", ("X-Result", json.dumps(spoken)))[::2] == (status, b"")
    assert see(aws, "/next")["path"] == "/next"


def test_a_client_cannot_choose_how_its_path_is_read(emulate: Emulate, app: Path) -> None:
    aws = emulate(app)
    connection = http.client.HTTPConnection(
        "localhost", int(aws.url.rpartition(":")[2]), timeout=20
    )
    connection.putrequest("GET", "/a%2541", skip_host=True)
    connection.putheader("Host", "x.lambda-url.y")
    connection.endheaders()
    assert json.loads(connection.getresponse().read())["path"] == "/a%41"
    connection.close()


def test_a_rest_api_s_binary_types_go_in_base64_whatever_they_are(
    emulate: Emulate, app: Path
) -> None:
    for types in (("*/*",), ("application/json",)):
        aws = emulate(app, gateway=GatewayOptions(front="rest-api", binary_media_types=types))
        seen = see(aws, "/", ("Content-Type", "application/json"), body=b'{"a": 1}')
        assert (seen["base64"], bytes.fromhex(seen["body"])) == (True, b'{"a": 1}')


def test_a_load_balancer_limits_each_line_of_the_head(emulate: Emulate, app: Path) -> None:
    aws = emulate(app, gateway=GatewayOptions(front="alb"))
    assert ask(aws, f"/{'x' * 17_000}")[0] == 400
    assert ask(aws, "/", ("X-Long", "x" * 17_000))[0] == 400
    assert ask(aws, "/", *((f"X-{number}", "x" * 10_000) for number in range(4)))[0] == 200


@pytest.mark.parametrize("front", [name for name in FRONTS if "alb" not in name])
def test_an_event_is_as_large_as_its_utf_8(emulate: Emulate, app: Path, front: str) -> None:
    body = "é" * 1_200_000  # 7.2 MB with ASCII's escapes
    aws = emulate(app, gateway=FRONTS[front])
    seen = see(aws, "/", ("Content-Type", "text/plain; charset=utf-8"), body=body.encode())
    assert bytes.fromhex(seen["body"]).decode() == body


@pytest.mark.parametrize("front", FRONTS)
def test_a_body_in_chunks_reaches_the_app(emulate: Emulate, app: Path, front: str) -> None:
    aws = emulate(app, gateway=FRONTS[front])
    connection = http.client.HTTPConnection("localhost", int(aws.url.rpartition(":")[2]))
    connection.request("POST", "/", iter([b"in ", b"chunks"]), {"Content-Type": "text/plain"})
    seen = json.loads(connection.getresponse().read())
    connection.close()
    assert bytes.fromhex(seen["body"]) == b"in chunks"


def test_behind_a_custom_domain_a_path_may_begin_as_the_stage_is_called(
    emulate: Emulate, app: Path
) -> None:
    aws = emulate(app, gateway=GatewayOptions(front="rest-api"))
    assert see(aws, "/prod/x")["path"] == "/prod/x"
    assert see(aws, "/prod")["path"] == "/prod"
