"""An Application Load Balancer: a request as its event, an outcome as a response.

ELB User Guide for Application Load Balancers, "Lambda functions as targets" and "Troubleshoot".
"""

import base64
import json
from typing import Any

from .payloads import Reply, Scope, listed, noted, parts_of, source_of
from .results import content_of, counted, header

# What goes as text; all else in base64, and whatever is compressed.
_TEXT = ("text/", "application/json", "application/javascript", "application/xml")

# Not HTTPStatus': its words for 413 are others from Python 3.13 on.
_TITLES = {
    400: "Bad Request",
    403: "Forbidden",
    413: "Request Entity Too Large",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
}


def event(scope: Scope, body: bytes, *, several: bool, region: str) -> dict[str, Any]:
    """A request; `several`: the target group has multi-value headers on."""
    headers = parts_of(scope)
    forwarded = ", ".join(listed(headers).get("x-forwarded-for", []))
    source = source_of(scope)
    own = {
        "x-forwarded-for": f"{forwarded}, {source}" if forwarded else source,
        **noted(scope),
    }
    pairs = [pair for pair in headers if pair[0] not in own] + list(own.items())
    # The client's own encoding: "the load balancer does not decode them".
    query: list[tuple[str, str]] = []
    for part in scope["query_string"].decode("latin-1").split("&"):
        name, _, value = part.partition("=")
        if part:
            query.append((name, value))
    fields = dict(headers)
    kind = fields.get("content-type", "").lower()
    as_text = kind.startswith(_TEXT) and "content-encoding" not in fields
    made: dict[str, Any] = {
        "requestContext": {
            "elb": {
                "targetGroupArn": f"arn:aws:elasticloadbalancing:{region}:123456789012:"
                "targetgroup/emulator/0123456789abcdef"
            }
        },
        "httpMethod": scope["method"],
        "path": scope["raw_path"].decode("latin-1"),
    }
    if several:
        made["multiValueQueryStringParameters"] = listed(query)
        made["multiValueHeaders"] = listed(pairs)
    else:
        # Of repeated ones the last.
        made["queryStringParameters"] = dict(query)
        made["headers"] = dict(pairs)
    text = "" if not body else _body(body, as_text)
    return made | {"body": text, "isBase64Encoded": bool(body) and not as_text}


def response(outcome: bytes, *, several: bool) -> Reply:
    """A function's outcome as HTTP. Raises `ValueError` and the like when it is malformed."""
    content = json.loads(outcome)
    status = content["statusCode"]
    if type(status) is not int or not 200 <= status <= 599:
        raise ValueError(f"statusCode {status!r}")
    for name in ("statusDescription", "headers", "multiValueHeaders", "body"):
        if name in content and content[name] is None:
            raise ValueError(f"{name} is null")
    headers: list[tuple[bytes, bytes]] = []
    if several:
        for name, values in content.get("multiValueHeaders", {}).items():
            headers += [_header(name, value) for value in values]
    else:
        headers = [_header(name, value) for name, value in content.get("headers", {}).items()]
    raw = content_of(content)
    headers = counted(headers, raw)
    if not any(name == b"server" for name, _ in headers):
        headers.append((b"server", b"awselb/2.0"))
    return status, headers, raw


def page(status: int) -> Reply:
    """The balancer's own words."""
    title = f"{status} {_TITLES[status]}"
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
    return status, [(b"server", b"awselb/2.0"), (b"content-type", b"text/html")], body.encode()


def _body(body: bytes, as_text: bool) -> str:  # noqa: FBT001
    return body.decode("utf-8", "replace") if as_text else base64.b64encode(body).decode()


def _header(name: str, value: object) -> tuple[bytes, bytes]:
    if not isinstance(value, str):
        raise TypeError(f"the header {name} is not text")
    return header(name, value)
