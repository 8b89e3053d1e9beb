"""An HTTP API's authorizers: JWT and IAM.

API Gateway Developer Guide, "Control access to HTTP APIs with JWT authorizers" and "... with IAM
authorization". Signatures are verified by libraries: PyJWT, and botocore's own SigV4.
"""

import asyncio
import calendar
import hashlib
import hmac
import json
import re
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials
from botocore.utils import normalize_url_path

from .tokens import Iam

# "We currently support only RSA-based algorithms" (the guide).
_ALGORITHMS = ["RS256", "RS384", "RS512"]

# SigV4's tolerance for a client's clock, in seconds.
_CLOCK_TOLERANCE = 300


@dataclass(frozen=True)
class Refused(Exception):
    """Nobody is let in: the status, what `WWW-Authenticate` says, and why, for the timeline."""

    status: int
    challenge: str | None
    reason: str


@dataclass(frozen=True)
class Asked:
    """A request, as far as an authorizer looks at it: as the function will get it.

    Names of headers are in lower case, values of one name joined by a comma.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Authorizer(Protocol):
    """Lets requests in."""

    async def authorize(self, asked: Asked) -> dict[str, Any]:
        """The event's `requestContext.authorizer` in payload 2.0. Raises `Refused`."""


class JwtAuthorizer:
    """Checks a bearer token: signature, `iss`, `aud` or `client_id`, times, and one of `scopes`."""

    def __init__(self, issuer: str, audience: tuple[str, ...], scopes: tuple[str, ...] = ()):
        self._issuer = issuer
        self._audience = audience
        self._scopes = scopes
        self._keys: jwt.PyJWKClient | None = None

    async def authorize(self, asked: Asked) -> dict[str, Any]:
        """`{"jwt": {"claims", "scopes"}}`; each claim is text. Raises `Refused`."""
        token = asked.headers.get("authorization", "")
        kind, _, rest = token.partition(" ")
        token = rest.strip() if kind.lower() == "bearer" else token
        if not token:
            raise Refused(401, "Bearer", "there is no token")
        try:
            claims = await asyncio.to_thread(self._verified, token)
        except Exception as error:
            # Also whatever a provider's documents may be: HTML, a list, half of one.
            description = str(error).replace('"', "'")
            challenge = f'Bearer scope="" error="invalid_token" error_description="{description}"'
            raise Refused(401, _plain(challenge), description) from None
        had = claims.get("scope", claims.get("scp", ""))
        had = [str(each) for each in had] if isinstance(had, list) else str(had).split()
        if self._scopes and not set(self._scopes) & set(had):
            wanted = " ".join(self._scopes)
            challenge = f'Bearer scope="{wanted}" error="insufficient_scope"'
            raise Refused(403, _plain(challenge), f"the token has none of the scopes {wanted}")
        texts = {name: _text(value) for name, value in claims.items() if value is not None}
        granted = [each for each in had if each in self._scopes]
        return {"jwt": {"claims": texts, "scopes": granted if self._scopes else None}}

    def _verified(self, token: str) -> dict[str, Any]:
        if self._keys is None:
            self._keys = jwt.PyJWKClient(self._jwks_uri(), timeout=5)
        # The key alone: PyJWT takes one without an `alg`, which RFC 7517 allows, for RS256's.
        key = self._keys.get_signing_key_from_jwt(token).key
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=_ALGORITHMS,
            issuer=self._issuer,
            options={"verify_aud": False, "require": ["exp", "iss"]},
        )
        # "API Gateway validates client_id only if aud is not present" (the guide).
        audience = claims.get("aud", claims.get("client_id"))
        several = audience if isinstance(audience, list) else [audience]
        if not set(self._audience) & {str(each) for each in several}:
            raise jwt.InvalidAudienceError("the token has an invalid audience")
        return claims

    def _jwks_uri(self) -> str:
        url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310  # the user's issuer
            return str(json.load(response)["jwks_uri"])


class IamAuthorizer:
    """Checks that a request is signed (SigV4) with an access key of the emulated account."""

    def __init__(self, iam: Iam, region: str, service: str = "execute-api") -> None:
        self._iam = iam
        self._region = region
        self._service = service

    async def authorize(self, asked: Asked) -> dict[str, Any]:
        """`{"iam": {...}}`. Raises `Refused`."""
        try:
            key = self._signer(asked)
        except (LookupError, ValueError) as error:
            raise Refused(403, None, str(error).strip("'")) from None
        name = "emulator"
        return {
            "iam": {
                "accessKey": key,
                "accountId": "123456789012",
                "callerId": f"AROAEMULATOR:{name}",
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": f"arn:aws:sts::123456789012:assumed-role/{name}/{name}",
                "userId": f"AROAEMULATOR:{name}",
            }
        }

    def _signer(self, asked: Asked) -> str:
        """The id of the access key. Raises `ValueError` or `LookupError` with the reason."""
        algorithm, _, rest = asked.headers.get("authorization", "").partition(" ")
        if algorithm != "AWS4-HMAC-SHA256":
            raise ValueError("the request is not signed")
        parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        if set(parts) != {"Credential", "SignedHeaders", "Signature"}:
            raise ValueError("the Authorization header is not a single signature")
        names = parts["SignedHeaders"].split(";")
        identifier, *scope = parts["Credential"].split("/")
        date = asked.headers["x-amz-date"]
        if scope != [date[:8], self._region, self._service, "aws4_request"]:
            raise ValueError("the signature's scope is for another day, region or service")
        signed = calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
        if abs(time.time() - signed) > _CLOCK_TOLERANCE:
            raise ValueError("the signature is too old, or from the future")
        needed = {"host"} | {name for name in asked.headers if name.startswith("x-amz-")}
        if not needed <= set(names):
            raise ValueError(f"not signed: {', '.join(sorted(needed - set(names)))}")
        # What a signature does not tell apart, or does not cover: other paths, fragments.
        path = asked.target.partition("?")[0]
        if not path.startswith("/") or "#" in asked.target or normalize_url_path(path) != path:
            raise ValueError("the request target is not in its normal form")
        key = self._iam.usable(identifier)
        if asked.headers.get("x-amz-security-token") != key.session_token:
            raise ValueError("the session token is missing or not that of the access key")
        digest = asked.headers.get("x-amz-content-sha256")
        if digest is not None and digest != hashlib.sha256(asked.body).hexdigest():
            raise ValueError("the body is not what was signed")
        request = AWSRequest(
            method=asked.method,
            url=f"http://{asked.headers['host']}{asked.target}",
            headers={name: asked.headers[name] for name in names},
            data=asked.body,
        )
        request.context["timestamp"] = date
        credentials = Credentials(identifier, key.secret, key.session_token)
        signer = _Verifier(credentials, self._service, self._region)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        told = parts["Signature"].encode("utf-8", "replace")
        if not hmac.compare_digest(signer.signature(text, request).encode(), told):
            raise ValueError("the signature does not match")
        return identifier


class _Verifier(SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """Signs what the client says it signed, and tells apart what the specification does.

    botocore leaves some headers out that a proxy may change, and takes any Unicode white space for
    a blank: that is a signer's choice.
    """

    def headers_to_sign(self, request: AWSRequest) -> Any:
        made = HTTPHeaders()
        for name, value in request.headers.items():
            made[name.lower()] = value
        return made

    def _header_value(self, value: str) -> str:
        return re.sub(" +", " ", value.strip(" \t"))


def _text(value: Any) -> str:
    """A claim as an HTTP API passes it on: text, lists as `[a b]`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{' '.join(_text(each) for each in value)}]"
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _plain(text: str) -> str:
    """For a header: ASCII, without control characters."""
    return "".join([each if each.isascii() and each.isprintable() else "?" for each in text])
