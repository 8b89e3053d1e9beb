"""Verifies an IAM token as Aurora does, and says why it refuses: which Aurora keeps to itself.

The rules: Aurora User Guide, "IAM database authentication"; the signature: AWS General Reference,
"Signature Version 4", query parameters. Written apart from `sunup.connecting.iam`: a mistake there
is not repeated here.
"""

import calendar
import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes

LIFETIME = 900

# How far ahead of ours a client's clock may be. The tolerance of rds-db is not documented; SigV4
# services use 5 minutes.
_CLOCK_TOLERANCE = 300

# What a token must have, and how its values are written. Anything else must be signed, too.
_FORMS = {
    "Action": r"connect",
    "DBUser": r".*",
    "X-Amz-Algorithm": r"AWS4-HMAC-SHA256",
    "X-Amz-Credential": r"\w+/[0-9]{8}/[a-z0-9-]+/[a-z0-9-]+/aws4_request",
    "X-Amz-Date": r"[0-9]{8}T[0-9]{6}Z",
    "X-Amz-Expires": r"[1-9][0-9]{0,5}",
    "X-Amz-SignedHeaders": r"host",
    "X-Amz-Signature": r"[0-9a-f]{64}",
}


@dataclass
class AccessKey:
    """A temporary access key; `expires` in seconds since the epoch."""

    id: str
    secret: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires: float | None = None
    revoked: bool = False

    def environment(self) -> dict[str, str]:
        """As Lambda gives it to a function."""
        variables = {"AWS_ACCESS_KEY_ID": self.id, "AWS_SECRET_ACCESS_KEY": self.secret}
        if self.session_token is not None:
            variables["AWS_SESSION_TOKEN"] = self.session_token
        return variables


class Iam:
    """The access keys that the emulated account knows; the newest is given to new instances."""

    def __init__(self) -> None:
        self._keys: dict[str, AccessKey] = {}
        self.current = self.rotate()

    def rotate(self) -> AccessKey:
        """Make a new key. The older ones stay valid, as those of a role's earlier session do."""
        key = AccessKey(
            id=f"ASIA{secrets.token_hex(8).upper()}",
            secret=secrets.token_urlsafe(30),
            # About the length of a real one, with the characters that need encoding.
            session_token=f"IQoJb3JpZ2luX2Vj+/{secrets.token_urlsafe(500)}==",
        )
        self._keys[key.id] = self.current = key
        return key

    def add(self, key: AccessKey) -> None:
        """Know one more key."""
        self._keys[key.id] = key

    def revoke(self) -> None:
        """Refuse what any key made so far signs."""
        for key in self._keys.values():
            key.revoked = True

    def usable(self, identifier: str, now: float | None = None) -> AccessKey:
        """The key of this id. Raises `LookupError` with the reason why it may not be used."""
        key = self._keys.get(identifier)
        if key is None:
            raise LookupError("the access key is unknown")
        if key.revoked:
            raise LookupError("the credentials were revoked")
        if key.expires is not None and (time.time() if now is None else now) >= key.expires:
            raise LookupError("the credentials have expired")
        return key

    def refusal(
        self, token: str, *, host: str, port: int, user: str, region: str, now: float | None = None
    ) -> str | None:
        """Why the token is refused; None when it is good."""
        now = time.time() if now is None else now
        token = token.encode("utf-8", "replace").decode()
        start = f"{host}:{port}/?"
        if not token.startswith(start):
            return "the token is not one for this host and port"
        fields: dict[str, str] = {}
        for part in token.removeprefix(start).split("&"):
            name, _, value = part.partition("=")
            if name in fields:
                return "the token is malformed: a parameter is repeated"
            # Strictly: what is not as a signer writes it (`+`, bytes that are no UTF-8) is kept,
            # and is then no valid value.
            fields[name] = unquote_to_bytes(value).decode("utf-8", "replace")
        return (
            _wrong_field(fields, user=user, region=region)
            or _wrong_time(fields, now)
            or self._wrong_signature(fields, f"{host}:{port}", now)
        )

    def _wrong_signature(self, fields: dict[str, str], host: str, now: float) -> str | None:
        try:
            key = self.usable(fields["X-Amz-Credential"].partition("/")[0], now)
        except LookupError as error:
            return str(error)
        if key.session_token != fields.get("X-Amz-Security-Token"):
            return "the session token is missing or not that of the access key"
        expected = signature(fields, key.secret, host)
        if not hmac.compare_digest(expected, fields["X-Amz-Signature"]):
            return "the signature does not match"
        return None


def _wrong_field(fields: dict[str, str], *, user: str, region: str) -> str | None:
    for name, form in _FORMS.items():
        if name not in fields:
            return f"{name} is missing"
        if not re.fullmatch(form, fields[name], re.ASCII | re.DOTALL):
            return f"{name} is malformed"
    if fields["DBUser"] != user:
        return "the token is for another user"
    scope = fields["X-Amz-Credential"].split("/")
    if scope[1] != fields["X-Amz-Date"][:8]:
        return "the credential scope is for another day"
    if scope[3] != "rds-db":
        return "the token is signed for another service"
    if scope[2] != region:
        return "the token is signed for another region"
    return None


def _wrong_time(fields: dict[str, str], now: float) -> str | None:
    try:
        signed = calendar.timegm(time.strptime(fields["X-Amz-Date"], "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return "the token's date is malformed"
    lifetime = int(fields["X-Amz-Expires"])
    if not 0 < lifetime <= LIFETIME:
        return f"X-Amz-Expires is not between 1 and {LIFETIME}"
    if signed > now + _CLOCK_TOLERANCE:
        return "the token is from the future"
    if now > signed + lifetime:
        return "the token has expired"
    return None


def signature(fields: dict[str, str], secret: str, host: str) -> str:
    """What SigV4 makes of a presigned URL's parameters, without its own."""
    names = sorted(name for name in fields if name != "X-Amz-Signature")
    query = "&".join(f"{name}={quote(fields[name], safe='-_.~')}" for name in names)
    canonical = "\n".join(
        ["GET", "/", query, f"host:{host}", "", "host", hashlib.sha256(b"").hexdigest()]
    )
    scope = fields["X-Amz-Credential"].partition("/")[2]
    text = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            fields["X-Amz-Date"],
            scope,
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
