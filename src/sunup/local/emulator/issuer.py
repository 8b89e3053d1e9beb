"""An OpenID provider for tests: its key, its discovery document, and tokens for anybody.

OpenID Connect Discovery 1.0, section 4; RFC 7517 (JWKS); RFC 9068 (JWTs as access tokens).
"""

import json
import time
import uuid
from collections.abc import Iterable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

# What the emulator's own gateway asks for, and its tokens have, unless another is given.
AUDIENCE = "emulator"

LIFETIME = 3600


class Issuer:
    """Signs with RS256, as Cognito and most others do. Its `url` is known once it is served."""

    def __init__(self, audience: str = AUDIENCE) -> None:
        self.url = ""
        self._audience = audience
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._id = uuid.uuid4().hex
        self.routes = [
            Route("/.well-known/openid-configuration", self._configuration),
            Route("/.well-known/jwks.json", self._jwks),
            Route("/token", self._token),
        ]

    def token(self, **claims: Any) -> str:
        """A token for an hour; `claims` are added, replace others, and leave out those of None."""
        now = int(time.time())
        content = {
            "iss": self.url,
            "sub": "anna",
            "aud": self._audience,
            "iat": now,
            "exp": now + LIFETIME,
            "jti": str(uuid.uuid4()),
            **claims,
        }
        content = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(content, self._key, "RS256", headers={"kid": self._id})

    async def _configuration(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/.well-known/jwks.json",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def _jwks(self, _: Request) -> Response:
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return JSONResponse({"keys": [key | {"kid": self._id, "use": "sig", "alg": "RS256"}]})

    async def _token(self, request: Request) -> Response:
        """`curl localhost:3001/token?sub=anna&scope=users.read`."""
        try:
            claims = _claims(request.query_params.multi_items())
        except ValueError:
            return PlainTextResponse(
                "exp, nbf and iat must be numbers of seconds since the epoch\n", 400
            )
        return PlainTextResponse(self.token(**claims))


def _claims(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Numbers for the claims that are times, text for all others. Raises `ValueError`."""
    return {name: int(value) if name in ("exp", "nbf", "iat") else value for name, value in pairs}
