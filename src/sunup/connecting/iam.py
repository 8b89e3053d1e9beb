"""The IAM token that is the password of a database user on AWS, signed without an SDK.

A token is a SigV4 presigned URL without its scheme. Signing is local work: no network call, well
under a millisecond. So nothing is cached: each attempt to connect gets its own token, which cannot
be too old and is signed with the credentials that are valid now.
"""

import hashlib
import hmac
import time
from urllib.parse import quote

from .credentials import Credentials

# Aurora refuses a token older than this (Aurora User Guide, "IAM database authentication"); Aurora
# DSQL takes up to a week (its User Guide, "Generating an authentication token").
TOKEN_LIFETIME = 900

# The one user of Aurora DSQL that has an action of its own.
DSQL_ADMIN = "admin"

_EMPTY_PAYLOAD_SHA256 = hashlib.sha256(b"").hexdigest()


def auth_token(
    *,
    host: str,
    port: int,
    user: str,
    region: str,
    credentials: Credentials,
    now: float | None = None,
) -> str:
    """Sign the password for one attempt to connect; valid for 15 minutes from `now`.

    `host` is the RDS endpoint itself (your own CNAME cannot be used in a token), `region`
    that of the cluster, `now` seconds since the epoch. The result equals botocore's
    `generate_db_auth_token` byte for byte. Pass it to a driver as it is; percent-encode it only
    inside a URL, which is better avoided: a token is a secret.
    """
    # The signed Host header is the URL's host in lower case, without https's own port.
    signed_host = host.lower() if port == 443 else f"{host.lower()}:{port}"
    query = [("Action", "connect"), ("DBUser", user)]
    return _signed("rds-db", f"{host}:{port}", signed_host, query, region, credentials, now)


def dsql_token(
    *, host: str, user: str, region: str, credentials: Credentials, now: float | None = None
) -> str:
    """As `auth_token`, for Aurora DSQL, whose tokens name no port and no user.

    The result has the parameters and the signature of botocore's
    `generate_db_connect_auth_token`, or for `admin` of `generate_db_connect_admin_auth_token`.
    Which role may be used is decided by the database (`AWS IAM GRANT`).
    """
    action = "DbConnectAdmin" if user == DSQL_ADMIN else "DbConnect"
    return _signed("dsql", host, host.lower(), [("Action", action)], region, credentials, now)


def _signed(
    service: str,
    address: str,
    signed_host: str,
    query: list[tuple[str, str]],
    region: str,
    credentials: Credentials,
    now: float | None,
) -> str:
    clock = time.gmtime(time.time() if now is None else now)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", clock)
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    query = [
        *query,
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", f"{credentials.access_key}/{scope}"),
        ("X-Amz-Date", stamp),
        ("X-Amz-Expires", str(TOKEN_LIFETIME)),
        ("X-Amz-SignedHeaders", "host"),
    ]
    if credentials.session_token is not None:
        query.append(("X-Amz-Security-Token", credentials.session_token))
    pairs = [f"{name}={quote(value, safe='-_.~')}" for name, value in query]
    # SigV4 signs the parameters sorted; the token itself keeps botocore's order.
    ordered = "&".join(sorted(pairs))
    canonical = f"GET\n/\n{ordered}\nhost:{signed_host}\n\nhost\n{_EMPTY_PAYLOAD_SHA256}"
    signature = signature_of(canonical, stamp, scope, credentials)
    return f"{address}/?{'&'.join(pairs)}&X-Amz-Signature={signature}"


def signature_of(canonical: str, stamp: str, scope: str, credentials: Credentials) -> str:
    """SigV4's signature of a canonical request; `scope` is day/region/service/aws4_request."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()
