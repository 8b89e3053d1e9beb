"""What Terraform would do, in words: what is lost, who may call then, which database is used."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_OPEN = {"NONE": "NONE: open to everybody"}

# What lets in somebody new where it is added to a deployment.
_ADDED = {
    "aws_apigatewayv2_route": "authorization_type",
    "aws_lambda_function_url": "authorization_type",
    "aws_lambda_permission": "principal",
}

# Attributes that say who may call, by resource type.
_CALLERS = {
    "aws_apigatewayv2_route": ("authorization_type", "authorizer_id", "authorization_scopes"),
    "aws_apigatewayv2_authorizer": ("identity_sources", "jwt_configuration", "authorizer_type"),
    "aws_lambda_permission": ("principal", "source_arn", "source_account", "action"),
    "aws_lambda_function_url": ("authorization_type", "cors"),
    "aws_iam_role": ("assume_role_policy",),
}


@dataclass(frozen=True)
class Plan:
    """What Terraform would do: addresses by action.

    `dangers` are what needs `--allow-destroy`, in words; `environment` the variables that the
    function would have, None where they are not known yet.
    """

    create: list[str] = field(default_factory=list)
    change: list[str] = field(default_factory=list)
    destroy: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    dangers: list[str] = field(default_factory=list)
    environment: Mapping[str, str] | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.create or self.change or self.destroy)

    def __str__(self) -> str:
        """In the words of Terraform."""
        return (
            f"{len(self.create)} to create, {len(self.change)} to change, "
            f"{len(self.destroy)} to destroy"
        )


def read(content: Mapping[str, Any]) -> Plan:
    """Of `terraform show -json` of a plan."""
    actions: dict[str, list[str]] = {"create": [], "update": [], "delete": []}
    dangers: list[str] = []
    changes = content.get("resource_changes", [])
    deployed = any(each["change"].get("before") for each in changes)
    for each in changes:
        done = each["change"]["actions"]
        for action in done:
            if action in actions:
                actions[action].append(each["address"])
        if "delete" in done:
            word = "is replaced: the old one is destroyed" if "create" in done else "is destroyed"
            dangers.append(f"{each['address']} {word}")
        dangers += _callers(each)
        dangers += _added(each) if deployed else []
    warnings = [
        problem["message"]
        for check in content.get("checks", [])
        for instance in check.get("instances", [])
        if check.get("status") == "fail"
        for problem in instance.get("problems", [])
    ]
    return Plan(
        actions["create"],
        actions["update"],
        actions["delete"],
        warnings,
        dangers,
        _environment(content),
    )


def _callers(change: Mapping[str, Any]) -> Iterator[str]:
    """Who may call what, where that changes; a first deployment changes nobody's rights."""
    before, after = change["change"].get("before"), change["change"].get("after")
    if before is None or after is None:
        return
    unknown = change["change"].get("after_unknown") or {}
    for name in _CALLERS.get(change.get("type", ""), ()):
        old, new = before.get(name), after.get(name)
        if isinstance(unknown, dict) and _any(unknown.get(name)):
            yield f"{change['address']}: {name} {_told(old)} -> known after apply"
        elif old != new:
            yield f"{change['address']}: {name} {_told(old)} -> {_told(new)}"


def _added(change: Mapping[str, Any]) -> Iterator[str]:
    """Who may call in addition; AWS's own services, such as a schedule, are not somebody."""
    name = _ADDED.get(change.get("type", ""))
    after = change["change"].get("after")
    if name is None or change["change"].get("before") or not after:
        return
    value = after.get(name)
    if value == "NONE" or (name == "principal" and not str(value).endswith(".amazonaws.com")):
        yield f"{change['address']} is new: {name} {_told(value)}"


def _any(unknown: object) -> bool:
    """Whether something in it is not known yet: Terraform gives the same structure, of flags."""
    if isinstance(unknown, dict):
        return any(_any(each) for each in unknown.values())
    return any(map(_any, unknown)) if isinstance(unknown, list) else unknown is True


def _told(value: object) -> str:
    text = "none" if value in (None, "", []) else str(value)
    text = _OPEN.get(text, text)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _environment(content: Mapping[str, Any]) -> dict[str, str] | None:
    root = content.get("planned_values", {}).get("root_module", {})
    for each in _resources(root):
        if each.get("type") == "aws_lambda_function":
            blocks = each.get("values", {}).get("environment") or [{}]
            variables = blocks[0].get("variables") or {}
            if "DB_HOST" in variables:
                return dict(variables)
    return None


def _resources(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from _resources(child)
