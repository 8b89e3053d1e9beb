"""A REST API: a request as its event, an outcome as a response.

API Gateway Developer Guide, "Lambda proxy integrations in API Gateway"; recorded answers of AWS in
localstack/localstack, tests/aws/services/apigateway. As behind a custom domain, mapped to the stage
`prod` without a path.
"""

import base64
import json
import uuid
from typing import Any

from .payloads import Reply, Scope, event_1, noted, parts_of
from .results import content_of, counted, header, status_of

# The client's, that do not reach the function.
_DROPPED = frozenset(
    [
        "connection",
        "content-md5",
        "expect",
        "max-forwards",
        "proxy-authenticate",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "www-authenticate",
    ]
)
_FIELDS = frozenset(
    ("statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded", "base64Encoded")
)


def event(scope: Scope, body: bytes, now: float, binary: tuple[str, ...]) -> dict[str, Any]:
    """A request; `binary` are the API's `binaryMediaTypes`."""
    made = event_1(scope, body, now)
    del made["version"]
    path = scope["raw_path"].decode("latin-1")
    # As HTTP/1.1 clients write them; the gateway keeps their case.
    many = {
        name.title(): values
        for name, values in made["multiValueHeaders"].items()
        if name not in _DROPPED
    }
    last = {name: values[-1] for name, values in many.items()}
    as_binary = _matches(last.get("Content-Type", ""), binary)
    made["requestContext"] |= {"stage": "prod", "path": path, "resourcePath": "/{proxy+}"}
    return made | {
        "resource": "/{proxy+}",
        "path": path,
        "pathParameters": {"proxy": path.strip("/")},
        "multiValueHeaders": many,
        "headers": last,
        "body": None if not body else _body(body, as_binary),
        "isBase64Encoded": bool(body) and as_binary,
    }


def response(outcome: bytes, scope: Scope, binary: tuple[str, ...]) -> Reply:
    """A function's outcome as HTTP. Raises `ValueError` and the like when it is malformed."""
    content = json.loads(outcome)
    if not content or set(content) - _FIELDS:
        raise ValueError(f"unknown or no fields: {sorted(set(content) - _FIELDS)}")
    status = status_of(content.get("statusCode", 200))
    headers: list[tuple[bytes, bytes]] = []
    for name, values in (content.get("multiValueHeaders") or {}).items():
        if not isinstance(values, list):
            raise TypeError(f"multiValueHeaders.{name} is not a list")
        headers += [header(name, value) for value in values]
    for name, value in (content.get("headers") or {}).items():
        if header(name, value) not in headers:
            headers.append(header(name, value))
    # Base64 is decoded for a client that accepts one of the binary types, by its first one.
    accept = dict(parts_of(scope)).get("accept", "").partition(",")[0]
    raw = content_of(content | {"isBase64Encoded": False})
    if content.get("isBase64Encoded") and _matches(accept, binary):
        raw = content_of(content)
    if not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", b"application/json"))
    own = [
        (b"x-amzn-requestid", str(uuid.uuid4()).encode()),
        (b"x-amz-apigw-id", uuid.uuid4().hex[:15].encode()),
        (b"x-amzn-trace-id", noted(scope)["x-amzn-trace-id"].encode()),
    ]
    return status, counted(headers, raw) + own, raw


def _body(body: bytes, as_binary: bool) -> str:  # noqa: FBT001
    return base64.b64encode(body).decode() if as_binary else body.decode("utf-8", "replace")


def _matches(kind: str, types: tuple[str, ...]) -> bool:
    """By the whole type, `image/*` or `*/*`."""
    kind = kind.partition(";")[0].strip().lower()
    return any(each in (kind, f"{kind.partition('/')[0]}/*", "*/*") for each in types)
