"""VPC Lattice's events, versions 1 and 2.

VPC Lattice User Guide, "Use a Lambda function as a target".
"""

from typing import Any

from .api_gateway import LAMBDA_LIMIT
from .event_parts import (
    Event,
    Format,
    body_of,
    encoded_query,
    forwarded_client,
    headers_of,
    joined,
    method_of,
    parameters_of,
    path_of,
    query_of,
    scheme_and_server,
    text_of,
)
from .http import Answer, Call


def parse_1(event: Event) -> Call:
    """The request in an event of version 1: `raw_path` may have the query as it was sent."""
    return _call(
        event,
        event["raw_path"],
        event.get("query_string_parameters"),
        event.get("is_base64_encoded"),
    )


def parse_2(event: Event) -> Call:
    """The request in an event of version 2: headers and parameters are lists."""
    # AWS's guide writes it one way, published examples the other.
    query = event.get("queryStringParameters") or event.get("query_string_parameters")
    return _call(event, event["path"], query, event.get("isBase64Encoded"))


def encode(answer: Answer, body: str, is_base64: bool) -> dict[str, Any]:  # noqa: FBT001
    """One value for each header: of several `Set-Cookie` the last one is kept."""
    headers = joined([pair for pair in answer.headers if pair[0] != "set-cookie"])
    headers.update(pair for pair in answer.headers if pair[0] == "set-cookie")
    return {
        "statusCode": answer.status,
        "body": body,
        "isBase64Encoded": is_base64,
        "headers": headers,
    }


def _call(event: Event, target: object, parameters: object, is_base64: object) -> Call:
    path, _, query = text_of(target, "path").partition("?")
    headers, fields = headers_of(None, event.get("headers"))
    scheme, server = scheme_and_server(fields)
    return Call(
        method_of(event["method"]),
        path_of(path),
        query_of(query) if query else encoded_query(parameters_of(parameters, None)),
        headers,
        body_of(event, is_base64),
        "",
        scheme,
        server,
        forwarded_client(fields),
    )


VERSION_1 = Format(parse_1, encode, LAMBDA_LIMIT)
VERSION_2 = Format(parse_2, encode, LAMBDA_LIMIT)
