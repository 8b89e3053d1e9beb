"""One attempt to connect with psycopg, and a second one beside it where the first hears nothing.

Why: see `sunup.asyncpg.attempt`. libpq itself tries a name's addresses one after the other, each
for the whole `connect_timeout`. Both attempts are made by the calling thread, with libpq's
non-blocking calls (PostgreSQL, "libpq: Database Connection Control Functions").
"""

import re
import select
import socket
import time
from typing import Any, TypeVar

import psycopg
from psycopg import errors, pq
from psycopg.conninfo import make_conninfo

from sunup.connecting import tls
from sunup.connecting.credentials import CredentialSource
from sunup.connecting.waking import SECOND_AFTER, Waking, password_for, session_settings
from sunup.settings import Settings

from .connection import Connection
from .cursor import Cursor

C = TypeVar("C", bound=Connection)

# Seconds in which an attempt notices that nobody wants it any more.
FORSAKEN_WITHIN = 0.05

_NUMERIC = re.compile(r"[\d.]+|.*:.*")


def connect(settings: Settings, credentials: CredentialSource, waking: Waking) -> Connection:
    """Connect with a fresh token to one of the name's addresses, perhaps also to the next.

    To another one at each try of the waking. Blocks for at most `connect_timeout`, or until the
    waking is forsaken. Raises what psycopg raises, and `OSError`.
    """
    connection = open_with(connect_parameters(settings, credentials), settings, waking, Connection)
    connection.cursor_factory = Cursor
    return connection


def open_with(parameters: dict[str, Any], settings: Settings, waking: Waking, kind: type[C]) -> C:
    """As `connect`, with the caller's own parameters and connection class."""
    number = max(0, waking.tries - 1)
    addresses = _addresses(settings)
    attempts: list[pq.abc.PGconn] = []
    began = time.monotonic()

    def begin() -> None:
        address = addresses[(number + len(attempts)) % len(addresses)]
        where = {} if address is None else {"hostaddr": address}
        attempts.append(pq.PGconn.connect_start(make_conninfo("", **parameters, **where).encode()))

    begin()
    try:
        winner = _first_of(attempts, begin, began, settings.connect_timeout, waking)
    except BaseException:
        for attempt in attempts:
            attempt.finish()
        raise
    for attempt in attempts:
        if attempt is not winner:
            attempt.finish()
    winner.nonblocking = 1
    return kind(winner)


def _first_of(
    attempts: "list[pq.abc.PGconn]",
    begin_another: Any,
    began: float,
    limit: float,
    waking: Waking,
) -> "pq.abc.PGconn":
    pending = {id(attempt): pq.PollingStatus.WRITING for attempt in attempts}
    error = ""
    while pending:
        waited = time.monotonic() - began
        if waited >= limit or waking.forsaken:
            raise errors.ConnectionTimeout("connection timeout expired")
        alone = len(attempts) == 1
        if alone and waited >= SECOND_AFTER and not attempts[0].ssl_in_use:
            begin_another()
            pending[id(attempts[1])] = pq.PollingStatus.WRITING
        until = SECOND_AFTER if alone and waited < SECOND_AFTER else limit
        for attempt in _ready(attempts, pending, min(until - waited, FORSAKEN_WITHIN)):
            status = attempt.connect_poll()
            if status == pq.PollingStatus.OK:
                return attempt
            if status == pq.PollingStatus.FAILED:
                del pending[id(attempt)]
                error = attempt.get_error_message()
            else:
                pending[id(attempt)] = pq.PollingStatus(status)
    raise psycopg.OperationalError(f"connection failed: {error}")


def _ready(
    attempts: "list[pq.abc.PGconn]", pending: "dict[int, pq.PollingStatus]", seconds: float
) -> "list[pq.abc.PGconn]":
    poll = select.poll()
    mine = {}
    for attempt in attempts:
        wants = pending.get(id(attempt))
        if wants is None:
            continue
        if attempt.status == pq.ConnStatus.BAD:
            return [attempt]  # it has no socket; polling it shows why
        mine[attempt.socket] = attempt
        poll.register(
            attempt.socket, select.POLLIN if wants == pq.PollingStatus.READING else select.POLLOUT
        )
    return [mine[descriptor] for descriptor, _ in poll.poll(max(0.0, seconds) * 1000)]


def _addresses(settings: Settings) -> list[str | None]:
    """The addresses of the host's name; none where it is an address or a socket's folder."""
    host = settings.host
    if host.startswith("/") or _NUMERIC.fullmatch(host):
        return [None]
    found = socket.getaddrinfo(host, settings.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def connect_parameters(settings: Settings, credentials: CredentialSource) -> dict[str, Any]:
    """The arguments of `psycopg.connect`, with a fresh token where one is needed.

    Raises `CredentialsMissing` and `TLSFailed`.
    """
    options = " ".join(
        f"-c {name}={value}"
        for name, value in session_settings(settings).items()
        if name != "application_name"
    )
    parameters: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "user": settings.user,
        "password": password_for(settings, credentials.find() if settings.uses_token else None),
        "dbname": settings.database,
        "sslmode": settings.sslmode,
        # libpq would ask for a Kerberos ticket first.
        "gssencmode": "disable",
        # libpq takes whole seconds, and at least 2.
        "connect_timeout": max(2, round(settings.connect_timeout)),
        "application_name": session_settings(settings)["application_name"],
        "options": options,
        # Milliseconds until the kernel notices a peer that vanished; else it takes hours.
        "tcp_user_timeout": 10_000,
    }
    if settings.sslmode.startswith("verify-"):
        parameters["sslrootcert"] = tls.root_file(settings)
    return parameters
