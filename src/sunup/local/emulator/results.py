"""A function's outcome as an HTTP response: API Gateway's payloads, and function URLs.

API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs".
"""

import base64
import json
import re
import uuid
from typing import Any

from .payloads import Reply

# A header that can be sent (RFC 9110, 5.1 and 5.5).
_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# The front's own, not the function's.
_OF_CONNECTION = (b"connection", b"content-length", b"transfer-encoding")


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
