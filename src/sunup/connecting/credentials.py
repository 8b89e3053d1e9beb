"""Where the AWS credentials that sign a token come from.

Environment variables (Lambda), the container credentials endpoint (Lambda SnapStart, ECS, EKS), or
botocore's chain where botocore is installed (profiles and SSO on a laptop). botocore is imported
only when the first two have nothing.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from sunup.failures import CredentialsMissing
from sunup.settings import is_loopback

# Signing with credentials that end before the token is used makes a refused token. AWS's SDKs
# refresh from 5 minutes before the end for the same reason.
REFRESH_BEFORE_EXPIRY = 300.0

# The hosts that the AWS SDKs accept for the plain-http endpoint: ECS, EKS (IPv4 and IPv6).
_CONTAINER_HOSTS = {"localhost", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"}
# Seconds: for each wait, and between the two tries.
_CONTAINER_TIMEOUT = 2.0
_CONTAINER_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class Credentials:
    """AWS credentials; `expires` is in seconds since the epoch, None when it is not known."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires: float | None = None

    def fresh(self, now: float) -> bool:
        """Whether a token that is signed at `now` (seconds since the epoch) can be relied on."""
        return self.expires is None or now < self.expires - REFRESH_BEFORE_EXPIRY


def from_environment(environ: Mapping[str, str] | None = None) -> Credentials | None:
    """Read `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, when set."""
    environ = os.environ if environ is None else environ
    access_key = environ.get("AWS_ACCESS_KEY_ID")
    secret_key = environ.get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret_key:
        return None
    return Credentials(access_key, secret_key, environ.get("AWS_SESSION_TOKEN") or None)


class CredentialSource:
    """Finds credentials and keeps those that come with an expiry until shortly before it."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._cached: Credentials | None = None

    def ready(self) -> Credentials | None:
        """The credentials that need no network and no file; None means: call `find`."""
        found = from_environment(self._environ)
        if found is None and self._cached is not None and self._cached.fresh(time.time()):
            found = self._cached
        return found

    def forget(self) -> None:
        """Drop what is kept: a snapshot of the process must hold no secret."""
        self._cached = None

    def find(self) -> Credentials:
        """The credentials, asking the container endpoint or botocore where needed (blocks).

        Raises `CredentialsMissing`, which says where it looked.
        """
        found = self.ready()
        if found is None:
            if self._environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
                found = from_container(self._environ)
            else:
                found = from_botocore(self._environ)
            self._cached = found if found.expires is not None else None
        return found


def from_container(environ: Mapping[str, str]) -> Credentials:
    """Ask the endpoint that Lambda SnapStart, ECS and EKS name in the environment.

    Lambda Developer Guide, "Activating SnapStart": functions with SnapStart have no access key
    variables but `AWS_CONTAINER_CREDENTIALS_FULL_URI` and `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
    A failure that may pass in a moment (no answer, half of one, HTTP 429, 5xx) is retried once.
    Raises `CredentialsMissing`, which never quotes the answer: it is a secret.
    """
    from urllib.parse import urlsplit

    address = environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    try:
        url = urlsplit(address)
        host, port = url.hostname or "", url.port
    except ValueError as error:
        raise CredentialsMissing(
            f"AWS_CONTAINER_CREDENTIALS_FULL_URI is not a URL: {error}"
        ) from None
    secure = url.scheme == "https"
    if not (secure or host in _CONTAINER_HOSTS or is_loopback(host)):
        raise CredentialsMissing(
            f"AWS_CONTAINER_CREDENTIALS_FULL_URI names the host {host!r}; the authorization token "
            "is sent only to https, loopback and the ECS and EKS addresses"
        )
    headers = {"Accept": "application/json"}
    if token := _container_token(environ):
        headers["Authorization"] = token
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        return _ask(host, port, path, headers, secure=secure)
    except _Passing:
        time.sleep(_CONTAINER_PAUSE)
    try:
        return _ask(host, port, path, headers, secure=secure)
    except _Passing as failure:
        raise CredentialsMissing(f"{failure}, twice") from None


class _Passing(Exception):
    """The endpoint failed in a way that may pass within a moment."""


def _ask(
    host: str, port: int | None, path: str, headers: dict[str, str], *, secure: bool
) -> Credentials:
    """Ask the endpoint once. Raises `_Passing` and `CredentialsMissing`."""
    import http.client
    import json
    from datetime import datetime

    connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = connect(host, port, timeout=_CONTAINER_TIMEOUT)
    # Exceptions of http.client and json hold what was read: none is passed on as a cause.
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise _Passing(
            f"the container credentials endpoint did not answer: {type(error).__name__}"
        ) from None
    finally:
        connection.close()
    if response.status != 200:
        problem = f"the container credentials endpoint answered HTTP {response.status}"
        passing = response.status == 429 or response.status >= 500
        raise (_Passing if passing else CredentialsMissing)(problem)
    misunderstood = "the container credentials endpoint's answer is not in the expected format"
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise _Passing(misunderstood) from None  # cut off, where no length was given
    try:
        expiration = answer.get("Expiration")
        key, secret, token = answer["AccessKeyId"], answer["SecretAccessKey"], answer.get("Token")
        if not all(isinstance(each, str) for each in (key, secret, token or "")):
            raise CredentialsMissing(misunderstood)
        return Credentials(
            key,
            secret,
            token or None,
            datetime.fromisoformat(expiration).timestamp() if expiration else None,
        )
    except (ValueError, KeyError, AttributeError, TypeError):
        raise CredentialsMissing(misunderstood) from None


def _container_token(environ: Mapping[str, str]) -> str | None:
    if path := environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        from pathlib import Path

        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise CredentialsMissing(
                f"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read: {error.strerror}"
            ) from None
    return environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")


def from_botocore(environ: Mapping[str, str] | None = None) -> Credentials:
    """Ask botocore's chain (profiles, SSO, instance metadata); raises `CredentialsMissing`."""
    looked = "AWS_ACCESS_KEY_ID and AWS_CONTAINER_CREDENTIALS_FULL_URI are not set"
    try:
        import botocore.exceptions
        import botocore.session
    except ImportError:
        raise CredentialsMissing(
            f"{looked}, and botocore, which reads AWS profiles, is not installed"
        ) from None
    try:
        profile = (os.environ if environ is None else environ).get("AWS_PROFILE") or None
        chain = botocore.session.Session(profile=profile).get_credentials()
        if chain is None:
            raise CredentialsMissing(f"{looked}, and no AWS profile or SSO session was found")
        frozen = chain.get_frozen_credentials()
    except botocore.exceptions.BotoCoreError as error:
        raise CredentialsMissing(f"the AWS profile cannot be used: {error}") from error
    expires = getattr(chain, "_expiry_time", None)  # botocore shows the expiry nowhere else
    return Credentials(
        frozen.access_key,
        frozen.secret_key,
        frozen.token,
        expires.timestamp() if expires is not None else None,
    )
