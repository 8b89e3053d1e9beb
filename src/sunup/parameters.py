"""Secrets from AWS Systems Manager's Parameter Store, as environment variables, without an SDK.

`SUNUP_PARAMETERS` maps variables' names to parameters' names, as JSON: Terraform's variable
`parameters` sets it. The values are in neither the function's configuration nor a state.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, MutableMapping
from typing import Any

from .connecting.credentials import Credentials, CredentialSource
from .connecting.iam import signature_of
from .settings import SettingsError

VARIABLE = "SUNUP_PARAMETERS"

# Systems Manager API, GetParameters: at most 10 names.
_AT_ONCE = 10
# Seconds for each wait, and for the pause before the second try.
_TIMEOUT = 3.0
_PAUSE = 0.3


class ParametersUnavailable(Exception):
    """The parameters could not be had. The message quotes no value."""


def load(environ: MutableMapping[str, str] | None = None) -> None:
    """Set the variables that `SUNUP_PARAMETERS` names; those that are set already stay.

    To be called first in lambda_function.py: INIT has it done before the app is imported. Does
    nothing where `SUNUP_PARAMETERS` is not set, as on a laptop. One request for ten parameters.
    Raises `SettingsError`, `CredentialsMissing` and `ParametersUnavailable`, which end INIT.
    """
    environ = os.environ if environ is None else environ
    wanted = {name: found for name, found in _wanted(environ).items() if name not in environ}
    if not wanted:
        return
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise SettingsError("AWS_REGION", None, "a region such as eu-central-1")
    credentials = CredentialSource(environ).find()
    values: dict[str, str] = {}
    for names in _in_parts(sorted(set(wanted.values()))):
        values.update(_fetched(names, region, credentials, environ.get("AWS_ENDPOINT_URL_SSM")))
    missing = sorted(name for name in wanted.values() if name not in values)
    if missing:
        raise ParametersUnavailable(f"there is no parameter {', '.join(missing)} in {region}")
    for variable, name in wanted.items():
        environ[variable] = values[name]


def _wanted(environ: MutableMapping[str, str]) -> dict[str, str]:
    text = environ.get(VARIABLE)
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise SettingsError(VARIABLE, text, 'JSON such as {"STRIPE_KEY": "/shop/stripe-key"}')
    return found


def _in_parts(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]


def _fetched(
    names: list[str], region: str, credentials: Credentials, endpoint: str | None
) -> dict[str, str]:
    """Ask once, and once more after a failure that may pass."""
    body = json.dumps({"Names": names, "WithDecryption": True}).encode()
    for last in (False, True):
        status, content = _asked(body, region, credentials, endpoint)
        if status == 200:
            return {each["Name"]: each["Value"] for each in content.get("Parameters", [])}
        kind = str(content.get("__type", "")).rpartition("#")[2]
        if last or not (status in (0, 429) or status >= 500 or kind == "ThrottlingException"):
            told = kind or (f"HTTP {status}" if status else str(content["error"]))
            raise ParametersUnavailable(
                f"Systems Manager did not return {', '.join(names)}: {told}"
            )
        time.sleep(_PAUSE)
    raise AssertionError


def _asked(
    body: bytes, region: str, credentials: Credentials, endpoint: str | None
) -> tuple[int, dict[str, Any]]:
    """The status and the answer; 0 and the error's name where none came."""
    import http.client
    from urllib.parse import urlsplit

    suffix = ".cn" if region.startswith("cn-") else ""
    url = urlsplit(endpoint or f"https://ssm.{region}.amazonaws.com{suffix}")
    connect = http.client.HTTPConnection if url.scheme == "http" else http.client.HTTPSConnection
    connection = connect(url.hostname or "", url.port, timeout=_TIMEOUT)
    # Exceptions of http.client hold what was read: none is passed on as a cause.
    try:
        connection.request("POST", "/", body, _signed(url.netloc, body, region, credentials))
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, {"error": type(error).__name__}
    finally:
        connection.close()
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    return response.status, found if isinstance(found, dict) else {}


def _signed(
    host: str, body: bytes, region: str, credentials: Credentials, now: float | None = None
) -> dict[str, str]:
    """The headers, with SigV4's (IAM User Guide, "Create a signed AWS API request")."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() if now is None else now))
    scope = f"{stamp[:8]}/{region}/ssm/aws4_request"
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": host,
        "x-amz-date": stamp,
        "x-amz-target": "AmazonSSM.GetParameters",
    }
    if credentials.session_token is not None:
        headers["x-amz-security-token"] = credentials.session_token
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    digest = hashlib.sha256(body).hexdigest()
    signature = signature_of(f"POST\n/\n\n{lines}\n{names}\n{digest}", stamp, scope, credentials)
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return headers
