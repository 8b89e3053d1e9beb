"""Which key a request claims, and what must be the same when it comes again."""

import hashlib
from collections.abc import Mapping
from typing import Any

from sunup.adapter.caller import caller

from .policy import Policy


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

    `scope` is ASGI's, or a WSGI environ; `target` the path with its query. A key belongs to its
    caller. Where nobody has said who that is, by an authorizer or by `policy.caller`, the
    `credentials` (the values of Authorization and Cookie) must be the same.
    """
    who = _caller(policy, scope)
    named = ("header", key) if key is not None else ("request", request_id(scope))
    fingerprint = [method, target, *([] if who else credentials)]
    return Claim(
        _digest([*(who or ("", "")), *named]), _digest([*fingerprint, body], b"fingerprint")
    )


def request_id(scope: Mapping[str, Any]) -> str | None:
    """What the gateway has named the request, the load balancer or, else, Lambda."""
    event, context = scope.get("aws.event"), scope.get("aws.context")
    if not isinstance(event, dict):
        return None
    named = (event.get("requestContext") or {}).get("requestId")
    return str(named or getattr(context, "aws_request_id", "") or "") or None


def _caller(policy: Policy, scope: Mapping[str, Any]) -> tuple[str, str] | None:
    if policy.caller is not None:
        named = policy.caller(scope)
        return None if named is None else ("app", str(named))
    found = caller(scope)
    if found is None or found.id is None:
        return None
    return f"{found.kind} {found.claims.get('iss', '')}", found.id


def _digest(parts: list[Any], purpose: bytes = b"key") -> bytes:
    """Of parts that cannot run into each other."""
    digest = hashlib.sha256(b"sunup receipt " + purpose)
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogateescape")
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.digest()
