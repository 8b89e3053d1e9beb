"""AWS's control plane, by botocore: clients with the app's profile and region, errors in words."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
    SSOError,
    TokenRetrievalError,
    WaiterError,
)

from sunup.settings import region_of

from .errors import CommandError

_CONFIG = Config(
    connect_timeout=10,
    read_timeout=60,
    retries={"mode": "standard", "max_attempts": 4},
    user_agent_extra="sunup",
)
# For asking whether AWS answers at all.
_IMPATIENT = _CONFIG.merge(
    Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "max_attempts": 1})
)

_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId"}

_OF_CREDENTIALS = (
    CredentialRetrievalError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

LOG_IN = (
    "Set AWS_PROFILE and log in (aws sso login), or set AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY."
)


class Arn(NamedTuple):
    """The full name of an AWS resource, in its parts (AWS General Reference, "ARNs")."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> "Arn | None":
        """The parts; None if it is not an ARN."""
        start, *parts = text.split(":", 5)
        return cls(*parts) if start == "arn" and len(parts) == 5 else None


class Aws:
    """Makes clients. The region is that of DB_HOST, else AWS_REGION, else the profile's."""

    def __init__(
        self, environ: Mapping[str, str], region: str | None = None, *, impatient: bool = False
    ) -> None:
        self._config = _IMPATIENT if impatient else _CONFIG
        self._session = botocore.session.Session(profile=environ.get("AWS_PROFILE") or None)
        if environ.get("AWS_ACCESS_KEY_ID") and environ.get("AWS_SECRET_ACCESS_KEY"):
            self._session.set_credentials(
                environ["AWS_ACCESS_KEY_ID"],
                environ["AWS_SECRET_ACCESS_KEY"],
                environ.get("AWS_SESSION_TOKEN") or None,
            )
        self._region = (
            region
            or region_of(environ.get("DB_HOST", ""))
            or environ.get("AWS_REGION")
            or environ.get("AWS_DEFAULT_REGION")
            or None
        )

    @property
    def region(self) -> str:
        """The region. Raises `CommandError` when none is known."""
        with explained("find the region"):
            region = self._region or self._session.get_config_variable("region")
        if not region:
            raise CommandError(
                "no AWS region is known",
                "Set AWS_REGION, for example to eu-central-1, or pass --region.",
            )
        return str(region)

    def client(self, service: str) -> Any:
        """A botocore client. Raises `CommandError`."""
        with explained(f"use {service}"):
            return self._session.create_client(
                service, region_name=self.region, config=self._config
            )

    @property
    def identity(self) -> str:
        """The ARN of who these credentials are, asked of STS."""
        with explained("identify these credentials (sts:GetCallerIdentity)"):
            return str(self.client("sts").get_caller_identity()["Arn"])

    @property
    def account(self) -> str:
        """The account's number, asked of STS."""
        with explained("identify these credentials (sts:GetCallerIdentity)"):
            return str(self.client("sts").get_caller_identity()["Account"])


def code_of(error: ClientError) -> str:
    """AWS's name for an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn AWS's errors into a `CommandError` that says what could not be done."""
    try:
        yield
    except ClientError as error:
        code, detail = code_of(error), error.response.get("Error", {})
        cure = ""
        if code in _DENIED:
            cure = f"These credentials need the permission for {error.operation_name}."
        elif code in _EXPIRED:
            cure = LOG_IN
        said = str(detail.get("Message") or code).rstrip(".")
        raise CommandError(f"cannot {doing}: {code}: {said}", cure) from error
    except (ReadTimeoutError, ConnectionClosedError) as error:
        raise CommandError(
            f"cannot {doing}: AWS did not answer", "Run the command again."
        ) from error
    except WaiterError as error:
        last = error.last_response if isinstance(error.last_response, dict) else {}
        reason = last.get("StateReason") or last.get("LastUpdateStatusReason") or str(error)
        raise CommandError(f"cannot {doing}: {reason}") from error
    except NoCredentialsError as error:
        raise CommandError(f"cannot {doing}: there are no AWS credentials", LOG_IN) from error
    except NoRegionError as error:
        raise CommandError(f"cannot {doing}: no AWS region is known", "Set AWS_REGION.") from error
    except (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError) as error:
        place = str(error.kwargs.get("endpoint_url") or error.kwargs.get("proxy_url") or "AWS")
        raise CommandError(
            f"cannot {doing}: {place} cannot be reached",
            "Is this machine offline, or behind a proxy (HTTPS_PROXY)? Is the region right?",
        ) from error
    except SSLError as error:
        raise CommandError(
            f"cannot {doing}: {error}",
            "Is there a proxy in between? AWS_CA_BUNDLE names the file with its root certificate.",
        ) from error
    except BotoCoreError as error:
        cure = LOG_IN if isinstance(error, _OF_CREDENTIALS) else ""
        raise CommandError(f"cannot {doing}: {error}", cure) from error
