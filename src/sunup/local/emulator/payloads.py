"""API Gateway's payloads: a request as an event of format 2.0 or 1.0.

API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs".
"""

import base64
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
