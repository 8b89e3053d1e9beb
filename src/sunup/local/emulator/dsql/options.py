"""What an emulated Aurora DSQL is told, with its defaults."""

from dataclasses import dataclass

# The caller that each key of the emulated account belongs to: the function's role.
CALLER = "arn:aws:iam::123456789012:role/app"


@dataclass(frozen=True)
class DsqlOptions:
    """Times are in seconds. The defaults are DSQL's own, as far as they are documented.

    `port` 0 is a free one. `caller` is the ARN that signs. `connection_rate` is in connections a
    second, `connection_burst` in connections. `idle_after` and `inactive_after` count without a
    connection; neither is documented, nor is `wake_seconds`. `conflicts` is the probability that a
    COMMIT of changes conflicts. `schema_conflicts`: a change of the schema makes others fail with
    OC001.
    """

    region: str = "eu-central-1"
    host: str = "localhost"
    port: int = 0
    account: str = "123456789012"
    caller: str = CALLER
    connection_limit: int = 10_000
    connection_rate: float = 100.0
    connection_burst: int = 1_000
    connection_lifetime: float = 3_600.0
    authentication_timeout: float = 60.0
    idle_after: float = 300.0
    idle_wake_seconds: float = 0.0
    inactive_after: float = 3_600.0
    wake_seconds: float = 10.0
    transaction_seconds: float = 300.0
    transaction_rows: int = 3_000
    transaction_bytes: int = 10 * 1024 * 1024
    job_seconds: float = 0.5
    conflicts: float = 0.0
    schema_conflicts: bool = True
