"""The emulated RDS Proxy as its clients see it."""

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from sunup.local.emulator import Emulator, RdsProxyOptions
from sunup.local.testing import Emulate

from ..test_aurora import arguments, password
from ..test_session import everything, secured, startup

Admin = Callable[[str], list[tuple[object, ...]]]

PID = "select pg_backend_pid()"


def connect(aws: Emulator, **changes: Any) -> psycopg.Connection[Any]:
    """A connection that commits each statement and names no prepared statement."""
    made = psycopg.connect(**arguments(aws, **{"autocommit": True, **changes}))
    made.prepare_threshold = None
    return made


def pinned(aws: Emulator) -> list[str]:
    return [each["reason"] for each in aws.timeline.events if each["kind"] == "pinned"]


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def works(aws: Emulator) -> None:
    with connect(aws) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def pid(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(PID).fetchone()
    assert row is not None
    return int(row[0])


def test_each_transaction_may_be_in_another_session(emulate: Emulate) -> None:
    aws = emulate(engine="rds-proxy")
    with connect(aws) as connection:
        found = [pid(connection) for _ in range(4)]
        assert len(set(found)) == 2
        assert found[0] != found[1]
        with connection.transaction():
            assert pid(connection) == pid(connection)
    assert pinned(aws) == []
    works(aws)


def test_clients_share_the_sessions_that_there_are(emulate: Emulate) -> None:
    aws = emulate(engine="rds-proxy", rds_proxy=RdsProxyOptions(sessions=2))
    made = [connect(aws) for _ in range(6)]
    found = {pid(each) for _ in range(3) for each in made}
    state = aws.state()["aurora"]
    assert len(found) == 2
    assert (state["connections"], state["sessions"], state["max_sessions"]) == (6, 2, 2)
    assert state["pinned"] == 0
    for each in made:
        each.close()
    works(aws)


PINNING = {
    "set work_mem = '8MB'": "a parameter is set",
    "set session characteristics as transaction read only": "a parameter is set",
    "select 1; select set_config('work_mem', '8MB', true)": "a parameter is set",
    "reset all": "a parameter is reset",
    "prepare a as select 1": "a prepared statement of SQL",
    "deallocate all": "a prepared statement of SQL",
    "discard plans": "the session's state is discarded",
    "create temp table t (id int)": "something temporary is created",
    "select 1 as one into temporary t": "something temporary is created",
    "begin; declare c cursor for select 1; commit": "a cursor is declared",
    "listen something": "a channel is listened to",
    "select pg_advisory_lock(1)": "an advisory lock",
    "select pg_catalog.pg_try_advisory_lock(1)": "an advisory lock",
    f"select '{'x' * 16_500}'": "a statement of more than 16 KB",
}


def test_what_a_session_remembers_pins_the_client(emulate: Emulate) -> None:
    aws = emulate(engine="rds-proxy")
    for statement, reason in PINNING.items():
        before = len(pinned(aws))
        with connect(aws) as connection:
            connection.execute(statement.encode())
            assert pinned(aws)[before:] == [reason], statement
            assert aws.state()["aurora"]["pinned"] == 1
            assert pid(connection) == pid(connection)
        wait_until(lambda: aws.state()["aurora"]["pinned"] == 0)
        works(aws)
        assert pinned(aws)[before:] == [reason]  # once
    # Never the text: it may hold what nobody is to read.
    assert "work_mem" not in str(pinned(aws))


@pytest.mark.parametrize("kind", ["simple", "extended"])
def test_what_ends_with_the_transaction_does_not_pin(emulate: Emulate, kind: str) -> None:
    aws = emulate(engine="rds-proxy")
    for statement in (
        "begin; set local work_mem = '8MB'; commit",
        "begin; set transaction read only; commit",
        "select pg_advisory_xact_lock(1)",
        "select 'set work_mem', 'nextval('",
        "select 1 -- set x = 1",
        "show work_mem",
        "do $$ begin perform set_config('work_mem', '8MB', true); end $$",
    ):
        with connect(aws) as connection:
            extended = kind == "extended" and ";" not in statement
            connection.execute(statement.encode(), binary=extended)
            assert pid(connection) != pid(connection), statement
    assert pinned(aws) == []
    works(aws)


def test_a_sequence_and_a_named_statement_pin(emulate: Emulate) -> None:
    aws = emulate(engine="rds-proxy")
    with connect(aws) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("select nextval('none')")
    assert pinned(aws) == ["a sequence is used"]
    with connect(aws) as connection:
        connection.prepare_threshold = 0
        for _ in range(2):
            row = connection.execute("select %s::int", (1,)).fetchone()
            assert row == (1,)
    assert pinned(aws)[1:] == ["a prepared statement with a name"]
    works(aws)


def test_what_a_pinned_client_was_told_is_nobody_else_s(emulate: Emulate) -> None:
    aws = emulate(engine="rds-proxy", rds_proxy=RdsProxyOptions(sessions=1))
    with connect(aws) as connection:
        connection.execute("set work_mem = '7MB'")
        assert connection.execute("show work_mem").fetchone() == ("7MB",)
    with connect(aws) as connection:
        assert connection.execute("show work_mem").fetchone() != ("7MB",)


def test_who_waits_too_long_for_a_session_is_told(emulate: Emulate) -> None:
    aws = emulate(engine="rds-proxy", rds_proxy=RdsProxyOptions(sessions=1, borrow_timeout=0.3))
    with connect(aws) as first, connect(aws) as second:
        with first.transaction():
            first.execute("select 1")
            began = time.monotonic()
            with pytest.raises(psycopg.OperationalError, match="Timed-out waiting to acquire"):
                second.execute("select 1")
            assert 0.2 < time.monotonic() - began < 2
        first.execute("begin")
        with pytest.raises(psycopg.OperationalError, match="Timed-out waiting"):
            connect(aws)
    works(aws)


def test_who_waits_gets_the_session_in_turn(emulate: Emulate) -> None:
    aws = emulate(engine="rds-proxy", rds_proxy=RdsProxyOptions(sessions=1))
    done: list[int] = []

    def use(number: int) -> None:
        with connect(aws) as connection:
            for _ in range(10):
                connection.execute("select pg_sleep(0.005)")
            done.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert sorted(done) == [0, 1, 2, 3, 4]
    assert aws.state()["aurora"]["sessions"] == 1


REFUSED: tuple[tuple[dict[str, str], str], ...] = (
    ({"options": "-c work_mem=8MB"}, "RDS Proxy currently doesn’t support command-line options"),
    ({"replication": "database"}, "doesn’t support streaming replication mode"),
    ({"sslmode": "disable"}, "This RDS Proxy requires TLS connections"),
    ({"password": "wrong"}, "The IAM authentication failed for the role app"),
    ({"dbname": "none"}, 'database "none" does not exist'),
)


def test_refused_logins(emulate: Emulate) -> None:
    aws = emulate(engine="rds-proxy")
    for changes, words in REFUSED:
        with pytest.raises(psycopg.OperationalError, match=words):
            connect(aws, **changes)
    works(aws)


def test_it_never_lets_aurora_pause(emulate: Emulate) -> None:
    aws = emulate(engine="rds-proxy", rds_proxy=RdsProxyOptions(pause_after=0.1))
    time.sleep(0.5)
    assert aws.state()["aurora"]["state"] == "awake"
    works(aws)


def test_a_silent_client_is_thrown_out(emulate: Emulate) -> None:
    aws = emulate(engine="rds-proxy", rds_proxy=RdsProxyOptions(idle_timeout=0.3))
    with connect(aws) as connection:
        connection.execute("select pg_sleep(0.6)")
        wait_until(lambda: aws.state()["aurora"]["connections"] == 0)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    works(aws)


def test_a_client_that_leaves_within_a_transaction_leaves_nothing(emulate: Emulate) -> None:
    aws = emulate(engine="rds-proxy", rds_proxy=RdsProxyOptions(sessions=1))
    connection = connect(aws, autocommit=False)
    connection.execute("select pg_advisory_xact_lock(7)")
    connection.close()
    with connect(aws) as other:
        row = other.execute("select pg_try_advisory_xact_lock(7)").fetchone()
        assert row == (True,)


def test_copy_large_results_and_errors_pass(emulate: Emulate) -> None:
    aws = emulate(engine="rds-proxy", rds_proxy=RdsProxyOptions(sessions=1))
    with connect(aws) as connection, connection.transaction(force_rollback=True):
        connection.execute("create temp table t (id int, text text) on commit drop")
        with connection.cursor().copy("copy t from stdin") as copy:
            for number in range(20_000):
                copy.write_row((number, "x" * 100))
        rows = connection.execute("select * from t").fetchall()
        assert len(rows) == 20_000
        with pytest.raises(psycopg.errors.UndefinedTable), connection.transaction():
            connection.execute("select * from none")
        with (
            pytest.raises(psycopg.errors.InvalidTextRepresentation),
            connection.transaction(),
            connection.cursor().copy("copy t from stdin") as copy,
        ):
            for _ in range(1000):
                copy.write_row(("no number", "x" * 1000))
    with connect(aws) as connection, connection.pipeline():
        cursors = [connection.execute("select %s::int", (n,)) for n in range(100)]
        assert [each.fetchone() for each in cursors] == [(n,) for n in range(100)]
    works(aws)


def test_a_failover_spares_who_is_not_in_a_transaction(emulate: Emulate) -> None:
    aws = emulate(engine="rds-proxy")
    with connect(aws) as idle, connect(aws) as working:
        idle.execute("select 1")
        working.execute("begin")
        aws.run(aws.aurora.faults.failover(0.4))
        began = time.monotonic()
        assert idle.execute("select 1").fetchone() == (1,)  # held until there is a writer
        assert 0.2 < time.monotonic() - began < 3
        with pytest.raises(psycopg.OperationalError):
            working.execute("select 1")
    works(aws)


def test_a_session_that_the_server_ended_is_given_to_nobody(emulate: Emulate, admin: Admin) -> None:
    aws = emulate(engine="rds-proxy", rds_proxy=RdsProxyOptions(sessions=2))
    with connect(aws) as connection:
        for _ in range(3):
            admin(f"select pg_terminate_backend({pid(connection)}, 5000)")
            time.sleep(0.3)  # until the proxy has heard of it
            assert connection.execute("select 1").fetchone() == (1,)
    works(aws)


@pytest.mark.parametrize("garbage", [b"Q\0\0\0\0", b"Q\0\0\0\5x", b"P\0\0\0\5x"])
def test_who_does_not_speak_the_protocol_is_thrown_out(emulate: Emulate, garbage: bytes) -> None:
    aws = emulate(engine="rds-proxy", rds_proxy=RdsProxyOptions(sessions=1))
    with secured(aws) as line:
        line.sendall(startup(user="app", database=aws.environ["DB_NAME"]))
        assert line.recv(9)[:1] == b"R"
        token = password(aws).encode() + b"\0"
        line.sendall(b"p" + (len(token) + 4).to_bytes(4, "big") + token)
        assert line.recv(9) == b"R\0\0\0\x08\0\0\0\0"
        line.sendall(garbage)
        assert everything(line).endswith(b"Z\0\0\0\5I")  # of the login
    works(aws)
    assert not [each for each in aws.timeline.events if each["kind"] == "error"]
