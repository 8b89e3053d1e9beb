"""API Gateway's events, payload 2.0 and 1.0, to a `Call`, and an `Answer` to what it expects.

API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs".
"""

import base64
import binascii
from typing import Any
from urllib.parse import quote, urlencode

from .http import Answer, Call, Headers

Event = dict[str, Any]

# What may stand in a path as it is; the percent sign too, since the path is already encoded.
_PATH_SAFE = "/%:@!$&'()*+,;=-._~"


class UnknownEvent(TypeError):
    """The function was invoked with something that is no HTTP request."""


class BadEvent(ValueError):
    """An HTTP event whose content cannot be passed on: the client's mistake."""


def parse(event: object) -> Call:
    """The request in an event. Raises `UnknownEvent` or `BadEvent`."""
    if isinstance(event, dict):
        context = event.get("requestContext")
        if isinstance(context, dict):
            if isinstance(context.get("http"), dict):
                return _parse_2(event, context)
            if "httpMethod" in event and "elb" not in context:
                return _parse_1(event, context)
    keys = ", ".join(sorted(map(str, event))) if isinstance(event, dict) else type(event).__name__
    raise UnknownEvent(
        f"this event is not an API Gateway HTTP request of payload 2.0 or 1.0 (it has: {keys}); "
        "this function answers HTTP only"
    )


def encode(event: Event, answer: Answer) -> dict[str, Any]:
    """The answer in the form that belongs to the event."""
    two = isinstance(event.get("requestContext", {}).get("http"), dict)
    text, is_base64 = _body(answer)
    response: dict[str, Any] = {
        "statusCode": answer.status,
        "body": text,
        "isBase64Encoded": is_base64,
    }
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
    if two:
        response["headers"] = _joined([pair for pair in fields if pair[0] != "set-cookie"])
        cookies = [value for name, value in fields if name == "set-cookie"]
        if cookies:
            response["cookies"] = cookies
    else:
        listed: dict[str, list[str]] = {}
        for name, value in fields:
            listed.setdefault(name, []).append(value)
        response["multiValueHeaders"] = listed
    return response


def _parse_2(event: Event, context: Event) -> Call:
    http = context["http"]
    headers = _headers(event.get("headers") or {})
    cookies = event.get("cookies") or []
    if cookies and not any(name == b"cookie" for name, _ in headers):
        headers.append((b"cookie", "; ".join(cookies).encode("latin-1", "replace")))
    stage = context.get("stage") or "$default"
    path = quote(event.get("rawPath") or "/", safe=_PATH_SAFE)
    return Call(
        method=str(http.get("method", "GET")).upper(),
        path=path,
        query=(event.get("rawQueryString") or "").encode("ascii", "replace"),
        headers=headers,
        body=_decoded(event),
        root_path=_prefix(path, stage),
        **_addresses(headers, http.get("sourceIp"), context.get("domainName")),
        # A function URL has no gateway that gives up after 30 s.
        gateway_started_ms=None
        if ".lambda-url." in str(context.get("domainName"))
        else context.get("timeEpoch"),
    )


def _parse_1(event: Event, context: Event) -> Call:
    many = event.get("multiValueHeaders")
    pairs: Headers = []
    if many:
        for name, values in many.items():
            for value in values:
                pairs += _headers({name: value})
    else:
        pairs = _headers(event.get("headers") or {})
    # The path of the context has the stage's prefix, as the client sent it; the event's has not.
    path = quote(context.get("path") or event.get("path") or "/", safe=_PATH_SAFE)
    query = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}
    return Call(
        method=str(event["httpMethod"]).upper(),
        path=path,
        query=urlencode(query, doseq=True).encode(),
        headers=pairs,
        body=_decoded(event),
        root_path=_prefix(path, context.get("stage") or "$default"),
        **_addresses(
            pairs, (context.get("identity") or {}).get("sourceIp"), context.get("domainName")
        ),
        gateway_started_ms=context.get("requestTimeEpoch"),
    )


def _headers(fields: dict[str, str]) -> Headers:
    try:
        return [
            (name.lower().encode("ascii"), str(value).encode("latin-1"))
            for name, value in fields.items()
        ]
    except UnicodeEncodeError:
        raise BadEvent("a header is not ASCII or Latin-1 text") from None


def _prefix(path: str, stage: str) -> str:
    prefix = f"/{stage}"
    on_stage = stage != "$default" and (path == prefix or path.startswith(f"{prefix}/"))
    return prefix if on_stage else ""


def _decoded(event: Event) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return bytes(str(body), "utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise BadEvent("the body is not valid base64") from None


def _addresses(headers: Headers, source: str | None, domain: str | None) -> dict[str, Any]:
    fields = dict(headers)
    scheme = fields.get(b"x-forwarded-proto", b"https").decode("latin-1")
    port = fields.get(b"x-forwarded-port", b"")
    host = fields.get(b"host", b"").decode("latin-1").rpartition(":")
    name = (host[0] if host[1] and host[2].isdigit() else "".join(host)) or domain or "localhost"
    return {
        "scheme": scheme,
        "server": (name, int(port) if port.isdigit() else (443 if scheme == "https" else 80)),
        "client": (source, 0) if source else None,
    }


def _joined(fields: list[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in fields:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


_TEXT_TYPES = (b"text/", b"application/json", b"application/xml", b"application/javascript")


def _body(answer: Answer) -> tuple[str, bool]:
    """The body as text where it is text, else in base64."""
    if not answer.body:
        return "", False
    fields = dict(answer.headers)
    kind = fields.get(b"content-type", b"").partition(b";")[0].strip().lower()
    textual = kind.startswith(_TEXT_TYPES) or kind.endswith((b"+json", b"+xml"))
    if textual and b"content-encoding" not in fields:
        try:
            return answer.body.decode("utf-8"), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(answer.body).decode("ascii"), True
