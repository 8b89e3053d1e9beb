"""API Gateway's payloads: a request as an event of format 2.0 or 1.0, an outcome as a response.

API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs".
"""

import base64
import json
import time
import uuid
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qsl, unquote

Scope = MutableMapping[str, Any]
Reply = tuple[int, list[tuple[bytes, bytes]], bytes]

# Not strftime's: the access log's format knows no locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def event_2(scope: Scope, body: bytes, now: float) -> dict[str, Any]:
    """A request as payload 2.0."""
    headers, cookies = _joined(scope)
    query = scope["query_string"].decode("latin-1")
    path = _path(scope)
    agent, source = headers.get("user-agent", ""), _source(scope)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "emulator",
            "domainName": headers.get("host", "localhost"),
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


def event_1(scope: Scope, body: bytes, now: float) -> dict[str, Any]:
    """A request as payload 1.0."""
    headers, _ = _joined(scope, keep_cookie=True)
    many: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        many.setdefault(name.decode("latin-1"), []).append(_unicode(value))
    last = {name: values[-1] for name, values in many.items()}
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
        query.setdefault(name, []).append(value)
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
            "domainName": headers.get("host", "localhost"),
            "domainPrefix": "emulator",
            "extendedRequestId": str(uuid.uuid4()),
            "httpMethod": scope["method"],
            "identity": {"sourceIp": _source(scope), "userAgent": headers.get("user-agent", "")},
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


def response(body: bytes) -> Reply:
    """A function's outcome as HTTP. Raises `ValueError` and the like when it is malformed."""
    content = json.loads(body)
    if not isinstance(content, dict) or "statusCode" not in content:
        # Payload 2.0: anything without a status is the JSON body of a 200.
        return 200, [(b"content-type", b"application/json")], json.dumps(content).encode()
    status = int(content["statusCode"])
    if not 100 <= status <= 599:
        raise ValueError(f"statusCode {status}")
    headers = [
        (str(name).lower().encode("latin-1"), _text(value).encode())
        for name, value in (content.get("headers") or {}).items()
    ]
    for name, values in (content.get("multiValueHeaders") or {}).items():
        headers += [(str(name).lower().encode("latin-1"), _text(v).encode()) for v in values]
    headers += [(b"set-cookie", str(each).encode()) for each in content.get("cookies") or []]
    text = content.get("body") or ""
    if not isinstance(text, str):
        raise TypeError("body is not a string")
    is_base64 = content.get("isBase64Encoded", False)
    raw = base64.b64decode(text, validate=True) if is_base64 else text.encode("utf-8")
    if not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", b"text/plain;charset=UTF-8"))
    # The gateway counts again: a HEAD's length is for the function to say.
    headers = [each for each in headers if each[0] not in (b"content-length", b"connection")]
    headers.append((b"content-length", str(len(raw)).encode()))
    headers.append((b"apigw-requestid", uuid.uuid4().hex[:15].encode()))
    return status, headers, raw


def _unicode(value: bytes) -> str:
    """A header's bytes as the fronts deliver them: decoded from UTF-8 (oven-sh/bun#22994)."""
    return value.decode("utf-8", "replace")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _joined(scope: Scope, *, keep_cookie: bool = False) -> tuple[dict[str, str], list[str]]:
    """Headers with repeated ones joined by a comma, and the cookies apart."""
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), _unicode(raw_value)
        if name == "cookie" and not keep_cookie:
            cookies += [each.strip() for each in value.split(";") if each.strip()]
        else:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    headers["x-forwarded-for"] = _source(scope)
    headers["x-forwarded-proto"] = "http"
    headers["x-forwarded-port"] = str((scope.get("server") or ("", 80))[1])
    headers["x-amzn-trace-id"] = f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"
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


_TEXT = ("text/", "application/json", "application/javascript", "application/xml", "application/x-www-form-urlencoded")  # fmt: skip # noqa: E501


def _body(headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """A body as text where its type says so, in base64 otherwise."""
    if not body:
        return {"isBase64Encoded": False}
    if headers.get("content-type", "").lower().startswith(_TEXT):
        try:
            return {"body": body.decode("utf-8"), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def _source(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "127.0.0.1"


def _clf(now: float) -> str:
    moment = time.gmtime(now)
    return (
        f"{moment.tm_mday:02}/{_MONTHS[moment.tm_mon - 1]}/{moment.tm_year}:"
        f"{moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02} +0000"
    )
