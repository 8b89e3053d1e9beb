"""API Gateway's payloads 2.0 and 1.0, and function URLs, whose events are of payload 2.0.

API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs"; Lambda Developer
Guide, "Invoking Lambda function URLs".
"""

from typing import Any
from urllib.parse import urlencode

from .event_parts import (
    Event,
    Format,
    addresses,
    body_of,
    encoded_body,
    fields_of,
    headers_of,
    moment_of,
    path_of,
    prefix_of,
)
from .http import Answer, Call, Headers


def parse_2(event: Event) -> Call:
    """The request in an event of payload 2.0."""
    context = event["requestContext"]
    http = context["http"]
    headers = headers_of(event.get("headers") or {})
    fields = dict(headers)
    cookies = event.get("cookies") or []
    if cookies and b"cookie" not in fields:
        headers.append((b"cookie", "; ".join(cookies).encode("latin-1", "replace")))
    path = path_of(event.get("rawPath"))
    return Call(
        method=str(http.get("method", "GET")).upper(),
        path=path,
        query=(event.get("rawQueryString") or "").encode("ascii", "replace"),
        headers=headers,
        body=body_of(event, event.get("isBase64Encoded")),
        root_path=_stage(path, context),
        **addresses(fields, http.get("sourceIp"), context.get("domainName")),
        # A function URL has no gateway that gives up after 30 s.
        gateway_started_ms=None
        if ".lambda-url." in str(context.get("domainName"))
        else moment_of(context.get("timeEpoch")),
    )


def encode_2(_: Event, answer: Answer) -> dict[str, Any]:
    """Cookies apart, one value for each other header."""
    text, is_base64 = encoded_body(answer)
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in fields_of(answer):
        if name == "set-cookie":
            cookies.append(value)
        else:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    response: dict[str, Any] = {
        "statusCode": answer.status,
        "body": text,
        "isBase64Encoded": is_base64,
        "headers": headers,
    }
    if cookies:
        response["cookies"] = cookies
    return response


def parse_1(event: Event) -> Call:
    """The request in an event of payload 1.0, that of REST APIs too."""
    context = event["requestContext"]
    many = event.get("multiValueHeaders")
    headers: Headers = headers_of(many or event.get("headers") or {})
    # The path of the context has the stage's prefix, as the client sent it; the event's does not.
    path = path_of(context.get("path") or event.get("path"))
    query = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}
    source = (context.get("identity") or {}).get("sourceIp")
    return Call(
        method=str(event["httpMethod"]).upper(),
        path=path,
        query=urlencode(query, doseq=True).encode(),
        headers=headers,
        body=body_of(event, event.get("isBase64Encoded")),
        root_path=_stage(path, context),
        **addresses(dict(headers), source, context.get("domainName")),
        gateway_started_ms=moment_of(context.get("requestTimeEpoch")),
    )


def encode_1(_: Event, answer: Answer) -> dict[str, Any]:
    """A list of values for each header."""
    text, is_base64 = encoded_body(answer)
    listed: dict[str, list[str]] = {}
    for name, value in fields_of(answer):
        listed.setdefault(name, []).append(value)
    return {
        "statusCode": answer.status,
        "body": text,
        "isBase64Encoded": is_base64,
        "multiValueHeaders": listed,
    }


def _stage(path: str, context: Event) -> str:
    stage = context.get("stage") or "$default"
    return "" if stage == "$default" else prefix_of(path, f"/{stage}")


PAYLOAD_2 = Format(parse_2, encode_2)
PAYLOAD_1 = Format(parse_1, encode_1)
