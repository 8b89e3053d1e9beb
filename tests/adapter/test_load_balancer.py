"""Events as in the ELB User Guide, "Lambda functions as targets"."""

from typing import Any

import pytest

from sunup.adapter.event_parts import BadEvent
from sunup.adapter.http import Answer

from . import formats


def event(**changes: Any) -> dict[str, Any]:
    return {
        "requestContext": {
            "elb": {
                "targetGroupArn": "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/x/1"
            }
        },
        "httpMethod": "GET",
        "path": "/a%2Fb",
        "queryStringParameters": {"query": "1%2B2", "z": "%E3%81%82"},
        "headers": {
            "host": "lambda-846800462.us-east-2.elb.amazonaws.com",
            "x-forwarded-for": "203.0.113.9, 72.21.198.66",
            "x-forwarded-port": "8443",
            "x-forwarded-proto": "https",
        },
        "body": "",
        "isBase64Encoded": False,
        **changes,
    }


def many(**changes: Any) -> dict[str, Any]:
    """With the target group's attribute for multi-value headers."""
    changed = event(**changes)
    headers = changed.pop("headers")
    changed["multiValueHeaders"] = {**{k: [v] for k, v in headers.items()}, "x-a": ["1", "2"]}
    del changed["queryStringParameters"]
    changed["multiValueQueryStringParameters"] = {"key": ["v1", "v%202"]}
    return changed


def test_parameters_are_passed_on_as_the_client_encoded_them() -> None:
    call = formats.parse(event())
    assert (call.method, call.path, call.query) == ("GET", "/a%2Fb", "query=1%2B2&z=%E3%81%82")
    assert formats.parse(many()).query == "key=v1&key=v%202"


def test_the_client_is_the_one_that_the_balancer_saw() -> None:
    call = formats.parse(event())
    assert call.client == ("72.21.198.66", 0)
    assert call.server == ("lambda-846800462.us-east-2.elb.amazonaws.com", 8443)
    assert call.gateway_started_ms is None


def test_repeated_headers_are_kept() -> None:
    headers = formats.parse(many()).headers
    assert [value for name, value in headers if name == "x-a"] == ["1", "2"]


ANSWER = Answer(
    201,
    [("content-type", "text/plain"), ("set-cookie", "a=1"), ("set-cookie", "b=2")],
    b"hello",
)


def test_single_values_are_answered_with_cookies_told_apart_by_case() -> None:
    response = formats.encode(event(), ANSWER)
    assert response["statusDescription"] == "201 Created"
    assert "multiValueHeaders" not in response
    cookies = {k: v for k, v in response["headers"].items() if k.lower() == "set-cookie"}
    assert sorted(cookies.values()) == ["a=1", "b=2"]
    assert response["body"] == "hello"


def test_lists_are_answered_with_lists() -> None:
    response = formats.encode(many(), ANSWER)
    assert response["multiValueHeaders"]["set-cookie"] == ["a=1", "b=2"]
    assert "headers" not in response


def test_an_unusual_status_has_no_words() -> None:
    assert formats.encode(event(), Answer(299))["statusDescription"] == "299"


@pytest.mark.parametrize(
    "changes",
    [
        {"body": "%%%", "isBase64Encoded": True},
        {"headers": {"bad name": "x"}},
        {"headers": {"x": "a\nb"}},
        {"headers": ["no"]},
        {"queryStringParameters": 7},
    ],
)
def test_what_cannot_be_passed_on_is_a_bad_event(changes: dict[str, Any]) -> None:
    with pytest.raises(BadEvent):
        formats.parse(event(**changes))


def test_more_cookies_than_spellings_are_an_error_that_says_so() -> None:
    def cookies(number: int) -> Answer:
        return Answer(200, [("set-cookie", f"n={each}") for each in range(number)])

    assert len(formats.encode(event(), cookies(512))["headers"]) == 512
    assert formats.encode(event(), cookies(513))["statusCode"] == 500
    assert len(formats.encode(many(), cookies(513))["multiValueHeaders"]["set-cookie"]) == 513
