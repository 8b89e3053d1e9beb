"""The emulated Neon as its clients see it."""

import socket
import ssl
import threading
import time
from typing import Any

import psycopg
import pytest

from sunup.local.emulator import Emulator, NeonOptions
from sunup.local.testing import Emulate

from ..proxy.test_proxy import pid, pinned, wait_until
from ..test_session import ASK_FOR_TLS, everything, fields, startup


def arguments(aws: Emulator, **changes: Any) -> dict[str, Any]:
    return {
        "host": "localhost",
        "port": aws.aurora.port,
        "user": "app",
        "password": aws.environ["DB_PASSWORD"],
        "dbname": aws.environ["DB_NAME"],
        "sslmode": "verify-full",
        "sslrootcert": aws.environ["DB_SSLROOTCERT"],
        **changes,
    }


def connect(aws: Emulator, **changes: Any) -> psycopg.Connection[Any]:
    made = psycopg.connect(**arguments(aws, **{"autocommit": True, **changes}))
    made.prepare_threshold = None
    return made


def works(aws: Emulator) -> None:
    with connect(aws) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def state(aws: Emulator) -> str:
    return str(aws.state()["aurora"]["state"])


def test_it_wants_a_password_tls_and_the_endpoint_s_name(emulate: Emulate) -> None:
    aws = emulate(engine="neon")
    wrong: tuple[tuple[dict[str, str], str], ...] = (
        ({"password": "wrong"}, "password authentication failed for user 'app'"),
        ({"sslmode": "disable"}, "connection is insecure"),
        ({"sslsni": "0"}, "Endpoint ID is not specified"),
        ({"dbname": "none"}, 'database "none" does not exist'),
    )
    for changes, words in wrong:
        with pytest.raises(psycopg.OperationalError, match=words):
            connect(aws, **changes)
    password = aws.environ["DB_PASSWORD"]
    for changes in (
        {"options": "endpoint=ep-one"},
        {"password": f"endpoint=ep-one;{password}"},
        {"password": f"endpoint=ep-one${password}"},
    ):
        connect(aws, sslsni="0", **changes).close()
    with connect(aws, options="endpoint=ep-one -c work_mem=7MB") as connection:
        assert connection.execute("show work_mem").fetchone() == ("7MB",)
    works(aws)


def test_the_missing_endpoint_has_the_proxy_s_sqlstate(emulate: Emulate) -> None:
    aws = emulate(engine="neon")
    context = ssl.create_default_context(cafile=aws.environ["DB_SSLROOTCERT"])
    context.check_hostname = False
    with socket.create_connection(("127.0.0.1", aws.aurora.port), timeout=5) as made:
        made.sendall(ASK_FOR_TLS)
        assert made.recv(1) == b"S"
        with context.wrap_socket(made) as line:
            line.sendall(startup(user="app", database="x"))
            assert line.recv(9)[:1] == b"R"
            line.sendall(b"p" + (8).to_bytes(4, "big") + b"abc\0")
            told = fields(everything(line))
    assert told["C"] == "XX000"
    works(aws)


def test_it_is_suspended_under_idle_connections(emulate: Emulate) -> None:
    aws = emulate(engine="neon", neon=NeonOptions(pause_after=0.4, resume_seconds=0.3))
    with connect(aws) as connection:
        for _ in range(4):
            time.sleep(0.15)
            connection.execute("select 1")
        assert state(aws) == "awake"
        wait_until(lambda: state(aws) == "asleep")
        with pytest.raises(psycopg.OperationalError, match="due to administrator command"):
            connection.execute("select 1")
    began = time.monotonic()
    works(aws)  # held until it is awake
    assert 0.2 < time.monotonic() - began < 3


def test_a_statement_and_a_transaction_keep_it_awake(emulate: Emulate) -> None:
    aws = emulate(engine="neon", neon=NeonOptions(pause_after=0.2, resume_seconds=0))
    with connect(aws) as connection:
        connection.execute("select pg_sleep(0.5)")
        assert state(aws) == "awake"
        with connection.transaction():
            connection.execute("select 1")
            time.sleep(0.5)
            assert state(aws) == "awake"
            assert connection.execute("select 2").fetchone() == (2,)
        wait_until(lambda: state(aws) == "asleep")
    works(aws)


def test_a_session_of_its_own_remembers_and_is_cancelled(emulate: Emulate) -> None:
    aws = emulate(engine="neon")
    with connect(aws) as connection:
        connection.execute("set work_mem = '7MB'")
        assert connection.execute("show work_mem").fetchone() == ("7MB",)
        assert pid(connection) == pid(connection)
    with connect(aws) as connection:
        assert connection.execute("show work_mem").fetchone() != ("7MB",)
        cancelled(connection)
    works(aws)


def cancelled(connection: psycopg.Connection[Any]) -> None:
    timer = threading.Timer(0.2, connection.cancel_safe)
    timer.start()
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("select pg_sleep(20)")
    timer.join()


def test_the_pooler_shares_sessions_and_what_they_were_told(emulate: Emulate) -> None:
    aws = emulate(engine="neon-pooler", neon=NeonOptions(pool_size=2))
    with connect(aws) as connection, connect(aws) as other:
        assert pid(connection) != pid(connection)
        connection.execute("set work_mem = '7MB'")
        found = {other.execute("show work_mem").fetchone() for _ in range(4)}
        # It stays with the session, for whoever gets that: not with the client.
        assert len(found) == 2
        cancelled(connection)
        figures = aws.state()["aurora"]
        assert (figures["connections"], figures["sessions"]) == (2, 2)
    assert pinned(aws) == []
    works(aws)


def test_a_named_statement_may_not_be_there_behind_the_pooler(emulate: Emulate) -> None:
    aws = emulate(engine="neon-pooler", neon=NeonOptions(pool_size=2))
    with connect(aws) as connection:
        connection.prepare_threshold = 0
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            connection.execute("select %s::int", (1,))
    works(aws)


def test_the_pooler_refuses_what_it_cannot_keep(emulate: Emulate) -> None:
    aws = emulate(engine="neon-pooler")
    with pytest.raises(
        psycopg.OperationalError, match="unsupported startup parameter in options: work_mem"
    ):
        connect(aws, options="-c work_mem=7MB")
    with pytest.raises(psycopg.OperationalError, match="unsupported startup parameter: replica"):
        connect(aws, replication="database")
    with connect(aws, options="endpoint=ep-one", application_name="me") as connection:
        assert connection.execute("show application_name").fetchone() == ("me",)
    works(aws)


def test_who_waits_too_long_at_the_pooler_is_told(emulate: Emulate) -> None:
    aws = emulate(engine="neon-pooler", neon=NeonOptions(pool_size=1, borrow_timeout=0.2))
    with connect(aws) as first, connect(aws) as second, first.transaction():
        first.execute("select 1")
        with pytest.raises(psycopg.OperationalError, match="query_wait_timeout"):
            second.execute("select 1")
    works(aws)
