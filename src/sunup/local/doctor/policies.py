"""What IAM allows, by its own simulation."""

from typing import Any

from sunup.local.aws import Arn

from .finding import Finding


def principal(iam: Any, identity: str) -> str:
    """The role or user behind a caller's identity: a session's own ARN cannot be simulated."""
    arn = Arn.parse(identity)
    kind, _, rest = ("" if arn is None else arn.resource).partition("/")
    if kind == "assumed-role":
        return str(iam.get_role(RoleName=rest.split("/")[0])["Role"]["Arn"])
    return identity


def simulated(iam: Any, principal: str, action: str, resource: str, user: str) -> Finding:
    """Whether a role or user may do what connecting as `user` takes. Raises botocore's errors."""
    name = principal.rpartition("/")[2]
    answer = iam.simulate_principal_policy(
        PolicySourceArn=principal, ActionNames=[action], ResourceArns=[resource]
    )
    decision = answer["EvaluationResults"][0]["EvalDecision"]
    if decision == "allowed":
        return Finding("policy", "ok", f"{name} may connect as {user}")
    return Finding(
        "policy",
        "failure",
        f"{name} may not connect as {user} ({decision})",
        f"Allow {action} on {resource}.",
    )
