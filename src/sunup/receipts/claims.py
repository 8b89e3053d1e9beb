"""Which key a request claims, and what must be the same when it comes again."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from sunup.adapter.caller import caller

from .policy import Policy

# Headers that say who calls: to the app itself, or by a load balancer or a proxy in front.
CREDENTIALS = frozenset(
    (
        *("authorization", "cookie", "proxy-authorization", "x-api-key"),
        *("x-access-token", "x-auth-token"),
        *("x-amzn-mtls-clientcert", "x-amzn-mtls-clientcert-leaf"),
        *("x-amzn-mtls-clientcert-issuer", "x-amzn-mtls-clientcert-serial-number"),
        *("x-amzn-mtls-clientcert-subject", "x-amzn-oidc-identity"),
        *("cf-access-jwt-assertion", "x-goog-iap-jwt-assertion", "x-ms-client-principal-id"),
        *("x-forwarded-client-cert", "x-forwarded-email", "x-forwarded-user"),
        *("x-remote-user", "remote-user"),
    )
)


def environ_names(headers: Iterable[str]) -> list[str]:
    """These headers' names in a WSGI environ."""
    return [f"HTTP_{name.upper().replace('-', '_')}" for name in sorted(headers)]


class Claim:
    """`key` is the receipt's, 32 bytes; so many has the `fingerprint` of the request."""

    __slots__ = ("fingerprint", "key")

    def __init__(self, key: bytes, fingerprint: bytes) -> None:
        self.key = key
        self.fingerprint = fingerprint


def claim_of(
    policy: Policy,
    scope: Mapping[str, Any],
    *,
    key: str | None,
    method: str,
    target: str,
    credentials: list[str],
    body: bytes,
) -> Claim:
    """The claim of a request with a `key`, or by the gateway's id of it where that is None.

    `scope` is ASGI's, or a WSGI environ; `target` the host with the path and its query. A key
    belongs to its caller. Where nobody has said who that is, by an authorizer or by
    `policy.caller`, the `credentials` (see `CREDENTIALS`) must be the same, and so must what an
    authorizer has said.
    """
    who, said = _caller(policy, scope)
    named = ("header", key) if key is not None else ("request", request_id(scope))
    # What may be renewed meanwhile does not matter where it is known who calls.
    proof = [*said, *([] if who and not said else credentials)]
    return Claim(
        _digest([len(who), *who, *named]),
        _digest([method, target, len(proof), *proof, body], b"fingerprint"),
    )


def request_id(scope: Mapping[str, Any]) -> str | None:
    """What the gateway has named the request, the load balancer or, else, Lambda."""
    event, context = scope.get("aws.event"), scope.get("aws.context")
    if not isinstance(event, dict):
        return None
    named = (event.get("requestContext") or {}).get("requestId")
    return str(named or getattr(context, "aws_request_id", "") or "") or None


def _caller(policy: Policy, scope: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Who calls, as far as it was verified; and what else an authorizer has said of them."""
    if policy.caller is not None:
        named: Any = policy.caller(scope)
        if isinstance(named, str | int | None) and not isinstance(named, bool):
            return (["app", str(named)] if named else []), []
        if hasattr(named, "close"):
            named.close()  # a coroutine
        raise TypeError(f"caller returned {type(named).__name__}; expected text, or None")
    found = caller(scope)
    who = _certificate_and_key(scope)
    said: list[str] = []
    if found is not None:
        # An IAM identity of a Cognito identity pool is one role for all of its users.
        pool = found.claims.get("cognitoIdentity")
        user = pool.get("identityId") if isinstance(pool, dict) else None
        user = user or found.claims.get("cognitoIdentityId")
        if found.id is None or found.kind == "lambda":
            # What a principalId means is the authorizer's own affair: many give the same to all.
            said = [found.kind, json.dumps(found.claims, sort_keys=True, default=str)]
        if found.id is not None:
            who += [found.kind, str(found.claims.get("iss", "")), found.id, str(user or "")]
    return who, said


def _certificate_and_key(scope: Mapping[str, Any]) -> list[str]:
    """What API Gateway has verified beside an authorizer: a client's certificate, an API key."""
    event = scope.get("aws.event")
    context = event.get("requestContext") if isinstance(event, dict) else None
    if not isinstance(context, dict) or "elb" in context:
        return []
    found = []
    for holder in (context.get("authentication"), context.get("identity")):
        if not isinstance(holder, dict):
            continue
        certificate = holder.get("clientCert")
        if isinstance(certificate, dict):
            found += ["certificate", *(str(certificate.get(name)) for name in _OF_CERTIFICATE)]
        if holder.get("apiKeyId"):
            found += ["API key", str(holder["apiKeyId"])]
    return found


_OF_CERTIFICATE = ("issuerDN", "serialNumber", "subjectDN")


def _digest(parts: list[Any], purpose: bytes = b"key") -> bytes:
    """Of parts that cannot run into each other."""
    digest = hashlib.sha256(b"sunup receipt " + purpose)
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogateescape")
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.digest()
