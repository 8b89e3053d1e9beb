"""An Application Load Balancer's events, with single or with multi-value headers.

ELB User Guide for Application Load Balancers, "Lambda functions as targets": the target group says
which, and the response must be of the same kind.
"""

from collections.abc import Iterator
from http import HTTPStatus
from itertools import islice, product
from typing import Any

from .event_parts import (
    Event,
    Format,
    body_of,
    forwarded_client,
    headers_of,
    joined,
    listed,
    method_of,
    parameters_of,
    path_of,
    query_as_sent,
    scheme_and_server,
)
from .http import Answer, Call

# Of the request's body, and of the response's JSON, in bytes (same guide, "Limits").
LIMIT = 1024 * 1024


def parse(event: Event) -> Call:
    """The request in an event. The query's parameters arrive as the client encoded them."""
    headers, fields = headers_of(event.get("headers"), event.get("multiValueHeaders"))
    query = parameters_of(
        event.get("queryStringParameters"), event.get("multiValueQueryStringParameters")
    )
    scheme, server = scheme_and_server(fields)
    return Call(
        method_of(event["httpMethod"]),
        path_of(event.get("path")),
        query_as_sent(query),
        headers,
        body_of(event, event.get("isBase64Encoded")),
        "",
        scheme,
        server,
        forwarded_client(fields),
    )


def encode_lists(answer: Answer, body: str, is_base64: bool) -> dict[str, Any]:  # noqa: FBT001
    """A list of values for each header."""
    return _common(answer, body, is_base64) | {"multiValueHeaders": listed(answer.headers)}


def encode_single(answer: Answer, body: str, is_base64: bool) -> dict[str, Any]:  # noqa: FBT001
    """One value for each header; but names that differ in case are different to the balancer."""
    headers = joined([pair for pair in answer.headers if pair[0] != "set-cookie"])
    cookies = [value for name, value in answer.headers if name == "set-cookie"]
    spellings = list(islice(_spellings("set-cookie"), len(cookies)))
    if len(spellings) < len(cookies):
        raise ValueError(
            f"{len(cookies)} cookies need multi-value headers; without them at most 512 can be sent"
        )
    headers.update(zip(spellings, cookies, strict=True))
    return _common(answer, body, is_base64) | {"headers": headers}


def _common(answer: Answer, body: str, is_base64: bool) -> dict[str, Any]:  # noqa: FBT001
    return {
        "statusCode": answer.status,
        "statusDescription": _description(answer.status),
        "body": body,
        "isBase64Encoded": is_base64,
    }


def _description(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _spellings(name: str) -> Iterator[str]:
    """The name with each choice of small and capital letters."""
    choices = [(letter, letter.upper()) if letter.isalpha() else (letter,) for letter in name]
    return map("".join, product(*choices))


# The response must be of the same kind as the request.
SINGLE = Format(parse, encode_single, LIMIT)
LISTS = Format(parse, encode_lists, LIMIT)
