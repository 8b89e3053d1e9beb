"""A database as one URL, in the settings that sunup reads."""

from urllib.parse import parse_qs, unquote, urlsplit

from sunup.settings import SettingsError

_NAME = "--database-url (DATABASE_URL)"


def database_variables(url: str) -> dict[str, str]:
    """The `DB_*` variables of a `postgresql://` URL. Raises `SettingsError`."""
    expected = "postgresql://user:password@host:port/name, with ?sslmode= where needed"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise SettingsError(_NAME, "not a URL", expected) from None
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    host = options.pop("host", host)
    # SQLAlchemy's URLs name a driver, too: postgresql+asyncpg.
    if parts.scheme.partition("+")[0] not in ("postgresql", "postgres") or not host:
        raise SettingsError(_NAME, f"{parts.scheme or 'no'}:// URL", expected)
    variables = {
        "DB_HOST": host,
        "DB_PORT": str(port or 5432),
        "DB_USER": unquote(parts.username or "postgres"),
        "DB_PASSWORD": unquote(parts.password or ""),
        "DB_NAME": unquote(parts.path.removeprefix("/")) or "postgres",
        "DB_SSLMODE": options.pop("sslmode", ""),
        "DB_SSLROOTCERT": options.pop("sslrootcert", ""),
    }
    if options:
        raise SettingsError(_NAME, f"with {', '.join(sorted(options))}", expected)
    return variables
