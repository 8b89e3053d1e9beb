"""API Gateway's payloads: a request as an event of format 2.0 or 1.0, an outcome as a response.

API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs".
"""

import base64
import json
import re
import time
import uuid
from collections.abc import Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, unquote

Scope = MutableMapping[str, Any]
Reply = tuple[int, list[tuple[bytes, bytes]], bytes]

# Not strftime's: the access log's format knows no locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def event_2(scope: Scope, body: bytes, now: float) -> dict[str, Any]:
    """A request as payload 2.0."""
    return _event_2(scope, body, now, _path(scope))


def event_of_url(scope: Scope, body: bytes, now: float, region: str) -> dict[str, Any]:
    """A request to a function URL: payload 2.0, the path as it was sent."""
    event = _event_2(scope, body, now, scope["raw_path"].decode("latin-1"))
    event["requestContext"]["domainName"] = f"emulator.lambda-url.{region}.on.aws"
    event["headers"]["x-amzn-tls-version"] = "TLSv1.3"
    # Of what a client sent, its first address alone (speedrun.nobackspacecrew.com, 2026-03-06).
    forwarded = event["headers"]["x-forwarded-for"]
    event["headers"]["x-forwarded-for"] = forwarded.partition(",")[0].strip()
    return event


def _event_2(scope: Scope, body: bytes, now: float, path: str) -> dict[str, Any]:
    headers, cookies = _joined(scope)
    query = scope["query_string"].decode("latin-1")
    agent, source = headers.get("user-agent", ""), source_of(scope)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "emulator",
            "domainName": "localhost",
            "domainPrefix": "emulator",
            "http": {
                "method": scope["method"],
                "path": path,
                "protocol": f"HTTP/{scope['http_version']}",
                "sourceIp": source,
                "userAgent": agent,
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": _clf(now),
            "timeEpoch": int(now * 1000),
        },
        **_body(headers, body),
    }
    if cookies:
        event["cookies"] = cookies
    if query:
        event["queryStringParameters"] = _joined_query(query)
    return event


# Where a request's scope has the root of its trace: the same in the event, for the runtime and in
# a REST API's answer.
TRACE = "sunup.trace"
_ROOT = re.compile(r"(?:^|;)\s*Root=(1-[0-9a-f]{8}-[0-9a-f]{24})(?:;|$)", re.ASCII)

# A header that can be sent (RFC 9110, 5.1 and 5.5).
_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# The front's own, not the function's.
_OF_CONNECTION = (b"connection", b"content-length", b"transfer-encoding")

# What the gateway notes itself, whatever the client sent.
_OWN = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-amzn-trace-id")


def event_1(scope: Scope, body: bytes, now: float) -> dict[str, Any]:
    """A request as payload 1.0."""
    headers, _ = _joined(scope, keep_cookie=True)
    # The gateway's own are in title case beside the client's (milliHQ/terraform-aws-next-js#31).
    many = {name.title(): [headers[name]] for name in _OWN}
    for name, value in parts_of(scope):
        if name not in _OWN:
            many.setdefault(name, []).append(value)
    last = {name: values[-1] for name, values in many.items()}
    query = listed(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    path = _path(scope)
    return {
        "version": "1.0",
        "resource": "$default",
        "path": path,
        "httpMethod": scope["method"],
        "headers": last,
        "multiValueHeaders": many,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "emulator",
            "domainName": "localhost",
            "domainPrefix": "emulator",
            "extendedRequestId": str(uuid.uuid4()),
            "httpMethod": scope["method"],
            "identity": {"sourceIp": source_of(scope), "userAgent": headers.get("user-agent", "")},
            "path": path,
            "protocol": f"HTTP/{scope['http_version']}",
            "requestId": str(uuid.uuid4()),
            "requestTime": _clf(now),
            "requestTimeEpoch": int(now * 1000),
            "resourceId": None,
            "resourcePath": "$default",
            "stage": "$default",
        },
        "pathParameters": None,
        "stageVariables": None,
        "body": None,
        **_body(headers, body),
    }


def response(outcome: bytes, *, version_2: bool = True, of_url: bool = False) -> Reply:
    """A function's outcome as HTTP. Raises `ValueError` and the like when it is malformed.

    Payload 2.0 has no `multiValueHeaders`, payload 1.0 no `cookies`, and needs a `statusCode`.
    """
    content = json.loads(outcome)
    if not isinstance(content, dict) or "statusCode" not in content:
        if not version_2:
            raise ValueError("there is no statusCode")
        # Anything without a status is the JSON body of a 200; function URLs take text as it is.
        text = content if of_url and isinstance(content, str) else json.dumps(content)
        return 200, [(b"content-type", b"application/json")], text.encode()
    status = status_of(content["statusCode"])
    headers = [header(name, value) for name, value in (content.get("headers") or {}).items()]
    if version_2:
        headers += [header("set-cookie", each) for each in _list(content, "cookies")]
    else:
        several = content.get("multiValueHeaders") or {}
        for name in several:
            headers += [header(name, value) for value in _list(several, name)]
    raw = content_of(content)
    if not any(name == b"content-type" for name, _ in headers):
        kind = b"application/json" if of_url else b"text/plain;charset=UTF-8"
        headers.append((b"content-type", kind))
    if of_url:
        request_id = (b"x-amzn-requestid", str(uuid.uuid4()).encode())
    else:
        request_id = (b"apigw-requestid", uuid.uuid4().hex[:15].encode())
    return status, [*counted(headers, raw), request_id], raw


def _list(fields: dict[str, Any], name: str) -> list[Any]:
    values = fields.get(name) or []
    if not isinstance(values, list):
        raise TypeError(f"{name} is not a list")
    return values


def content_of(outcome: dict[str, Any]) -> bytes:
    """The body of an outcome. Raises `TypeError` or `ValueError`."""
    text = outcome.get("body") or ""
    if not isinstance(text, str):
        raise TypeError("body is not a string")
    if outcome.get("isBase64Encoded", False):
        return base64.b64decode(text, validate=True)
    return text.encode("utf-8")


def header(name: str, value: object) -> tuple[bytes, bytes]:
    """A response's header; its value may be a number or a boolean. Raises `ValueError`."""
    if not isinstance(value, (str, int, float)):
        raise ValueError(f"the header {name!a} is {type(value).__name__}")  # noqa: TRY004
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = text.strip(" \t")  # blanks around a value are none of it (RFC 9110, 5.5)
    if not _TOKEN.fullmatch(name) or _CONTROLS.search(text):
        raise ValueError(f"the header {name!a} cannot be sent")
    return name.lower().encode("ascii"), text.encode()


def status_of(value: object) -> int:
    """A final status, which may be text. Raises `ValueError` and the like."""
    status = int(value)  # type: ignore[call-overload]
    if not 200 <= status <= 599:
        raise ValueError(f"statusCode {status}")
    return int(status)


def counted(headers: list[tuple[bytes, bytes]], body: bytes) -> list[tuple[bytes, bytes]]:
    """The headers, with the length that the front counts itself."""
    kept = [each for each in headers if each[0] not in _OF_CONNECTION]
    return [*kept, (b"content-length", str(len(body)).encode())]


def listed(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """A list of values for each name."""
    many: dict[str, list[str]] = {}
    for name, value in pairs:
        many.setdefault(name, []).append(value)
    return many


def parts_of(scope: Scope) -> list[tuple[str, str]]:
    """The headers as text: the fronts decode them from UTF-8 (oven-sh/bun#22994)."""
    return [(n.decode("latin-1"), v.decode("utf-8", "replace")) for n, v in scope["headers"]]


def noted(scope: Scope) -> dict[str, str]:
    """What a front adds to a request's headers, `x-forwarded-for` apart."""
    return {
        "x-forwarded-proto": "http",
        "x-forwarded-port": str((scope.get("server") or ("", 80))[1]),
        "x-amzn-trace-id": f"Root={scope.get(TRACE) or trace_of(scope)}",
    }


def trace_of(scope: Scope) -> str:
    """The root of a request's trace: the client's, where it sent one, or a new one."""
    sent = dict(scope["headers"]).get(b"x-amzn-trace-id", b"").decode("latin-1")
    root = _ROOT.search(sent)
    return root[1] if root else f"1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"


def _joined(scope: Scope, *, keep_cookie: bool = False) -> tuple[dict[str, str], list[str]]:
    """Headers with repeated ones joined by a comma, and the cookies apart."""
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in parts_of(scope):
        if name == "cookie" and not keep_cookie:
            cookies += [each.strip() for each in value.split(";") if each.strip()]
        else:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    sent = headers.get("x-forwarded-for")
    source = source_of(scope)
    # A client's own is kept, the address that the front saw appended: logandk/serverless-wsgi#36.
    headers |= {"x-forwarded-for": f"{sent}, {source}" if sent else source, **noted(scope)}
    return headers, cookies


def _path(scope: Scope) -> str:
    """As HTTP APIs deliver it in both payloads: decoded once; a decoded `?` ends it.

    Captured events: fastify/aws-lambda-fastify#169, hotsock/voker#8, Worklytics/psoxy#827.
    """
    return unquote(scope["raw_path"].decode("latin-1")).partition("?")[0] or "/"


def _joined_query(query: str) -> dict[str, str]:
    joined: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = (unquote(each.replace("+", " ")) for each in part.partition("="))
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


# Measured by others on AWS (ministackorg/ministack#766, floci-io/floci#2203): forms and bodies
# without a type go in base64.
_TEXT = (
    "application/graphql",
    "application/javascript",
    "application/json",
    "application/xml",
    "text/csv",
    "text/html",
    "text/plain",
    "text/xml",
)


def _body(headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """A body as text where its type says so, in base64 otherwise."""
    if not body:
        return {"isBase64Encoded": False}
    kind, _, rest = headers.get("content-type", "").lower().partition(";")
    if kind.strip() in _TEXT and rest.strip() in ("", "charset=utf-8"):
        try:
            return {"body": body.decode("utf-8"), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def source_of(scope: Scope) -> str:
    """The client's address."""
    client = scope.get("client")
    return str(client[0]) if client else "127.0.0.1"


def _clf(now: float) -> str:
    moment = time.gmtime(now)
    return (
        f"{moment.tm_mday:02}/{_MONTHS[moment.tm_mon - 1]}/{moment.tm_year}:"
        f"{moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02} +0000"
    )
