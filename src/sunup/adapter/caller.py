"""Who calls, as the front in AWS has found out."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple


class Caller(NamedTuple):
    """Somebody whom an authorizer let in.

    `claims` are a JWT's claims (`kind` "jwt"), the fields of an IAM identity ("iam"), or the
    context that a Lambda authorizer answered with ("lambda"), as AWS delivers them: an HTTP API
    makes text of each claim. `id` is the claim `sub`, the identity's ARN, or the authorizer's
    `principalId`, where there is one. `scopes` are those that the route asked for, and the token
    has.
    """

    kind: Literal["jwt", "iam", "lambda"]
    id: str | None
    claims: Mapping[str, Any]
    scopes: tuple[str, ...] = ()


def caller(request: Mapping[str, Any]) -> Caller | None:
    """Who calls: from an ASGI scope or a WSGI environ. None where nobody was asked to log in.

    It is what API Gateway's authorizers (JWT, Cognito, IAM, Lambda), a function URL's or VPC
    Lattice's IAM have verified. A load balancer only adds headers (`x-amzn-oidc-data`), whose
    signature the app has to verify (ELB User Guide, "Authenticate users"): it answers None.
    """
    event = request.get("aws.event")
    context = event.get("requestContext") if isinstance(event, dict) else None
    if not isinstance(context, dict) or "elb" in context:
        return None
    authorizer = context.get("authorizer")
    if isinstance(authorizer, dict) and authorizer:
        found = _of_authorizer(authorizer)
        if found is not None:
            return found
    identity = context.get("identity")
    if isinstance(identity, dict):
        # A REST API's, and VPC Lattice's.
        arn = identity.get("userArn") or identity.get("principal")
        if arn:
            return Caller("iam", str(arn), identity)
    return None


def _of_authorizer(authorizer: dict[str, Any]) -> Caller | None:
    # First: all else beside it is the Lambda authorizer's own, whatever its name.
    if authorizer.get("principalId") is not None:
        own = {name: authorizer[name] for name in authorizer if name not in _OF_GATEWAY}
        return Caller("lambda", str(authorizer["principalId"]), own)
    iam = authorizer.get("iam")
    if isinstance(iam, dict) and (iam.get("userArn") or iam.get("userId")):
        return Caller("iam", iam.get("userArn") or None, iam)
    own = authorizer.get("lambda", "")
    if own is None or isinstance(own, dict):  # null: it let somebody in, and said no more
        return Caller("lambda", None, own or {})
    jwt = authorizer.get("jwt", authorizer)  # payload 1.0 and Cognito have no level between
    claims = jwt.get("claims") if isinstance(jwt, dict) else None
    if isinstance(claims, dict):
        scopes = jwt.get("scopes")
        return Caller(
            "jwt", claims.get("sub"), claims, tuple(scopes) if isinstance(scopes, list) else ()
        )
    return None


# What API Gateway adds to a Lambda authorizer's context.
_OF_GATEWAY = frozenset(("principalId", "integrationLatency"))
