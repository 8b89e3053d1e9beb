"""What an emulated AWS is told, with its defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sunup.local.capacity import connection_limit
from sunup.local.errors import CommandError

from .dsql.options import DsqlOptions
from .instance import Function
from .issuer import AUDIENCE

# The kinds of database that are emulated, as `sunup.engines` names them.
EngineName = Literal["aurora", "rds-proxy", "dsql", "neon", "neon-pooler"]

# Where a connection hangs while the instance resumes.
HangAt = Literal["tcp", "tls", "auth"]


@dataclass(frozen=True)
class AuroraOptions:
    """Times are in seconds. The defaults are Aurora's own, as far as they are documented.

    `port` 0 is a free one. `authentication_timeout` is a login's, counted while the instance is
    awake. `direct_tls`: TLS may begin without asking (PostgreSQL 17's `sslnegotiation=direct`).
    """

    region: str = "eu-central-1"
    host: str = "localhost"
    port: int = 0
    pause_after: float = 300.0
    resume_seconds: float = 15.0
    deep_sleep_after: float = 86_400.0
    deep_resume_seconds: float = 35.0
    hang_at: HangAt = "auth"
    max_acu: float = 16.0
    max_connections: int | None = None
    authentication_timeout: float = 60.0
    direct_tls: bool = False
    # RDS's parameter rds.iam_auth_for_replication.
    iam_auth_for_replication: bool = False

    @property
    def connection_limit(self) -> int:
        """`max_connections`, from the maximum ACU where it is not given."""
        return self.max_connections or connection_limit(self.max_acu)


@dataclass(frozen=True)
class RdsProxyOptions(AuroraOptions):
    """An RDS Proxy in front of that Aurora, which never pauses then. Times are in seconds.

    `sessions` is the most that the proxy has on the database: all of `max_connections` unless given
    (MaxConnectionsPercent: 100). `borrow_timeout` is how long a client waits for one
    (ConnectionBorrowTimeout), `idle_timeout` how long it may say nothing (IdleClientTimeout).
    """

    sessions: int | None = None
    borrow_timeout: float = 120.0
    idle_timeout: float = 1800.0
    # Of the proxy: no quota is documented.
    clients: int = 10_000

    @property
    def session_limit(self) -> int:
        """The most sessions on the database."""
        return self.sessions or self.connection_limit


@dataclass(frozen=True)
class NeonOptions(AuroraOptions):
    """A Neon compute of 0.25 CU. Times are in seconds.

    It is suspended after `pause_after` without an active query, whoever is connected. Behind the
    pooler are `pool_size` sessions, 90 % of `max_connections` unless given.
    """

    resume_seconds: float = 0.5
    deep_sleep_after: float = float("inf")
    # Neon, "Connection pooling": of 0.25 CU.
    max_connections: int | None = 104
    password: str = field(default="emulated", repr=False)
    pool_size: int | None = None
    # PgBouncer's query_wait_timeout.
    borrow_timeout: float = 120.0
    # Neon, "Connection pooling": client connections of the pooler.
    clients: int = 10_000

    @property
    def session_limit(self) -> int:
        """The most sessions behind the pooler."""
        return self.pool_size or int(self.connection_limit * 0.9)


@dataclass(frozen=True)
class FunctionOptions:
    """`concurrency` is the reserved concurrency; `instance_idle` seconds until a reap."""

    concurrency: int = 10
    instance_idle: float = 300.0


# What stands in front of the function.
FrontName = Literal["http-api", "rest-api", "function-url", "alb"]

# As the Terraform module's variable.
Authorization = Literal["NONE", "JWT", "AWS_IAM"]


@dataclass(frozen=True)
class GatewayOptions:
    """Times in seconds, `rate` in requests a second, `burst` in requests.

    `payload` is an HTTP API's, `binary_media_types` a REST API's, `multi_value_headers` a load
    balancer's target group's. `timeout` is the front's own unless given. `jwt_issuer` is the
    console's own, which makes tokens for anybody, unless given; of `jwt_scopes` a token must have
    one.
    """

    front: FrontName = "http-api"
    payload: Literal["2.0", "1.0"] = "2.0"
    binary_media_types: tuple[str, ...] = ()
    multi_value_headers: bool = False
    timeout: float | None = None
    authorization: Authorization = "NONE"
    jwt_issuer: str | None = None
    jwt_audience: tuple[str, ...] = (AUDIENCE,)
    jwt_scopes: tuple[str, ...] = ()
    rate: float = 10_000.0
    burst: int = 5_000
    cors_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises `CommandError` for an authorizer that the front does not have."""
        if self.authorization == "JWT" and self.front != "http-api":
            raise CommandError(
                f"the emulated {self.front} has no JWT authorizer",
                "Use --front http-api, or --authorization AWS_IAM.",
            )
        if self.authorization != "NONE" and self.front == "alb":
            raise CommandError("a load balancer has no IAM authorization", "Use another --front.")


@dataclass(frozen=True)
class EmulatorOptions:
    """What `sunup emulate` takes. `port` and `console_port` 0 are free ones.

    `migrations` is Alembic's folder; that of the app, or beside the package, unless given.
    `bootstrap` is the command of a custom runtime, run in the app's folder instead of Python.
    `postgres` is a version or folder, as `sunup.local.servers.find` takes it. `keep` is a folder
    where the database's root certificate stays from run to run. `project` is the folder of a
    package's app, where the package lies elsewhere: of its migrations. With `tracing` each request
    is sampled, and X-Ray's daemon listens. `engine` says which of `aurora`, `rds_proxy`, `dsql`
    and `neon` (also the pooler's) counts.
    """

    handler: str = Function.handler
    memory: int = Function.memory
    timeout: float = Function.timeout
    environ: Mapping[str, str] = field(default_factory=dict)
    migrations: Path | None = None
    bootstrap: tuple[str, ...] | None = None
    postgres: str | None = None
    keep: Path | None = None
    port: int = 0
    console_port: int = 0
    project: Path | None = None
    tracing: bool = False
    engine: EngineName = "aurora"
    aurora: AuroraOptions = field(default_factory=AuroraOptions)
    rds_proxy: RdsProxyOptions = field(default_factory=RdsProxyOptions)
    dsql: DsqlOptions = field(default_factory=DsqlOptions)
    neon: NeonOptions = field(default_factory=NeonOptions)
    functions: FunctionOptions = field(default_factory=FunctionOptions)
    gateway: GatewayOptions = field(default_factory=GatewayOptions)

    @property
    def database(self) -> AuroraOptions | DsqlOptions:
        """Those of the database that is emulated."""
        if self.engine == "dsql":
            return self.dsql
        if self.engine == "rds-proxy":
            return self.rds_proxy
        return self.neon if self.engine.startswith("neon") else self.aurora
