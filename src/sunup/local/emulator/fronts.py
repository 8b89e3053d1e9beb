"""What stands in front of the function: each with its own events, limits and words.

The sources of each behaviour are in docs/emulator.md.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from . import elb, payloads, rest, results
from .options import GatewayOptions
from .payloads import Reply, Scope

# Why a front answers itself.
Cause = Literal["failed", "timeout", "throttled", "rate", "body", "event", "headers", "target"]

MB = 1024 * 1024

# Lambda's words: "Response payload size exceeded maximum allowed payload size (6291556 bytes)".
LAMBDA_RESPONSE = 6_291_556


@dataclass(frozen=True)
class Front:
    """Sizes in bytes, times in seconds; `timeout` None: the function's own is all there is."""

    event: Callable[[Scope, bytes, float], dict[str, Any]]
    response: Callable[[bytes, Scope], Reply]
    own: Mapping[Cause, Reply]
    forbidden: Reply
    timeout: float | None
    largest_body: int
    largest_response: int
    largest_head: int
    largest_line: int


def front_of(options: GatewayOptions, region: str) -> Front:
    """The front that the options name."""
    if options.front == "rest-api":
        types = options.binary_media_types
        return Front(
            lambda scope, body, now: rest.event(scope, body, now, types),
            lambda outcome, scope: rest.response(outcome, scope, types),
            _REST,
            in_json(403, "Missing Authentication Token", spaced=True),
            29.0,
            10 * MB,
            LAMBDA_RESPONSE,
            10_240,
            10_240,
        )
    if options.front == "function-url":
        return Front(
            lambda scope, body, now: payloads.event_of_url(scope, body, now, region),
            lambda outcome, _: results.response(outcome, of_url=True),
            _URL,
            _forbidden_url(),
            None,
            6 * MB,
            LAMBDA_RESPONSE,
            64 * 1024,
            64 * 1024,
        )
    if options.front == "alb":
        several = options.multi_value_headers
        return Front(
            lambda scope, body, _: elb.event(scope, body, several=several, region=region),
            lambda outcome, _: elb.response(outcome, several=several),
            _ALB,
            elb.page(403),
            None,
            MB,
            MB,
            64 * 1024,
            16 * 1024,
        )
    version_2 = options.payload == "2.0"
    return Front(
        payloads.event_2 if version_2 else payloads.event_1,
        lambda outcome, _: results.response(outcome, version_2=version_2),
        _HTTP,
        in_json(403, "Forbidden"),
        30.0,
        10 * MB,
        LAMBDA_RESPONSE,
        10_240,
        10_240,
    )


def in_json(status: int, message: str, *, spaced: bool = False, kind: str = "") -> Reply:
    """A front's own words, as API Gateway and Lambda put them."""
    body = json.dumps({"message": message}, separators=(",", ": " if spaced else ":"))
    headers = [(b"content-type", b"application/json")]
    if kind:
        headers.append((b"x-amzn-errortype", kind.encode()))
    return status, headers, body.encode()


def _text(status: int, text: str) -> Reply:
    return status, [(b"content-type", b"text/plain")], text.encode()


def _forbidden_url() -> Reply:
    text = (
        "Forbidden. For troubleshooting Function URL authorization issues, see: "
        "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
    )
    headers = [
        (b"content-type", b"application/json"),
        (b"x-amzn-errortype", b"AccessDeniedException"),
    ]
    return 403, headers, json.dumps({"Message": text}, separators=(",", ":")).encode()


_HTTP: dict[Cause, Reply] = {
    "failed": in_json(500, "Internal Server Error"),
    "timeout": in_json(503, "Service Unavailable"),
    "throttled": in_json(429, "Too Many Requests"),
    "rate": in_json(429, "Too Many Requests"),
    "body": in_json(413, "Request Entity Too Large"),
    "event": in_json(500, "Internal Server Error"),
    "headers": in_json(431, "Request Header Fields Too Large"),
    "target": in_json(400, "Bad Request"),
}

_INTERNAL = "InternalServerErrorException"
_REST: dict[Cause, Reply] = {
    "failed": in_json(502, "Internal server error", spaced=True, kind=_INTERNAL),
    "timeout": in_json(504, "Endpoint request timed out", spaced=True, kind=_INTERNAL),
    "throttled": in_json(500, "Internal server error", spaced=True, kind=_INTERNAL),
    "rate": in_json(429, "Too Many Requests", spaced=True, kind="TooManyRequestsException"),
    "body": (
        413,
        [(b"content-type", b"text; charset=utf-8")],
        b"HTTP content length exceeded 10485760 bytes.",
    ),
    "event": in_json(413, "Request Too Long", spaced=True, kind="BadRequestException"),
    "headers": in_json(431, "Request Header Fields Too Large", spaced=True),
    "target": in_json(400, "Bad Request", spaced=True, kind="BadRequestException"),
}

_URL: dict[Cause, Reply] = {
    "failed": _text(502, "Internal Server Error"),
    "timeout": _text(502, "Internal Server Error"),
    "throttled": in_json(429, "Rate Exceeded.", kind="TooManyRequestsException"),
    "rate": in_json(429, "Rate Exceeded.", kind="TooManyRequestsException"),
    "body": in_json(413, "Request must be smaller than 6291456 bytes"),
    "event": in_json(413, "Request must be smaller than 6291456 bytes"),
    "headers": in_json(431, "Request Header Fields Too Large"),
    "target": in_json(400, "Bad Request"),
}

_ALB: dict[Cause, Reply] = {
    "failed": elb.page(502),
    "timeout": elb.page(502),
    "throttled": elb.page(502),
    "rate": elb.page(503),
    "body": elb.page(413),
    "event": elb.page(413),
    "headers": elb.page(400),
    "target": elb.page(400),
}
