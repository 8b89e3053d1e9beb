"""An Application Load Balancer's events, with single or with multi-value headers.

ELB User Guide for Application Load Balancers, "Lambda functions as targets": the target group says
which, and the response must be of the same kind.
"""

from collections.abc import Iterator
from http import HTTPStatus
from itertools import product
from typing import Any

from .event_parts import (
    Event,
    Format,
    addresses,
    body_of,
    encoded_body,
    fields_of,
    headers_of,
    joined,
    path_of,
)
from .http import Answer, Call


def parse(event: Event) -> Call:
    """The request in an event. The query's parameters arrive as the client encoded them."""
    headers = headers_of(event.get("multiValueHeaders") or event.get("headers") or {})
    query = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}
    pairs = [
        f"{name}={value}"
        for name, values in query.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    fields = dict(headers)
    forwarded = fields.get(b"x-forwarded-for", b"").decode("latin-1")
    # The balancer appends the address that it saw; what comes before is the client's word.
    source = forwarded.rpartition(",")[2].strip() or None
    return Call(
        method=str(event["httpMethod"]).upper(),
        path=path_of(event.get("path")),
        query="&".join(pairs).encode("ascii", "replace"),
        headers=headers,
        body=body_of(event, event.get("isBase64Encoded")),
        **addresses(fields, source, None),
    )


def encode(event: Event, answer: Answer) -> dict[str, Any]:
    """The response, in the form in which the request's headers came."""
    text, is_base64 = encoded_body(answer)
    response: dict[str, Any] = {
        "statusCode": answer.status,
        "statusDescription": _description(answer.status),
        "body": text,
        "isBase64Encoded": is_base64,
    }
    fields = fields_of(answer)
    if "multiValueHeaders" in event:
        listed: dict[str, list[str]] = {}
        for name, value in fields:
            listed.setdefault(name, []).append(value)
        response["multiValueHeaders"] = listed
    else:
        response["headers"] = joined([pair for pair in fields if pair[0] != "set-cookie"])
        cookies = [value for name, value in fields if name == "set-cookie"]
        # One value for each name; but names that differ in case are different to the balancer.
        response["headers"].update(zip(_spellings("set-cookie"), cookies, strict=False))
    return response


def _description(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _spellings(name: str) -> Iterator[str]:
    """The name with each choice of small and capital letters."""
    choices = [(letter, letter.upper()) if letter.isalpha() else (letter,) for letter in name]
    return map("".join, product(*choices))


FORMAT = Format(parse, encode)
