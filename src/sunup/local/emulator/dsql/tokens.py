"""Verifies an IAM token as Aurora DSQL does, and says why it refuses, in the words of its hints.

The rules: Aurora DSQL User Guide, "Generating an authentication token", and botocore's signer. The
words: awslabs/agent-plugins, "observed on a live cluster 2026-10-01"; those of a wrong signature
are those of other services. Written apart from `sunup.connecting.iam`.
"""

import calendar
import hmac
import re
import time
from urllib.parse import unquote_to_bytes

from ..tokens import Iam, signature

# A week.
LONGEST = 604_800

# As for Aurora (`..tokens`): not documented.
_CLOCK_TOLERANCE = 300

_FORMS = {
    "Action": r"DbConnect|DbConnectAdmin",
    "X-Amz-Algorithm": r"AWS4-HMAC-SHA256",
    "X-Amz-Credential": r"\w+/[0-9]{8}/[a-z0-9-]+/[a-z0-9-]+/aws4_request",
    "X-Amz-Date": r"[0-9]{8}T[0-9]{6}Z",
    "X-Amz-Expires": r"[1-9][0-9]{0,5}",
    "X-Amz-SignedHeaders": r"host",
    "X-Amz-Signature": r"[0-9a-f]{64}",
}


def refusal(
    iam: Iam, token: str, *, host: str, user: str, region: str, now: float | None = None
) -> str | None:
    """Why the token is refused, as the client is told; None when it is good.

    `now` is in seconds since the epoch.
    """
    now = time.time() if now is None else now
    address, _, query = token.encode("utf-8", "replace").decode().partition("/?")
    fields: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name in fields:
            return "The token is malformed: a parameter is repeated"
        fields[name] = unquote_to_bytes(value).decode("utf-8", "replace")
    if address.lower() != host.lower():
        return "The token is not one for this host"
    return (
        _wrong_form(fields)
        or _wrong_scope(fields, user=user, region=region)
        or _wrong_time(fields, now)
        or _wrong_signature(iam, fields, host.lower(), now)
    )


def _wrong_form(fields: dict[str, str]) -> str | None:
    for name, form in _FORMS.items():
        if name not in fields:
            return f"{name} is missing"
        if not re.fullmatch(form, fields[name], re.ASCII):
            return f"{name} is malformed"
    return None


def _wrong_scope(fields: dict[str, str], *, user: str, region: str) -> str | None:
    action = fields["Action"]
    if action != ("DbConnectAdmin" if user == "admin" else "DbConnect"):
        return f"Wrong user to action mapping. user: {user}, action: {action}"
    _, day, scope_region, service, _ = fields["X-Amz-Credential"].split("/")
    if service != "dsql":
        return f"Credential should be scoped to correct service: 'dsql', not '{service}'"
    if scope_region != region:
        return f"Credential should be scoped to a valid region: '{region}', not '{scope_region}'"
    if day != fields["X-Amz-Date"][:8]:
        return "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date"
    return None


def _wrong_time(fields: dict[str, str], now: float) -> str | None:
    date = fields["X-Amz-Date"]
    try:
        signed = calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return "X-Amz-Date is malformed"
    lifetime = int(fields["X-Amz-Expires"])
    if lifetime > LONGEST:
        return f"X-Amz-Expires must be less than {LONGEST} seconds"
    if signed > now + _CLOCK_TOLERANCE:
        return f"Signature not yet current: {date} is still later than {_stamp(now)}"
    if now > signed + lifetime:
        return f"Signature expired: {_stamp(signed + lifetime)} is now earlier than {_stamp(now)}"
    return None


def _wrong_signature(iam: Iam, fields: dict[str, str], host: str, now: float) -> str | None:
    try:
        key = iam.usable(fields["X-Amz-Credential"].partition("/")[0], now)
    except LookupError as error:
        return f"The security token included in the request is invalid: {error}"
    if key.session_token != fields.get("X-Amz-Security-Token"):
        return "The security token included in the request is invalid: not that of the access key"
    if not hmac.compare_digest(signature(fields, key.secret, host), fields["X-Amz-Signature"]):
        return "The request signature we calculated does not match the signature you provided"
    return None


def _stamp(at: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
