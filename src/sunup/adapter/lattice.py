"""VPC Lattice's events, versions 1 and 2.

VPC Lattice User Guide, "Use a Lambda function as a target".
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
    joined,
    path_of,
)
from .http import Answer, Call


def parse_1(event: Event) -> Call:
    """The request in an event of version 1: `raw_path` has the query as it was sent."""
    path, _, query = str(event["raw_path"]).partition("?")
    return _call(event, path, query.encode("ascii", "replace"), event.get("is_base64_encoded"))


def parse_2(event: Event) -> Call:
    """The request in an event of version 2: headers and parameters are lists."""
    path, _, raw = str(event["path"]).partition("?")
    query = raw or urlencode(event.get("queryStringParameters") or {}, doseq=True)
    return _call(event, path, query.encode("ascii", "replace"), event.get("isBase64Encoded"))


def encode(_: Event, answer: Answer) -> dict[str, Any]:
    """One value for each header: of several `Set-Cookie` the last one is kept."""
    text, is_base64 = encoded_body(answer)
    fields = fields_of(answer)
    headers = joined([pair for pair in fields if pair[0] != "set-cookie"])
    headers.update(pair for pair in fields if pair[0] == "set-cookie")
    return {
        "statusCode": answer.status,
        "body": text,
        "isBase64Encoded": is_base64,
        "headers": headers,
    }


def _call(event: Event, path: str, query: bytes, is_base64: object) -> Call:
    headers = headers_of(event.get("headers") or {})
    fields = dict(headers)
    forwarded = fields.get(b"x-forwarded-for", b"").decode("latin-1")
    return Call(
        method=str(event["method"]).upper(),
        path=path_of(path),
        query=query,
        headers=headers,
        body=body_of(event, is_base64),
        **addresses(fields, forwarded.rpartition(",")[2].strip() or None, None),
    )


VERSION_1 = Format(parse_1, encode)
VERSION_2 = Format(parse_2, encode)
