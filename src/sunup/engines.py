"""The kinds of PostgreSQL that sunup knows, recognised by DB_HOST: the one table of what differs.

docs/engines.md has each difference with its source and date.
"""

import re

# Puts a session back as it began, except for prepared statements, which the driver knows. A role
# is not part of RESET ALL (PostgreSQL, "RESET"; guc_tables.c: GUC_NO_RESET_ALL).
_RESET = (
    "select pg_advisory_unlock_all(); close all; unlisten *; set session authorization default; "
    "reset all; discard temp"
)


class Engine:
    """What one kind of server takes and does. Times are in seconds."""

    __slots__ = (
        "cancels",
        "lifetime",
        "name",
        "optimistic",
        "prepared",
        "reset",
        "service",
        "sessions",
        "title",
    )

    def __init__(
        self,
        name: str,
        title: str,
        *,
        service: str | None = None,
        sessions: bool = True,
        prepared: bool = True,
        reset: str = _RESET,
        cancels: bool = True,
        optimistic: bool = False,
        lifetime: float | None = None,
    ) -> None:
        # As in DB_ENGINE and on the command line; and as people call it.
        self.name = name
        self.title = title
        # The service that an IAM token is signed for; None: a password.
        self.service = service
        # Whether a session may be given settings (timeouts), at its start and later.
        self.sessions = sessions
        # Whether a prepared statement may be used again in the same session.
        self.prepared = prepared
        # What puts a session back as it began; empty: nothing does, it is closed.
        self.reset = reset
        # Whether a statement can be cancelled; else only the end of its connection helps.
        self.cancels = cancels
        # Conflicts are found at COMMIT instead of waited for: no locks, no savepoints, and one
        # statement that changes the schema in a transaction.
        self.optimistic = optimistic
        # After which the server ends a connection, whatever it does.
        self.lifetime = lifetime

    def __repr__(self) -> str:
        """Its name."""
        return f"<Engine {self.name}>"


AURORA = Engine("aurora", "Aurora PostgreSQL", service="rds-db")
# A proxy gives a session to each transaction. A setting would pin the client to one (RDS User
# Guide, "Avoiding pinning an RDS Proxy"); `options` in the start-up message it refuses. It takes
# no CancelRequest ("Limitations").
RDS_PROXY = Engine(
    "rds-proxy",
    "RDS Proxy",
    service="rds-db",
    sessions=False,
    prepared=False,
    reset="",
    cancels=False,
)
DSQL = Engine(
    "dsql",
    "Aurora DSQL",
    service="dsql",
    sessions=False,
    reset="reset all",
    cancels=False,
    optimistic=True,
    lifetime=3600.0,
)
NEON = Engine("neon", "Neon")
# PgBouncer, by transaction.
NEON_POOLER = Engine("neon-pooler", "Neon's pooler", sessions=False, prepared=False, reset="")
POSTGRESQL = Engine("postgresql", "PostgreSQL")

ENGINES = {each.name: each for each in (AURORA, RDS_PROXY, DSQL, NEON, NEON_POOLER, POSTGRESQL)}

# The first that matches. With a region, where the name has one.
_HOSTS = (
    (r"\.proxy-[a-z0-9]+\.([a-z]{2}(?:-[a-z]+)+-\d+)\.rds\.amazonaws\.com(?:\.cn)?$", RDS_PROXY),
    (r"\.([a-z]{2}(?:-[a-z]+)+-\d+)\.rds\.amazonaws\.com(?:\.cn)?$", AURORA),
    # Also of a VPC endpoint: <id>.dsql-<suffix>.<region>.on.aws.
    (r"\.dsql(?:-[a-z0-9]+)?\.([a-z]{2}(?:-[a-z]+)+-\d+)\.on\.aws$", DSQL),
    (r"^[a-z0-9-]+-pooler\..+\.neon\.tech$", NEON_POOLER),
    (r"^[a-z0-9-]+\..+\.neon\.tech$", NEON),
)


def recognised(host: str) -> tuple[Engine, str | None] | None:
    """The engine of a host name and the AWS region in it; None for a name that tells nothing."""
    host = host.lower()
    for pattern, engine in _HOSTS:
        match = re.search(pattern, host)
        if match is not None:
            return engine, match[1] if match.re.groups else None
    return None
