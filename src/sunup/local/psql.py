"""The environment with which psql, or any libpq program, reaches the database as the app does."""

from collections.abc import Mapping

from sunup.connecting import tls
from sunup.connecting.credentials import CredentialSource
from sunup.connecting.waking import password_for
from sunup.local.opening import LONGEST_WAKE, open_connection
from sunup.settings import Settings


def wake(settings: Settings, credentials: CredentialSource) -> None:
    """Connect once, waiting for a sleeping database. Raises `DatabaseUnavailable`."""
    open_connection(settings, credentials).close()


def variables(settings: Settings, credentials: CredentialSource) -> dict[str, str]:
    """Libpq's variables, with a fresh token: the environment is read by its owner only.

    An argument, a URL or a file would show the token to others (PostgreSQL manual, "Environment
    Variables"). Raises `CredentialsMissing`, `TLSFailed`.
    """
    password = password_for(settings, credentials.find() if settings.uses_token else None)
    found = {
        "PGHOST": settings.host,
        "PGPORT": str(settings.port),
        "PGUSER": settings.user,
        "PGDATABASE": settings.database,
        "PGSSLMODE": settings.sslmode,
        "PGGSSENCMODE": "disable",
        "PGAPPNAME": "sunup psql",
        "PGCONNECT_TIMEOUT": str(round(LONGEST_WAKE)),
    }
    if password is not None:
        found["PGPASSWORD"] = password
    if settings.sslmode.startswith("verify-"):
        found["PGSSLROOTCERT"] = tls.root_file(settings)
    return found


def environment(environ: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """A child's environment: without the secrets that it does not need."""
    secret = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "DB_PASSWORD", "DB_MIGRATION_PASSWORD")
    return {**{name: value for name, value in environ.items() if name not in secret}, **added}
