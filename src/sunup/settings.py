"""Settings, read from the environment in one place, with the names that the field already uses.

A wrong value raises `SettingsError`, which names the variable, what was found and what is expected.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_RDS_HOST = re.compile(
    r"\.([a-z]{2}(?:-[a-z]+)+-\d+)\.rds\.amazonaws\.com(?:\.cn)?$", re.IGNORECASE
)
# Compiled when first used: most hosts are Aurora's. 127.0.0.0/8 (RFC 1122, 3.2.1.3) and ::1.
_LOOPBACK = r"127(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])){3}|::1"
# Not a number, which would be an IPv4 address (inet_aton(3)), and ASCII: IDNA has other dots.
_UNDOTTED = r"(?!0[xX]|[0-9]+$)[A-Za-z0-9_-]*"
_ZONEINFO = "/usr/share/zoneinfo"


class SettingsError(ValueError):
    """A setting is missing or wrong."""

    def __init__(self, name: str, found: str | None, expected: str) -> None:
        self.name = name
        what = "is not set" if found is None else f"is {found!r}"
        super().__init__(f"{name} {what}; expected {expected}")


@dataclass(frozen=True, slots=True)
class Settings:
    """What sunup needs to know. Times are in seconds. See docs/settings.md for each variable."""

    host: str = ""
    port: int = 5432
    user: str = "postgres"
    database: str = "postgres"
    region: str | None = None
    password: str | None = field(default=None, repr=False)
    sslmode: str = "verify-full"
    sslrootcert: str | None = None
    pool_size: int = 5
    idle_session_timeout: float = 60.0
    connect_timeout: float = 15.0
    statement_timeout: float = 0.0
    gateway_timeout: float = 30.0
    log_level: str = "INFO"
    timezone: str = "UTC"
    app: str | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings; `environ` is `os.environ` unless given. Raises `SettingsError`."""
        read = _Reader(os.environ if environ is None else environ)
        host = read.host("DB_HOST")
        password = read.text("DB_PASSWORD")
        gateway_timeout = read.seconds("GATEWAY_TIMEOUT", 30, 1, 900)
        settings = cls(
            host=host,
            port=read.integer("DB_PORT", 5432, 1, 65535),
            user=read.text("DB_USER") or "postgres",
            database=read.text("DB_NAME") or "postgres",
            # A token is signed for the cluster's region, which need not be the function's.
            region=region_of(host) or read.text("AWS_REGION") or read.text("AWS_DEFAULT_REGION"),
            password=password,
            sslmode=read.choice("DB_SSLMODE", SSL_MODES, _default_sslmode(host)),
            sslrootcert=read.text("DB_SSLROOTCERT"),
            # A Lambda instance serves one request at a time, and each connection counts.
            pool_size=read.integer("DB_POOL_SIZE", 1 if on_lambda(read.environ) else 5, 1, 100),
            idle_session_timeout=read.seconds("DB_IDLE_SESSION_TIMEOUT", 60, 0, 86_400),
            connect_timeout=read.seconds("DB_CONNECT_TIMEOUT", 15, 1, 300),
            # A function that Lambda has ended or frozen cancels nothing any more.
            statement_timeout=read.seconds(
                "DB_STATEMENT_TIMEOUT", gateway_timeout if on_lambda(read.environ) else 0, 0, 86_400
            ),
            gateway_timeout=gateway_timeout,
            log_level=read.log_level("LOG_LEVEL"),
            timezone=read.timezone("TZ"),
            app=read.text("SUNUP_APP"),
        )
        if host:
            settings.check_database()
        return settings

    @property
    def uses_token(self) -> bool:
        """Whether an IAM token is the password; a Unix socket or DB_PASSWORD needs none."""
        return self.password is None and not self.host.startswith("/")

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine, or has a container's undotted name."""
        host = self.host
        if host.startswith("/"):
            return "," not in host  # libpq takes a list of hosts
        return is_loopback(host) or re.fullmatch(_UNDOTTED, host) is not None

    @property
    def is_rds(self) -> bool:
        """Whether the host name is one that Amazon Trust Services certifies for RDS."""
        return region_of(self.host) is not None

    def check_database(self) -> None:
        """Raise `SettingsError` unless these settings can reach a database safely."""
        if not self.host:
            raise SettingsError("DB_HOST", None, "the cluster's endpoint, or a server's host name")
        if not self.sslmode.startswith("verify-") and not self.is_local:
            raise SettingsError(
                "DB_SSLMODE",
                self.sslmode,
                f"verify-full (or verify-ca): without verification anyone between here and "
                f"{self.host} could read everything; other modes are for a local server",
            )
        if self.uses_token and self.region is None:
            raise SettingsError(
                "AWS_REGION", None, "the cluster's region, such as eu-central-1, to sign the token"
            )


def on_lambda(environ: Mapping[str, str] | None = None) -> bool:
    """Whether this process is a Lambda function's."""
    return "AWS_LAMBDA_FUNCTION_NAME" in (os.environ if environ is None else environ)


def is_loopback(host: str) -> bool:
    """Whether a host is one of this machine's loopback addresses; names are not looked up."""
    return re.fullmatch(_LOOPBACK, host) is not None


def region_of(host: str) -> str | None:
    """The region in an RDS host name, `None` for other hosts."""
    match = _RDS_HOST.search(host)
    return match[1].lower() if match else None


def _default_sslmode(host: str) -> str:
    # PostgreSQL has no TLS on a Unix socket.
    return "disable" if host.startswith("/") else "verify-full"


class _Reader:
    """Reads single variables; an empty one counts as not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def text(self, name: str) -> str | None:
        value = self.environ.get(name, "")
        return value if value.strip() else None

    def host(self, name: str) -> str:
        host = (self.text(name) or "").strip()
        single_colon = host.count(":") == 1  # more are an IPv6 address
        if "," in host or (
            not host.startswith("/") and ("/" in host or "@" in host or single_colon)
        ):
            # A URL may hold a password: it is not repeated.
            found = host if single_colon and "/" not in host and "@" not in host else "not a name"
            raise SettingsError(
                name, found, "one host name, without scheme, user or port (see DB_PORT)"
            )
        return host

    def number(self, name: str, default: float, low: float, high: float, what: str) -> float:
        text = self.text(name)
        if text is None:
            return default
        plain = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*", text, re.ASCII)
        whole = what != "a whole number" or (plain and "." not in plain[1])
        if plain and whole and low <= float(plain[1]) <= high:
            return float(plain[1])
        raise SettingsError(name, text, f"{what} from {low:g} to {high:g}")

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        return int(self.number(name, default, low, high, "a whole number"))

    def seconds(self, name: str, default: float, low: float, high: float) -> float:
        return self.number(name, default, low, high, "seconds, a number")

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        text = self.text(name)
        if text is None:
            return default
        if text.strip() in choices:
            return text.strip()
        raise SettingsError(name, text, f"one of {', '.join(choices)}")

    def log_level(self, name: str) -> str:
        text = self.text(name)
        level = "INFO" if text is None else text.strip().upper()
        level = {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(level, level)
        if level in LOG_LEVELS:
            return level
        raise SettingsError(name, text, f"one of {', '.join(LOG_LEVELS)}")

    def timezone(self, name: str) -> str:
        # Lambda itself sets TZ to ":UTC", the POSIX form for "a file of that name".
        zone = (self.text(name) or "UTC").strip().removeprefix(":")
        # The C library takes any other word silently as UTC.
        named = re.fullmatch(r"[A-Za-z_]+(?:/[A-Za-z0-9_+\-]+)*", zone)
        posix = re.match(r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+\-]+>)[+\-]?\d", zone)
        known = not os.path.isdir(_ZONEINFO) or os.path.isfile(f"{_ZONEINFO}/{zone}")  # noqa: PTH112, PTH113
        if posix or zone == "UTC" or (named and known):
            return zone
        raise SettingsError(name, zone, "a time zone's name, such as UTC or Asia/Tokyo")
