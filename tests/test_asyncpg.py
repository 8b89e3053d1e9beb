import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace

import asyncpg
import pytest

from sunup import deadline, request
from sunup.asyncpg import Database
from sunup.failures import (
    ConnectionLost,
    ConnectionsBusy,
    DatabaseMissing,
    DatabaseReadOnly,
    DatabaseResuming,
    DatabaseUnreachable,
)
from sunup.settings import Settings, SettingsError

from .hanging import hanging

Admin = Callable[[str], list[tuple[object, ...]]]

TERMINATE = (
    "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
    " where application_name = 'sunup' and datname = current_database()"
)


async def backend(db: Database) -> int:
    async with db.connection() as connection:
        pid: int = await connection.fetchval("select pg_backend_pid()")
        return pid


async def test_one_connection_serves_request_after_request(settings: Settings) -> None:
    db = Database(settings)
    assert await backend(db) == await backend(db)
    await db.close()


async def test_connections_are_exclusive_and_never_more_than_the_pool_size(
    settings: Settings,
) -> None:
    db = Database(replace(settings, pool_size=3))
    in_use: set[int] = set()
    most = 0

    async def work() -> None:
        nonlocal most
        async with db.connection() as connection:
            pid = await connection.fetchval("select pg_backend_pid()")
            assert pid not in in_use
            in_use.add(pid)
            most = max(most, len(in_use))
            await connection.execute("select pg_sleep(0.01)")
            in_use.remove(pid)

    await asyncio.gather(*(work() for _ in range(40)))
    assert most == 3
    await db.close()


async def test_starting_connects_in_the_background(settings: Settings, admin: Admin) -> None:
    db = Database(settings)
    await db.start()
    count = "select count(*) from pg_stat_activity where application_name = 'sunup' and datname = current_database()"
    for _ in range(100):
        if admin(count) == [(1,)]:
            break
        await asyncio.sleep(0.02)
    assert admin(count) == [(1,)]
    await db.close()


async def test_the_server_ends_idle_sessions_and_the_next_request_gets_a_new_one(
    settings: Settings,
) -> None:
    db = Database(replace(settings, idle_session_timeout=0.3))
    first = await backend(db)
    await asyncio.sleep(0.6)
    assert await backend(db) != first
    await db.close()


async def test_a_connection_that_the_server_closed_is_replaced_without_a_failure(
    settings: Settings, admin: Admin
) -> None:
    db = Database(settings)
    for _ in range(5):
        first = await backend(db)
        assert admin(TERMINATE) == [(True,)]
        assert await backend(db) != first
    await db.close()


async def test_a_connection_closed_while_the_loop_stood_still_is_replaced(
    settings: Settings, admin: Admin
) -> None:
    """As after a freeze: the loop has not read the socket's end when the request begins."""
    db = Database(settings)
    first = await backend(db)
    admin(TERMINATE)
    time.sleep(0.2)  # noqa: ASYNC251  # the loop stands still, as in a frozen process
    assert await backend(db) != first
    await db.close()


async def test_a_path_that_died_silently_is_found_by_asking(settings: Settings) -> None:
    with hanging(settings.host) as server:
        server.awake.set()
        tcp = replace(settings, host="127.0.0.1", port=server.port, password="x")
        db = Database(replace(tcp, sslmode="disable", idle_session_timeout=1))
        assert await backend(db) > 0
        await asyncio.sleep(0.6)  # longer than half the idle timeout: asked before use
        assert await backend(db) > 0
        await db.close()


async def test_a_connection_that_breaks_in_use_is_lost_and_nothing_is_repeated(
    settings: Settings, admin: Admin
) -> None:
    admin("create table calls (n int)")
    db = Database(settings)
    with pytest.raises(ConnectionLost) as raised:
        async with db.connection() as connection:
            await connection.execute("insert into calls values (1)")
            await connection.execute("select pg_terminate_backend(pg_backend_pid())")
    assert not raised.value.nothing_executed
    assert admin("select n from calls") == [(1,)]
    assert await backend(db) > 0
    await db.close()


async def test_an_error_of_the_statement_comes_as_it_is_and_keeps_the_connection(
    settings: Settings,
) -> None:
    db = Database(settings)
    first = await backend(db)
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with db.connection() as connection:
            await connection.execute("select 1/0")
    assert await backend(db) == first
    await db.close()


async def test_a_transaction_is_committed_or_rolled_back(settings: Settings, admin: Admin) -> None:
    admin("create table kept (n int)")
    db = Database(settings)
    async with db.transaction() as connection:
        await connection.execute("insert into kept values (1)")
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as connection:
            await connection.execute("insert into kept values (2)")
            _ = 1 / 0
    assert admin("select n from kept") == [(1,)]
    await db.close()


async def test_a_connection_left_inside_a_transaction_is_not_given_to_the_next(
    settings: Settings, admin: Admin
) -> None:
    admin("create table kept (n int)")
    db = Database(settings)
    async with db.connection() as connection:
        await connection.execute("begin")
        await connection.execute("insert into kept values (1)")
    async with db.connection() as connection:
        assert not connection.is_in_transaction()
    assert admin("select n from kept") == []
    await db.close()


async def test_a_write_on_a_read_only_server_names_the_reason(
    settings: Settings, admin: Admin
) -> None:
    admin("create table kept (n int)")
    db = Database(settings)
    with pytest.raises(DatabaseReadOnly):
        async with db.transaction(readonly=True) as connection:
            await connection.execute("insert into kept values (1)")
    await db.close()


async def test_a_sleeping_database_is_waited_for_until_it_wakes(settings: Settings) -> None:
    with hanging(settings.host) as server:
        tcp = replace(settings, host="127.0.0.1", port=server.port, password="x")
        db = Database(replace(tcp, sslmode="disable"))
        asyncio.get_running_loop().call_later(0.5, server.awake.set)
        began = time.monotonic()
        with deadline.within(10):
            assert await backend(db) > 0
        assert 0.4 < time.monotonic() - began < 1.5
        assert server.attempts == 1
        await db.close()


async def test_a_deadline_ends_the_wait_but_not_the_waking(settings: Settings) -> None:
    with hanging(settings.host) as server:
        tcp = replace(settings, host="127.0.0.1", port=server.port, password="x")
        db = Database(replace(tcp, sslmode="disable"))
        began = time.monotonic()
        with deadline.within(0.3), pytest.raises(DatabaseResuming):
            await backend(db)
        assert 0.25 < time.monotonic() - began < 2.5
        server.awake.set()
        with deadline.within(5):
            assert await backend(db) > 0
        assert server.attempts == 1  # the next request profits from the first attempt
        await db.close()


async def test_an_attempt_that_hangs_too_long_is_begun_anew(settings: Settings) -> None:
    with hanging(settings.host) as server:
        tcp = replace(settings, host="127.0.0.1", port=server.port, password="x")
        db = Database(replace(tcp, sslmode="disable", connect_timeout=0.2))
        with deadline.within(1), pytest.raises(DatabaseResuming):
            await backend(db)
        assert server.attempts >= 3
        await db.close()


async def test_a_refused_connection_is_tried_again_until_the_deadline(settings: Settings) -> None:
    db = Database(
        replace(settings, host="127.0.0.1", port=1, password="x", sslmode="disable"),
    )
    began = time.monotonic()
    with deadline.within(0.5), pytest.raises(DatabaseUnreachable):
        await backend(db)
    assert time.monotonic() - began > 0.4
    await db.close()


async def test_what_waiting_cannot_mend_is_told_at_once(settings: Settings) -> None:
    db = Database(replace(settings, database="nowhere"))
    began = time.monotonic()
    with pytest.raises(DatabaseMissing, match="nowhere"):
        await backend(db)
    assert time.monotonic() - began < 1
    await db.close()


async def test_a_task_that_holds_all_connections_is_told_at_once(settings: Settings) -> None:
    db = Database(replace(settings, pool_size=1))
    async with db.connection():
        with pytest.raises(ConnectionsBusy, match="nested"):
            async with db.connection():
                pass
    await db.close()


async def test_a_caller_waits_for_a_connection_that_another_holds(settings: Settings) -> None:
    db = Database(replace(settings, pool_size=1))
    held, done = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with db.connection():
            held.set()
            await done.wait()

    task = asyncio.create_task(hold())
    await held.wait()
    with deadline.within(0.1), pytest.raises(ConnectionsBusy):
        await backend(db)
    asyncio.get_running_loop().call_later(0.1, done.set)
    assert await backend(db) > 0
    await task
    await db.close()


async def test_a_cancelled_caller_leaves_no_connection_behind(settings: Settings) -> None:
    db = Database(replace(settings, pool_size=1))

    async def slow() -> None:
        async with db.connection() as connection:
            await connection.execute("select pg_sleep(30)")

    for delay in (0, 0.005, 0.02, 0.1):
        task = asyncio.create_task(slow())
        await asyncio.sleep(delay)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with deadline.within(5):
            assert await backend(db) > 0
    await db.close()


async def test_statements_are_counted_and_logged_without_their_parameters(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    db = Database(settings)
    current = request.Request()
    token = request.current.set(current)
    caplog.set_level(logging.DEBUG, "sunup.statements")
    async with db.connection() as connection:
        await connection.fetch("select generate_series(1, 3), $1::text", "someone@example.com")
        await connection.fetchrow("select 1 where false")
        await connection.execute("create temp table t as select generate_series(1, 4)")
        await connection.executemany("select $1::int", [(1,), (2,)])
    request.current.reset(token)
    assert current.queries == 4
    assert current.rows == 7
    assert current.query_seconds > 0
    assert current.connect_seconds > 0
    assert "select generate_series(1, 3), $1::text" in caplog.text
    assert "someone" not in caplog.text
    await db.close()


def test_each_event_loop_has_connections_of_its_own(settings: Settings) -> None:
    db = Database(settings)

    async def once() -> int:
        pid = await backend(db)
        await db.close()
        return pid

    assert asyncio.run(once()) != asyncio.run(once())


def test_a_forked_child_leaves_its_parent_s_connection_alone(settings: Settings) -> None:
    db = Database(settings)
    loop = asyncio.new_event_loop()
    first = loop.run_until_complete(backend(db))
    child = os.fork()
    if child == 0:
        try:
            asyncio.set_event_loop(None)
            other = asyncio.new_event_loop().run_until_complete(backend(db))
            os._exit(0 if other != first else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert loop.run_until_complete(backend(db)) == first
    loop.run_until_complete(db.close())
    loop.close()


async def test_settings_are_read_at_the_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    db = Database()
    with pytest.raises(SettingsError, match="DB_HOST is not set"):
        await db.start()
