"""What Terraform's JSON says is dangerous. The structures are of Terraform 1.11."""

from typing import Any

import pytest

from sunup.local.cloud import plan

THERE = {
    "address": "aws_lambda_function.api",
    "type": "aws_lambda_function",
    "change": {"actions": ["no-op"], "before": {"x": 1}, "after": {"x": 1}},
}


def dangers(
    kind: str, before: Any, after: Any, unknown: Any = None, *, beside: bool = True
) -> list[str]:
    change = {"before": before, "after": after, "after_unknown": unknown or {}}
    actions = ["update"] if before else ["create"]
    changed = {"address": "it", "type": kind, "change": {"actions": actions, **change}}
    return plan.read({"resource_changes": [changed, *([THERE] if beside else [])]}).dangers


def jwt(*audience: str) -> dict[str, Any]:
    return {"jwt_configuration": [{"audience": [*audience], "issuer": "https://a"}]}


@pytest.mark.parametrize(
    ("kind", "before", "after", "unknown", "says"),
    [
        (
            "aws_apigatewayv2_authorizer",
            jwt("us"),
            jwt("us", "them"),
            # Of what is known: the same structure, of false.
            {"jwt_configuration": [{"audience": [False, False]}]},
            "-> [{'audience': ['us', 'them'], 'issuer': 'https://a'}]",
        ),
        (
            "aws_apigatewayv2_authorizer",
            jwt("us"),
            {"jwt_configuration": [{"issuer": "https://a"}]},
            {"jwt_configuration": [{"audience": True}]},
            "-> known after apply",
        ),
        (
            "aws_iam_role",
            {"assume_role_policy": "{}"},
            {},
            {"assume_role_policy": True},
            "assume_role_policy {} -> known after apply",
        ),
        (
            "aws_apigatewayv2_route",
            {"authorization_scopes": ["a"]},
            {"authorization_scopes": []},
            None,
            "authorization_scopes ['a'] -> none",
        ),
        ("aws_apigatewayv2_route", None, {"authorization_type": "NONE"}, None, "it is new: "),
        ("aws_lambda_function_url", None, {"authorization_type": "NONE"}, None, "to everybody"),
        ("aws_lambda_permission", None, {"principal": "*"}, None, "it is new: principal *"),
    ],
)
def test_who_may_call_in_future_is_said(
    kind: str, before: Any, after: Any, unknown: Any, says: str
) -> None:
    found = dangers(kind, before, after, unknown)
    assert len(found) == 1
    assert says in found[0]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("aws_apigatewayv2_authorizer", jwt("us"), jwt("us")),
        ("aws_apigatewayv2_route", None, {"authorization_type": "JWT"}),
        ("aws_lambda_permission", None, {"principal": "scheduler.amazonaws.com"}),
        ("aws_lambda_function_url", None, {"authorization_type": "AWS_IAM"}),
        ("aws_sns_topic", None, {"name": "x"}),
    ],
)
def test_what_lets_nobody_in_is_no_danger(kind: str, before: Any, after: Any) -> None:
    assert dangers(kind, before, after) == []


def test_a_first_deployment_changes_nobodys_rights() -> None:
    opened = {"authorization_type": "NONE"}
    assert dangers("aws_apigatewayv2_route", None, opened, beside=False) == []
