import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from sunup import deadline, request
from sunup.adapter.handler import Handler
from sunup.connecting.credentials import CredentialSource
from sunup.connecting.waking import Waking
from sunup.failures import (
    ConnectionLost,
    ConnectionsBusy,
    DatabaseMissing,
    DatabaseReadOnly,
    DatabaseResuming,
    DatabaseUnreachable,
)
from sunup.psycopg import Database
from sunup.psycopg.attempt import connect
from sunup.psycopg.lock import Lock
from sunup.settings import Settings, SettingsError

from .adapter.test_events import event_2
from .adapter.test_handler import Context
from .hanging import hanging
from .receipts.proxy import proxy_of
from .sockets import connected_to

Admin = Callable[[str], list[tuple[object, ...]]]

TERMINATE = (
    "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
    " where application_name = 'sunup' and datname = current_database()"
)

SESSIONS = (
    "select pid from pg_stat_activity"
    " where application_name = 'sunup' and datname = current_database()"
)


def backend(db: Database) -> int:
    with db.connection() as connection:
        row = connection.execute("select pg_backend_pid()").fetchone()
        assert row is not None
        return int(row[0])


def test_one_connection_serves_request_after_request(settings: Settings) -> None:
    db = Database(settings)
    assert backend(db) == backend(db)
    db.close()


def test_connections_are_exclusive_and_never_more_than_the_pool_size(settings: Settings) -> None:
    db = Database(replace(settings, pool_size=3))
    in_use: set[int] = set()
    most = 0
    lock = threading.Lock()

    def work(_: int) -> None:
        nonlocal most
        with db.connection() as connection:
            row = connection.execute("select pg_backend_pid()").fetchone()
            assert row is not None
            with lock:
                assert row[0] not in in_use
                in_use.add(row[0])
                most = max(most, len(in_use))
            connection.execute("select pg_sleep(0.01)")
            with lock:
                in_use.remove(row[0])

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(work, range(40)))
    assert most == 3
    db.close()


def test_starting_connects_in_the_background(settings: Settings, admin: Admin) -> None:
    db = Database(settings)
    db.start()
    count = "select count(*) from pg_stat_activity where application_name = 'sunup' and datname = current_database()"
    for _ in range(100):
        if admin(count) == [(1,)]:
            break
        time.sleep(0.02)
    assert admin(count) == [(1,)]
    assert backend(db) > 0
    assert admin(count) == [(1,)]
    db.close()


def test_the_server_ends_idle_sessions_and_the_next_request_gets_a_new_one(
    settings: Settings,
) -> None:
    db = Database(replace(settings, idle_session_timeout=0.3))
    first = backend(db)
    time.sleep(0.6)
    assert backend(db) != first
    db.close()


def test_a_connection_that_the_server_closed_is_replaced_without_a_failure(
    settings: Settings, admin: Admin
) -> None:
    db = Database(settings)
    for _ in range(5):
        first = backend(db)
        assert admin(TERMINATE) == [(True,)]
        assert backend(db) != first
    db.close()


def test_a_path_that_died_silently_is_found_by_asking(settings: Settings) -> None:
    db = Database(replace(settings, idle_session_timeout=1))
    first = backend(db)
    time.sleep(0.6)  # longer than half the idle timeout: asked before use, which keeps it
    assert backend(db) == first
    time.sleep(0.6)
    assert backend(db) == first
    db.close()


def test_a_connection_that_breaks_in_use_is_lost_and_nothing_is_repeated(
    settings: Settings, admin: Admin
) -> None:
    admin("create table calls (n int)")
    db = Database(settings)
    with pytest.raises(ConnectionLost) as raised, db.connection() as connection:
        connection.execute("insert into calls values (1)")
        connection.commit()
        connection.execute("select pg_terminate_backend(pg_backend_pid())")
    assert not raised.value.nothing_executed
    assert admin("select n from calls") == [(1,)]
    assert backend(db) > 0
    db.close()


def test_an_error_of_the_statement_comes_as_it_is_and_keeps_the_connection(
    settings: Settings,
) -> None:
    db = Database(settings)
    first = backend(db)
    with pytest.raises(psycopg.errors.DivisionByZero), db.connection() as connection:
        connection.execute("select 1/0")
    assert backend(db) == first
    db.close()


def test_a_block_is_committed_at_its_end_and_rolled_back_on_an_exception(
    settings: Settings, admin: Admin
) -> None:
    admin("create table kept (n int)")
    db = Database(settings)
    with db.connection() as connection:
        connection.execute("insert into kept values (1)")
    with pytest.raises(ZeroDivisionError), db.connection() as connection:
        connection.execute("insert into kept values (2)")
        _ = 1 / 0
    with db.transaction() as connection:
        connection.execute("insert into kept values (3)")
    with pytest.raises(ZeroDivisionError), db.transaction() as connection:
        connection.execute("insert into kept values (4)")
        _ = 1 / 0
    assert admin("select n from kept order by n") == [(1,), (3,)]
    db.close()


def test_a_write_on_a_read_only_server_names_the_reason(settings: Settings, admin: Admin) -> None:
    admin("create table kept (n int)")
    db = Database(settings)
    with pytest.raises(DatabaseReadOnly), db.connection() as connection:
        connection.execute("set transaction read only")
        connection.execute("insert into kept values (1)")
    db.close()


def test_a_sleeping_database_is_waited_for_until_it_wakes(settings: Settings) -> None:
    with hanging(settings.host) as server:
        tcp = replace(settings, host="127.0.0.1", port=server.port, password="x")
        db = Database(replace(tcp, sslmode="disable"))
        threading.Timer(0.5, server.awake.set).start()
        began = time.monotonic()
        with deadline.within(10):
            assert backend(db) > 0
        assert 0.4 < time.monotonic() - began < 1.5
        assert server.attempts == 1
        db.close()


def test_a_deadline_ends_the_wait_but_not_the_waking(settings: Settings) -> None:
    with hanging(settings.host) as server:
        tcp = replace(settings, host="127.0.0.1", port=server.port, password="x")
        db = Database(replace(tcp, sslmode="disable"))
        began = time.monotonic()
        with deadline.within(0.3), pytest.raises(DatabaseResuming):
            backend(db)
        assert 0.25 < time.monotonic() - began < 2.5
        server.awake.set()
        with deadline.within(5):
            assert backend(db) > 0
        assert server.attempts == 1
        db.close()


def test_an_error_just_before_the_deadline_is_not_lost_in_its_rollback(
    settings: Settings, admin: Admin
) -> None:
    """Who asks for a rollback then is at the end of the block that failed, such as SQLAlchemy's."""
    admin("create table t (n int primary key)")
    with proxy_of(settings) as proxy:
        db = Database(proxy.settings)
        with db.connection() as connection:
            mine = connection.info.backend_pid
            connection.execute("insert into t values (1)")
            with pytest.raises(psycopg.errors.UniqueViolation):
                connection.execute("insert into t values (1)")
            proxy.passing = lambda: time.sleep(0.1)  # type: ignore[method-assign]
            with deadline.within(0.02):
                connection.rollback()
        proxy.passing = lambda: None  # type: ignore[method-assign]
        assert backend(db) == mine
        db.close()
    assert admin("select * from t") == []


@pytest.mark.parametrize("how", ["transaction", "run", "connection"])
def test_a_commit_after_the_deadline_is_told_as_what_it_was(
    settings: Settings, admin: Admin, how: str
) -> None:
    """Who is told that the time was up does the work again."""
    admin("create table t (n int)")

    def work(connection: psycopg.Connection[Any]) -> None:
        connection.execute("insert into t values (1)")
        time.sleep(0.1)

    db = Database(settings)
    backend(db)
    with deadline.within(0.05):
        if how == "run":
            db.run(work)
        elif how == "transaction":
            with db.transaction() as connection:
                work(connection)
        else:
            with db.connection() as connection:
                work(connection)
    assert admin("select * from t") == [(1,)]
    backend(db)
    db.close()


def test_a_commit_that_is_confirmed_after_the_deadline_is_no_failure(
    settings: Settings, admin: Admin
) -> None:
    admin("create table t (n int)")
    with proxy_of(settings) as proxy:
        db = Database(proxy.settings)
        with db.connection() as connection, connection.transaction(), deadline.within(5):
            connection.execute("insert into t values (1)")
            proxy.passing = lambda: time.sleep(0.3)  # type: ignore[method-assign]
            with deadline.within(0.2):
                connection.execute("savepoint a")  # known to be done, though late
            proxy.passing = lambda: None  # type: ignore[method-assign]
        backend(db)
        db.close()
    assert admin("select * from t") == [(1,)]


def test_the_end_of_a_pipeline_after_the_deadline_is_no_commit(
    settings: Settings, admin: Admin
) -> None:
    """In autocommit it is: of what the pipeline has sent, and what nobody waited for."""
    admin("create table t (n int)")

    def late() -> Iterator[tuple[int]]:
        yield (1,)
        time.sleep(0.3)
        yield (2,)

    db = Database(settings)
    with suppress(ConnectionLost), db.connection() as connection:
        connection.autocommit = True
        with pytest.raises(deadline.DeadlineExceeded), deadline.within(0.2):
            connection.cursor().executemany("insert into t values (%s)", late())
    assert admin("select * from t") == []
    with db.connection() as connection:
        connection.cursor().executemany("insert into t values (%s)", [(3,), (4,)])
    assert admin("select * from t") == [(3,), (4,)]
    db.close()


class Silent(Exception):
    """What the app raises past its deadline."""


@pytest.mark.parametrize("how", ["late", "silent", "a pipeline"])
def test_what_a_deadline_s_clean_up_leaves_is_not_the_next_request_s(
    settings: Settings, admin: Admin, how: str
) -> None:
    admin("create table t (n int)")

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        with db.connection() as connection:
            if environ["PATH_INFO"] != "/plain":
                work(connection)
            connection.execute("insert into t values (1)")
        start_response("200 OK", [])
        return []

    def work(connection: psycopg.Connection[Any]) -> None:
        if how == "a pipeline":
            connection.autocommit = True
            connection.cursor().executemany("insert into t values (%s)", late())
        connection.execute("insert into t values (2)")
        time.sleep(0.25)
        if how == "late":
            proxy.passing = lambda: time.sleep(0.45)  # type: ignore[method-assign]
        else:
            proxy.deaf_until = time.monotonic() + 1
        raise Silent

    def late() -> Iterator[tuple[int]]:
        yield (2,)
        time.sleep(0.25)
        yield (2,)

    def ask(path: str, left: float) -> int:
        event = event_2()
        event["rawPath"] = event["requestContext"]["http"]["path"] = path
        status: int = handler(event, Context(1 + left))["statusCode"]
        return status

    with proxy_of(settings) as proxy:
        db = Database(replace(proxy.settings, pool_size=1))
        handler = Handler(app)
        for count in (1, 2):
            assert ask("/plain", 9) == 200
            assert ask("/late", 0.2) in (500, 503)
            proxy.passing = lambda: None  # type: ignore[method-assign]
            time.sleep(max(0.0, proxy.deaf_until - time.monotonic()))
            assert ask("/plain", 9) == 200
            admin(TERMINATE)  # as if frozen: the server ends the session meanwhile
            proxy.ended()
            assert ask("/plain", 9) == 200
            assert len(admin(SESSIONS)) == 1
            assert admin("select n, count(*) from t group by n") == [(1, 3 * count)]
        handler.close()
        db.close()


def test_quick_statements_of_a_transaction_do_not_go_on_for_ever(settings: Settings) -> None:
    db = Database(settings)
    backend(db)
    began = time.monotonic()
    with deadline.within(0.1), pytest.raises(deadline.DeadlineExceeded), db.transaction() as each:
        time.sleep(0.15)
        while time.monotonic() - began < 10:
            each.execute("select 1")
    assert time.monotonic() - began < 5
    backend(db)
    db.close()


def test_a_server_s_cursor_is_closed_after_the_deadline(settings: Settings) -> None:
    db = Database(settings)
    with db.connection() as connection:
        connection.autocommit = True
        cursor = connection.cursor("mine", withhold=True)
        cursor.execute("select 1")
        with deadline.within(0):
            cursor.close()
        found = connection.execute("select count(*) from pg_cursors where name = 'mine'")
        assert found.fetchone() == (0,)
    db.close()


def test_a_refused_connection_is_tried_again_until_the_deadline(settings: Settings) -> None:
    db = Database(replace(settings, host="127.0.0.1", port=1, password="x", sslmode="disable"))
    began = time.monotonic()
    with deadline.within(0.5), pytest.raises(DatabaseUnreachable):
        backend(db)
    assert time.monotonic() - began > 0.4
    db.close()


def test_what_waiting_cannot_mend_is_told_at_once(settings: Settings) -> None:
    db = Database(replace(settings, database="nowhere"))
    began = time.monotonic()
    with pytest.raises(DatabaseMissing, match="nowhere"):
        backend(db)
    assert time.monotonic() - began < 1
    db.close()


def test_a_thread_that_holds_all_connections_is_told_at_once(settings: Settings) -> None:
    db = Database(replace(settings, pool_size=1))
    with db.connection(), pytest.raises(ConnectionsBusy, match="nested"), db.connection():
        pass
    db.close()


def test_a_caller_waits_for_a_connection_that_another_thread_holds(settings: Settings) -> None:
    db = Database(replace(settings, pool_size=1))
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with db.connection():
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with deadline.within(0.1), pytest.raises(ConnectionsBusy):
        backend(db)
    threading.Timer(0.1, done.set).start()
    assert backend(db) > 0
    thread.join()
    db.close()


def test_statements_are_counted_and_logged_without_their_parameters(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    db = Database(settings)
    current = request.Request()
    token = request.current.set(current)
    caplog.set_level(logging.DEBUG, "sunup.statements")
    with db.connection() as connection:
        connection.execute("select generate_series(1, 3), %s::text", ("someone@example.com",))
        connection.execute(psycopg.sql.SQL("select 1 where false"))
        connection.cursor().executemany("select %s::int", [(1,), (2,)])
    request.current.reset(token)
    assert current.queries == 3
    assert current.rows >= 3
    assert "select generate_series(1, 3), %s::text" in caplog.text
    assert "someone" not in caplog.text
    db.close()


def test_a_forked_child_leaves_its_parent_s_connection_alone(settings: Settings) -> None:
    db = Database(settings)
    first = backend(db)
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if backend(db) != first else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert backend(db) == first
    db.close()


def test_closing_ends_a_login_under_way(settings: Settings) -> None:
    with hanging(settings.host) as server:
        tcp = replace(settings, host="127.0.0.1", port=server.port, password="x")
        db = Database(replace(tcp, sslmode="disable"))
        db.start()
        time.sleep(0.1)
        db.close()
        assert not any(each.name == "sunup-waking" for each in threading.enumerate())
        assert connected_to(server.port) == 0
        server.awake.set()
        assert backend(db) > 0
        db.close()


def test_closing_takes_a_connection_from_who_still_uses_it(
    settings: Settings, admin: Admin
) -> None:
    db = Database(settings)
    with pytest.raises(ConnectionLost), db.connection() as connection:
        db.close()
        end = time.monotonic() + 5
        while admin(SESSIONS):  # the server hears of it a moment later
            assert time.monotonic() < end
            time.sleep(0.02)
        connection.execute("select 1")
    assert backend(db)
    db.close()


def test_settings_are_read_at_the_first_use() -> None:
    db = Database()
    with pytest.raises(SettingsError, match="DB_HOST is not set"):
        db.start()


def test_who_comes_just_as_a_background_attempt_fails_has_all_its_patience(
    settings: Settings,
) -> None:
    got: list[object] = []

    def ask() -> None:
        with db.connection() as connection:
            got.append(connection.execute("select 1").fetchone())

    asking = threading.Thread(target=ask)

    class Refused(psycopg.OperationalError):
        __module__ = psycopg.__name__

        def __str__(self) -> str:
            """It is being looked at: somebody comes."""
            if asking.ident is None:
                asking.start()
                while not db.pool()._waiting:
                    time.sleep(0.01)
            return "connection refused"

    def flaky(settings: Settings, credentials: CredentialSource, waking: Waking) -> Any:
        if asking.ident is None:
            raise Refused
        return connect(settings, credentials, waking)

    db = Database(replace(settings, pool_size=1), connect=flaky)
    db.start()
    while asking.ident is None:
        time.sleep(0.01)
    asking.join(10)
    assert got == [(1,)]
    db.close()


def test_a_lock_that_comes_free_at_the_deadline_is_not_taken() -> None:
    """Its last user ended at the same deadline, and left a failed transaction."""
    lock = Lock(lambda: 5.0)
    held = threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            time.sleep(0.2)

    threading.Thread(target=hold).start()
    assert held.wait(5)
    with deadline.within(0.1):
        with pytest.raises(deadline.DeadlineExceeded), lock:
            pass
        assert not lock.locked()
        with lock:  # the app's own rollback, after the deadline
            pass
