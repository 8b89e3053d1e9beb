"""API Gateway's payloads 2.0 and 1.0, and function URLs, whose events are of payload 2.0.

API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs"; Lambda Developer
Guide, "Invoking Lambda function URLs". HTTP APIs deliver paths that are percent-decoded already,
in both payloads; function URLs and REST APIs deliver them as they were sent: docs/handler.md.
"""

import re
from typing import Any

from .event_parts import (
    Event,
    Format,
    body_of,
    client_of,
    cookies_of,
    decoded_path_of,
    encoded_query,
    headers_of,
    listed,
    method_of,
    moment_of,
    object_of,
    parameters_of,
    path_of,
    prefix_of,
    query_of,
    scheme_and_server,
    text_of,
)
from .http import Answer, Call

# Of a synchronous invocation's response, in bytes: "Response payload size exceeded maximum allowed
# payload size (6291556 bytes)", says Lambda (Developer Guide, "Lambda quotas": 6 MB).
LAMBDA_LIMIT = 6_291_556

# The end of a function URL's domain, in each partition of AWS.
_OF_AWS = re.compile(r"\.on\.(?:aws|amazonwebservices\.(?:com|eu)(?:\.cn)?)$")

# A REST API gives up a second earlier than an HTTP API: after 29 s, unless that was raised.
_REST_MS = 1000


def parse_2(event: Event) -> Call:
    """The request in an event of payload 2.0."""
    context = event["requestContext"]
    http = context["http"]
    headers, fields = headers_of(event.get("headers"))
    cookies = event.get("cookies")
    if cookies is not None and "cookie" not in fields:
        headers += cookies_of(cookies)
    domain = context.get("domainName") or ""
    # A custom domain's name may have that part, too.
    of_url = ".lambda-url." in domain and _OF_AWS.search(domain) is not None
    path = (path_of if of_url else decoded_path_of)(event.get("rawPath"))
    scheme, server = scheme_and_server(fields, domain)
    return Call(
        method_of(http.get("method", "GET")),
        path,
        query_of(event.get("rawQueryString")),
        headers,
        body_of(event, event.get("isBase64Encoded")),
        _stage(path, context),
        scheme,
        server,
        client_of(http.get("sourceIp")),
        # A function URL has no gateway that gives up after 30 s.
        None if of_url else moment_of(context.get("timeEpoch")),
    )


def encode_2(answer: Answer, body: str, is_base64: bool) -> dict[str, Any]:  # noqa: FBT001
    """Cookies apart, one value for each other header."""
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in answer.headers:
        if name == "set-cookie":
            cookies.append(value)
        else:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    response: dict[str, Any] = {
        "statusCode": answer.status,
        "body": body,
        "isBase64Encoded": is_base64,
        "headers": headers,
    }
    if cookies:
        response["cookies"] = cookies
    return response


def parse_1(event: Event) -> Call:
    """The request in an event of payload 1.0, that of REST APIs too."""
    context = event["requestContext"]
    headers, fields = headers_of(event.get("headers"), event.get("multiValueHeaders"))
    # An event with a version comes from an HTTP API.
    of_rest_api = event.get("version") is None
    read_path = path_of if of_rest_api else decoded_path_of
    # The path of the context has the stage's prefix, as the client sent it; the event's does not.
    path = read_path(context.get("path") or event.get("path"))
    query = parameters_of(
        event.get("queryStringParameters"), event.get("multiValueQueryStringParameters")
    )
    source = object_of(context.get("identity"), "identity").get("sourceIp")
    scheme, server = scheme_and_server(fields, context.get("domainName"))
    started = moment_of(context.get("requestTimeEpoch"))
    if started is not None and of_rest_api:
        started -= _REST_MS
    return Call(
        method_of(event["httpMethod"]),
        path,
        encoded_query(query),
        headers,
        body_of(event, event.get("isBase64Encoded")),
        # Behind a custom domain a REST API's path has no stage, though it may begin alike.
        "" if of_rest_api and event.get("path") == context.get("path") else _stage(path, context),
        scheme,
        server,
        client_of(source),
        started,
    )


def encode_1(answer: Answer, body: str, is_base64: bool) -> dict[str, Any]:  # noqa: FBT001
    """A list of values for each header."""
    return {
        "statusCode": answer.status,
        "body": body,
        "isBase64Encoded": is_base64,
        "multiValueHeaders": listed(answer.headers),
    }


def _stage(path: str, context: Event) -> str:
    stage = context.get("stage")
    if stage is None or stage == "$default":
        return ""
    return prefix_of(path, f"/{text_of(stage, 'stage')}")


PAYLOAD_2 = Format(parse_2, encode_2, LAMBDA_LIMIT)
PAYLOAD_1 = Format(parse_1, encode_1, LAMBDA_LIMIT)
