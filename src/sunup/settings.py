"""Settings, read from the environment, with the names that are already in common use.

`VARIABLES` is the one table of them: docs/settings.md and `sunup env` are made from it. A wrong
value raises `SettingsError`, which names the variable, what was found and what is expected.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import kinds
from .engines import AURORA, DSQL, ENGINES, POSTGRESQL, Engine, recognised
from .kinds import Kind, SettingsError

__all__ = ["VARIABLES", "Settings", "SettingsError", "Variable", "is_loopback", "on_lambda"]

# Compiled when first used: most hosts are Aurora's. 127.0.0.0/8 (RFC 1122, 3.2.1.3) and ::1.
_LOOPBACK = r"127(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])){3}|::1"
# Not a number, which would be an IPv4 address (inet_aton(3)), and ASCII: IDNA has other dots.
_UNDOTTED = r"(?!0[xX]|[0-9]+$)[A-Za-z0-9_-]*"


class Variable:
    """A variable of the environment, and the field of `Settings` that it sets.

    `default` is in words where it is not simply the field's. `meaning` is Markdown.
    """

    __slots__ = ("default", "field", "kind", "meaning", "name")

    def __init__(
        self, name: str, field: str, kind: Kind, meaning: str, default: str | None = None
    ) -> None:
        self.name = name
        self.field = field
        self.kind = kind
        self.meaning = meaning
        self.default = default


VARIABLES = (
    Variable(
        "DB_HOST",
        "host",
        kinds.host,
        "The cluster's endpoint, a server's host name, or the folder of a Unix socket. It says "
        "which engine it is, where it is AWS's or Neon's own name.",
    ),
    Variable(
        "DB_ENGINE",
        "engine_name",
        kinds.choice(*ENGINES),
        "The kind of server, for a `DB_HOST` that does not tell it: "
        f"{', '.join(f'`{name}`' for name in ENGINES)}.",
        "as `DB_HOST` says; else `aurora`, or `postgresql` with `DB_PASSWORD`",
    ),
    Variable("DB_PORT", "port", kinds.whole(1, 65535), "The port it listens on."),
    Variable("DB_USER", "user", kinds.text, "The role to connect as."),
    Variable("DB_NAME", "database", kinds.text, "The database."),
    Variable(
        "DB_PASSWORD",
        "password",
        kinds.text,
        "For a plain server, or Neon. When it is set, no IAM token is signed.",
    ),
    Variable(
        "DB_SSLMODE",
        "sslmode",
        kinds.choice("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
        "As in libpq. Modes without verification are accepted only for a local server: loopback, "
        "a Unix socket (where `disable` is the default), or a host name without a dot.",
    ),
    Variable(
        "DB_SSLROOTCERT",
        "sslrootcert",
        kinds.text,
        "A PEM file of root certificates, or `system`. Without it, RDS host names are verified "
        "against the roots that come with sunup (those of Amazon Trust Services and of the "
        "region's Amazon RDS), others against the system's. For a region whose Amazon RDS roots "
        "sunup does not have (the newest, China, GovCloud), set it to AWS's `global-bundle.pem` "
        "or the partition's.",
    ),
    Variable(
        "DB_POOL_SIZE",
        "pool_size",
        kinds.whole(1, 100),
        "The maximum number of connections of one process.",
        "`1` on Lambda, else `5`",
    ),
    Variable(
        "DB_IDLE_SESSION_TIMEOUT",
        "idle_session_timeout",
        kinds.seconds(0, 86_400),
        "Seconds after which the server ends an idle session, so that Aurora can pause; `0` "
        "means never. An idle transaction ends after the same time, or after 60 s if this is `0`.",
    ),
    Variable(
        "DB_CONNECT_TIMEOUT",
        "connect_timeout",
        kinds.seconds(1, 300),
        "Seconds that one connection attempt may take before a new one starts. How long a "
        "request waits in total is decided by its deadline.",
    ),
    Variable(
        "DB_STATEMENT_TIMEOUT",
        "statement_timeout",
        kinds.seconds(0, 86_400),
        "The initial `statement_timeout` of each session, in seconds; `0` means none. A "
        "statement is cancelled at its request's deadline anyway: this ends it where the "
        "function can no longer do so. It is raised or lowered for a request whose deadline is "
        "later, or much earlier.",
        "`GATEWAY_TIMEOUT` on Lambda, else `0`",
    ),
    Variable(
        "AWS_REGION",
        "region",
        kinds.text,
        "The region to sign the token for, unless `DB_HOST` is AWS's own name, which has the "
        "cluster's region in it. If `AWS_REGION` is not set, `AWS_DEFAULT_REGION` is used.",
        "Lambda sets it",
    ),
    Variable(
        "GATEWAY_TIMEOUT",
        "gateway_timeout",
        kinds.seconds(1, 900),
        "Seconds after which the gateway in front gives up. A request's deadline is the earlier "
        "of this and the function's own timeout, minus 1 s.",
    ),
    Variable(
        "WAKING_PAGE",
        "waking_page",
        kinds.switch,
        "Whether a browser gets a page that reloads by itself while the database wakes. With "
        "`off` it gets the JSON, like every other client.",
        "`on`",
    ),
    Variable(
        "LOG_LEVEL",
        "log_level",
        kinds.log_level,
        "`DEBUG` (with each statement, without its parameters), `INFO`, `WARNING`, `ERROR` or "
        "`CRITICAL`.",
    ),
    Variable(
        "METRICS",
        "metrics",
        kinds.choice("off", "emf"),
        "`emf` puts CloudWatch metrics into each request's log line, whatever `LOG_LEVEL` is: "
        "[what they are, and cost](operation.md#metrics).",
    ),
    Variable(
        "TRACES",
        "traces",
        kinds.choice("off", "ids", "xray", "otel"),
        "`ids` puts `trace_id` into log lines: that of the client's `traceparent`, or X-Ray's. "
        "`xray` sends subsegments to Lambda's daemon besides, `otel` spans to OpenTelemetry, where "
        "the app has its API: [traces](operation.md#traces).",
    ),
    Variable(
        "TZ",
        "timezone",
        kinds.timezone,
        "The time zone of the times in the log. Lambda's form `:UTC` works, too.",
    ),
    Variable(
        "SUNUP_APP",
        "app",
        kinds.text,
        "The app, `module:name`, where `Handler()` or `sunup dev` is not told otherwise.",
        "`app:app`",
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What sunup needs to know, with its defaults. Times are in seconds. See `VARIABLES`."""

    host: str = ""
    engine_name: str | None = None
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
    waking_page: bool = True
    log_level: str = "INFO"
    metrics: str = "off"
    traces: str = "off"
    timezone: str = "UTC"
    app: str | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings; `environ` is `os.environ` unless given. Raises `SettingsError`."""
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for variable in VARIABLES:
            found = environ.get(variable.name, "")
            if found.strip():  # an empty one counts as not set
                values[variable.field] = variable.kind(variable.name, found)
        host = values.get("host", "")
        # A token is signed for the cluster's region, which need not be the function's.
        if region := region_of(host):
            values["region"] = region
        elif "region" not in values and environ.get("AWS_DEFAULT_REGION", "").strip():
            values["region"] = environ["AWS_DEFAULT_REGION"]
        if host.startswith("/"):
            values.setdefault("sslmode", "disable")  # PostgreSQL has no TLS on a Unix socket
        if on_lambda(environ):
            # An instance serves one request at a time, and each connection counts.
            values.setdefault("pool_size", 1)
            # A function that Lambda has ended or frozen can no longer cancel anything.
            beginning = cls(**values)
            values.setdefault("statement_timeout", beginning.gateway_timeout)
        settings = cls(**values)
        if host:
            settings.check_database()
        return settings

    @property
    def engine(self) -> Engine:
        """What kind of server it is: as DB_ENGINE or DB_HOST says."""
        if self.engine_name is not None:
            return ENGINES[self.engine_name]
        found = recognised(self.host)
        if found is not None:
            return found[0]
        # A name of one's own for a cluster, or the emulated one.
        with_token = self.password is None and not self.host.startswith("/")
        return AURORA if with_token else POSTGRESQL

    @property
    def uses_token(self) -> bool:
        """Whether an IAM token is the password; a Unix socket or DB_PASSWORD needs none."""
        return (
            self.password is None
            and not self.host.startswith("/")
            and self.engine.service is not None
        )

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine, or has a container's undotted name."""
        host = self.host
        if host.startswith("/"):
            return "," not in host  # libpq takes a list of hosts
        return is_loopback(host) or re.fullmatch(_UNDOTTED, host) is not None

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
        engine = self.engine
        if engine is DSQL and self.database != "postgres":
            raise SettingsError("DB_NAME", self.database, "postgres: Aurora DSQL has no other")
        if engine.name.startswith("neon") and self.password is None:
            raise SettingsError("DB_PASSWORD", None, "the role's password: Neon has no IAM tokens")
        if self.uses_token and self.region is None:
            plain = " (for a plain server set DB_PASSWORD)" if region_of(self.host) is None else ""
            raise SettingsError(
                "AWS_REGION",
                None,
                f"the cluster's region, such as eu-central-1, to sign the token{plain}",
            )


def on_lambda(environ: Mapping[str, str] | None = None) -> bool:
    """Whether this process is a Lambda function's."""
    return "AWS_LAMBDA_FUNCTION_NAME" in (os.environ if environ is None else environ)


def is_loopback(host: str) -> bool:
    """Whether a host is one of this machine's loopback addresses; names are not looked up."""
    return re.fullmatch(_LOOPBACK, host) is not None


def region_of(host: str) -> str | None:
    """The region in one of AWS's own host names, `None` for others."""
    found = recognised(host)
    return found[1] if found else None
