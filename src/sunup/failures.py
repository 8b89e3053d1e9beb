"""What a PostgreSQL failure means: its name, its cause in plain words, what to do.

Each class says whether waiting helps (`patience`), what a client is told (`code`, `message`,
`retry_after`) and what an operator is told (`cure`, and the detail of this one failure). A client
never sees the detail: it may name hosts and users.
"""

import re
from typing import ClassVar

# What `sunup` itself offers of this module: each failure.
__all__ = [
    "AccessRefused",
    "ConnectionLost",
    "ConnectionsBusy",
    "ConnectionsThrottled",
    "CredentialsMissing",
    "DatabaseFull",
    "DatabaseMissing",
    "DatabaseReadOnly",
    "DatabaseResuming",
    "DatabaseUnavailable",
    "DatabaseUnreachable",
    "PasswordRefused",
    "TLSFailed",
    "TokenRefused",
    "TransactionConflict",
]

FOREVER = float("inf")


class DatabaseUnavailable(Exception):
    """The database cannot serve this request. Answered with 503; the base of the others."""

    code: ClassVar[str] = "database_unavailable"
    message: ClassVar[str] = "The database is not available"
    cure: ClassVar[str] = "See the detail."
    # Seconds for which trying to connect again can help; 0: the failure stays until someone acts.
    patience: ClassVar[float] = 0.0
    # Seconds after which a client may try again; None: just trying again does not help.
    retry_after: ClassVar[int | None] = None
    # False: a statement may have been executed, so only a safe HTTP method may be repeated.
    nothing_executed: bool = True

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        """The whole story, for logs and terminals."""
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.message}{detail}. {self.cure}"


class DatabaseResuming(DatabaseUnavailable):
    """The connect attempt hangs, or is told to wait: Aurora was paused, or the server starts.

    Aurora establishes requested connections after the instance has resumed, typically in 15 s, in
    30 s or more after a day of pause (Aurora User Guide, "Scaling to zero with auto-pause").
    """

    code = "database_resuming"
    message = "The database is waking up"
    cure = "Try again in a few seconds. If it never wakes, check DB_HOST and DB_PORT."
    patience = FOREVER
    # A resume that outlasted one request's deadline (28 s) is nearly done.
    retry_after = 5


class DatabaseFull(DatabaseUnavailable):
    """The server has no connection left (SQLSTATE 53300)."""

    code = "database_full"
    message = "The database has no free connection"
    cure = (
        "Each Lambda instance holds one connection: set reserved concurrency below max_connections"
        " (raise the maximum ACU to raise it), and keep DB_IDLE_SESSION_TIMEOUT short."
    )
    # Longer waiting only holds Lambda instances that others need.
    patience = 5.0
    retry_after = 2


class ConnectionsBusy(DatabaseUnavailable):
    """All connections of this process are in use, and none came back in time."""

    code = "connections_busy"
    message = "All database connections of this process are in use"
    cure = (
        "Leave `connection()` before you await other work, do not nest it, or raise DB_POOL_SIZE."
    )
    retry_after = 1


class ConnectionsThrottled(DatabaseUnavailable):
    """New connections are opened too fast (SQLSTATE 53400): Aurora DSQL takes 100 a second."""

    code = "connections_throttled"
    message = "The database takes no more new connections at the moment"
    cure = (
        "Many Lambda instances began at once. It passes; to keep below the quota (100 new "
        'connections a second, Aurora DSQL User Guide, "Cluster quotas"), set reserved '
        "concurrency."
    )
    patience = 10.0
    retry_after = 2


class DatabaseUnreachable(DatabaseUnavailable):
    """The network says no: no such host, connection refused, or closed during the handshake."""

    code = "database_unreachable"
    message = "The database cannot be reached"
    cure = "Check DB_HOST and DB_PORT, that the cluster exists and is available, and DNS."
    # A restart or failover refuses connections for seconds; DNS of a new cluster lags.
    patience = 8.0
    retry_after = 2


class TLSFailed(DatabaseUnavailable):
    """The server's certificate was not accepted, or the server speaks no TLS."""

    code = "tls_failed"
    message = "The encrypted connection to the database was refused"
    cure = (
        "DB_HOST must be the name in the server's certificate. For RDS host names the roots of "
        "Amazon Trust Services and of the region's Amazon RDS are used, for others the system's, "
        "or DB_SSLROOTCERT (a PEM file). sunup does not have the Amazon RDS roots of the newest "
        "regions, China and GovCloud: there, set DB_SSLROOTCERT to AWS's bundle "
        "(global-bundle.pem)."
    )


class CredentialsMissing(DatabaseUnavailable):
    """There are no AWS credentials to sign a token with."""

    code = "credentials_missing"
    message = "There are no AWS credentials to sign the database token with"
    cure = (
        "On Lambda, give the function a role. On a laptop, set AWS_PROFILE and log in (`aws sso "
        "login`), or set DB_PASSWORD for a server that takes passwords."
    )


class TokenRefused(DatabaseUnavailable):
    """Aurora refused the IAM token (`PAM authentication failed`, SQLSTATE 28000).

    The server tells the client no reason; the log export `iam-db-auth-error` has it (Aurora User
    Guide, "Troubleshooting IAM database authentication").
    """

    code = "token_refused"
    message = "The database refused the IAM token"
    cure = (
        "It is one of: (1) the role does not exist or lacks `GRANT rds_iam TO <user>`; (2) the "
        "IAM policy does not allow rds-db:connect on arn:aws:rds-db:<region>:<account>:dbuser:"
        "<cluster resource id>/<user>; (3) DB_HOST or DB_PORT is not the cluster's own endpoint; "
        "(4) AWS_REGION is not the cluster's region; (5) the AWS credentials have expired or were "
        "revoked, or are of another account; (6) this machine's clock is off, or the token was "
        "older than 15 minutes. IAM also refuses when too many connections are opened at once."
    )
    # Throttling and credentials that are being rotated pass within a moment.
    patience = 1.0
    retry_after = 5


class PasswordRefused(DatabaseUnavailable):
    """The server refused DB_PASSWORD (SQLSTATE 28P01)."""

    code = "password_refused"
    message = "The database refused the password"
    cure = "Check DB_USER and DB_PASSWORD."


class AccessRefused(DatabaseUnavailable):
    """The server refuses this role or this way to connect (SQLSTATE 28000, 42501)."""

    code = "access_refused"
    message = "The database refused the connection"
    cure = "Check DB_USER, its rights on DB_NAME, and that DB_SSLMODE is verify-full for Aurora."


class DatabaseMissing(DatabaseUnavailable):
    """There is no database of that name (SQLSTATE 3D000)."""

    code = "database_missing"
    message = "The database does not exist"
    cure = "Check DB_NAME, or create it: express clusters start with `postgres` only."


class DatabaseReadOnly(DatabaseUnavailable):
    """A write met a read-only server (SQLSTATE 25006): after a failover, or a reader endpoint."""

    code = "database_read_only"
    message = "The database is read-only at the moment"
    cure = (
        "After a failover the connection is replaced automatically. If this persists, DB_HOST is "
        "a reader endpoint, or the transaction was declared READ ONLY."
    )
    retry_after = 1


class TransactionConflict(DatabaseUnavailable):
    """The transaction was refused again and again, for what others did at the same time.

    SQLSTATE 40001 and 40P01; raised by `Database.run` when there is no time for another run.
    """

    code = "transaction_conflict"
    message = "The database has refused the transaction for others that changed the same rows"
    cure = (
        "Nothing was changed. If it happens often, many change the same rows at once: make the "
        "transaction shorter, or spread over more rows what they write."
    )
    retry_after = 1


class ConnectionLost(DatabaseUnavailable):
    """The connection broke while in use. Its last statement may or may not have been executed."""

    code = "connection_lost"
    message = "The connection to the database was lost"
    cure = (
        "The next request gets a new connection. sunup sends nothing twice: if it was a change, "
        "check whether it was made."
    )
    retry_after = 1
    nothing_executed = False


def sqlstate_of(error: BaseException) -> str | None:
    """The SQLSTATE of a driver's exception (asyncpg and psycopg both name it so), if it has one."""
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else None


def hint_of(error: BaseException) -> str:
    """PostgreSQL's HINT, on one line; empty where there is none."""
    hint = getattr(error, "hint", None)  # asyncpg's
    if hint is None:
        # libpq has it in the text of a failed connect.
        match = re.search(r"\nHINT:\s*(.+)", str(error))
        hint = match[1] if match else ""
    return " ".join(str(hint).split())


def plain_text(error: BaseException) -> str:
    """A driver's message on one line, without the parts that quote rows and parameters.

    PostgreSQL's DETAIL holds values (`Key (email)=(...) already exists`), and so do the messages
    of data exceptions (SQLSTATE class 22).
    """
    state = sqlstate_of(error)
    if state is not None and state[:2] == "22":
        return f"{type(error).__name__}, SQLSTATE {state}"
    text = re.split(r"\n(?:DETAIL|HINT|CONTEXT|LINE \d+):", str(error), maxsplit=1)[0]
    return " ".join(text.split()).rstrip(".") or type(error).__name__


def chain_of(error: BaseException) -> list[BaseException]:
    """An exception with its causes, its contexts and, of a group, its members."""
    found: list[BaseException] = []
    ahead: list[BaseException | None] = [error]
    while ahead:
        each = ahead.pop()
        if each is None or any(each is other for other in found):
            continue
        found.append(each)
        members = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        ahead += [each.__context__, each.__cause__, *members]
    return found
