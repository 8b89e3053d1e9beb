"""Opening and asking one psycopg connection; its cursor counts statements for the log line."""

import logging
import select
import time
from typing import Any

import psycopg
from psycopg import Connection, pq

from . import request, tls
from .credentials import CredentialSource
from .settings import Settings
from .waking import password_for, session_settings

logger = logging.getLogger("sunup.statements")


class Cursor(psycopg.Cursor[tuple[Any, ...]]):
    """A `psycopg.Cursor`. Statements are logged at DEBUG, their parameters never."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> "Cursor":
        """As in psycopg: run a statement."""
        return self._measured(query, super().execute, params, **options)

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        """As in psycopg: run a statement once for each sequence of parameters."""
        self._measured(query, super().executemany, params_seq, **options)

    def _measured(self, query: Any, run: Any, params: Any, **options: Any) -> "Cursor":
        current = request.current.get()
        began = time.perf_counter()
        rows = 0
        try:
            run(query, params, **options)
            rows = self.rowcount
        finally:
            seconds = time.perf_counter() - began
            if current is not None:
                current.note_query(seconds, rows)
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug("%s", _text(query, self), extra={"query_ms": round(seconds * 1000, 1)})
        return self


def _text(query: Any, cursor: Cursor) -> str:
    if isinstance(query, psycopg.sql.Composable):
        query = query.as_string(cursor)
    if isinstance(query, bytes):
        query = query.decode(errors="replace")
    return " ".join(str(query).split())


def connect(settings: Settings, credentials: CredentialSource) -> "Connection[tuple[Any, ...]]":
    """One attempt to connect, with a token of its own; blocks for at most `connect_timeout`."""
    return psycopg.connect(**connect_parameters(settings, credentials), cursor_factory=Cursor)


def connect_parameters(settings: Settings, credentials: CredentialSource) -> dict[str, Any]:
    """What `psycopg.connect` is told, with a fresh token where one is needed.

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
        # A peer that vanished is noticed by the kernel, in milliseconds here, not in hours.
        "tcp_user_timeout": 10_000,
    }
    if settings.sslmode.startswith("verify-"):
        parameters["sslrootcert"] = tls.root_file(settings)
    return parameters


def readable(connection: "Connection[Any]") -> bool:
    """Whether the server sent something unasked: nearly always that it closed the session."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return bool(poll.poll(0))


def ping(connection: "Connection[Any]", timeout: float) -> bool:
    """One round trip with an empty statement, at most `timeout` seconds; False: it is dead.

    By libpq's non-blocking calls: psycopg's own wait has no timeout.
    """
    if connection.closed:
        return False
    pgconn = connection.pgconn
    end = time.monotonic() + timeout
    try:
        pgconn.send_query(b"")
        poll = select.poll()
        poll.register(pgconn.socket, select.POLLIN)
        pgconn.flush()
        while pgconn.is_busy():
            remaining = end - time.monotonic()
            if remaining <= 0 or not poll.poll(remaining * 1000):
                return False
            pgconn.consume_input()
        while (result := pgconn.get_result()) is not None:
            if result.status != pq.ExecStatus.EMPTY_QUERY:
                return False
    except psycopg.OperationalError:
        return False
    return not connection.closed
