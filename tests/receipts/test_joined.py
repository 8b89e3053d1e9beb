"""What an app may do in a request's one transaction, and what it is told else; asyncpg and psycopg.

Each test ends with a plain success on the same instance.
"""

import asyncio
import threading
import time
from contextlib import suppress
from contextvars import copy_context
from typing import Any

import asyncpg
import psycopg
import pytest

from sunup import after_commit
from sunup.asyncpg import Database as AsyncpgDatabase
from sunup.failures import ConnectionLost, ConnectionsBusy
from sunup.psycopg import Database as PsycopgDatabase

from .apps import content
from .conftest import INSERT, Admin, Start, names, succeeds


def test_the_app_cannot_end_the_transaction(start: Start, admin: Admin) -> None:
    refused = []

    async def view(db: AsyncpgDatabase, name: str) -> int:
        async with db.connection() as connection:
            await connection.execute(INSERT.format(name))
            if name == "rogue":
                for text in ("commit", "rollback", "begin", "end", "prepare transaction 'x'"):
                    with pytest.raises(asyncpg.InterfaceError) as error:
                        await connection.execute(text)
                    refused.append(str(error.value))
        return 201

    client = start(view)
    assert client("/?rogue", "key-1")["statusCode"] == 201
    assert len(refused) == 5
    assert "connection.transaction()" in refused[0]
    assert names(admin) == ["rogue"]
    succeeds(client, admin)


def test_nor_does_psycopg_s_commit(start: Start, admin: Admin) -> None:
    def view(db: PsycopgDatabase, name: str) -> int:
        with db.connection() as connection:
            connection.execute(INSERT.format(name).encode())
            connection.commit()
            connection.execute(INSERT.format(f"{name}-undone").encode())
            connection.rollback()
            connection.execute(INSERT.format(f"{name}-2").encode())
            with pytest.raises(psycopg.InterfaceError, match="one transaction"):
                connection.execute("commit")
            if name == "raises":
                raise ValueError(name)
        return 201

    client = start(view)
    assert client("/?raises", "key-1")["statusCode"] == 500
    assert names(admin) == []
    assert client("/?a", "key-2")["statusCode"] == 201
    assert names(admin) == ["a", "a-2"]
    assert client("/?a", "key-2")["headers"]["idempotent-replayed"] == "true"


def test_a_failure_that_a_block_hides_is_not_answered_with_success(
    start: Start, admin: Admin
) -> None:
    async def view(db: AsyncpgDatabase, name: str) -> int:
        async with db.connection() as connection:
            await connection.execute(INSERT.format(name))
            if name == "hides":
                with pytest.raises(asyncpg.UniqueViolationError):
                    await connection.execute(INSERT.format(name))
            if name == "saved":
                with pytest.raises(asyncpg.UniqueViolationError):
                    async with connection.transaction():
                        await connection.execute(INSERT.format(name))
        return 201

    client = start(view)
    assert client("/?hides", "key-1")["statusCode"] == 500
    assert names(admin) == []
    assert client("/?saved", "key-2")["statusCode"] == 201
    assert names(admin) == ["saved"]
    succeeds(client, admin)


def test_nor_with_psycopg(start: Start, admin: Admin) -> None:
    def view(db: PsycopgDatabase, name: str) -> int:
        with db.connection() as connection:
            connection.execute(INSERT.format(name).encode())
            if name == "hides":
                with pytest.raises(psycopg.errors.UniqueViolation):
                    connection.execute(INSERT.format(name).encode())
            if name == "saved":
                with pytest.raises(psycopg.errors.UniqueViolation), connection.transaction():
                    connection.execute(INSERT.format(name).encode())
        return 201

    client = start(view)
    assert client("/?hides", "key-1")["statusCode"] == 500
    assert names(admin) == []
    assert client("/?saved", "key-2")["statusCode"] == 201
    succeeds(client, admin)


def test_blocks_take_turns_and_a_nested_one_is_refused(start: Start, admin: Admin) -> None:
    async def view(db: AsyncpgDatabase, name: str) -> int:
        async def insert(number: int) -> None:
            async with db.transaction() as connection:
                await connection.execute(INSERT.format(f"{name}-{number}"))
                await asyncio.sleep(0.01)

        await asyncio.gather(*(insert(number) for number in range(5)))
        if name == "nested":
            async with db.connection():
                with pytest.raises(ConnectionsBusy):
                    await insert(9)
        async with db.connection() as connection:
            await connection.execute(INSERT.format(name))
        return 201

    client = start(view)
    assert client("/?nested", "key-1")["statusCode"] == 201
    assert len(names(admin)) == 6
    succeeds(client, admin)


def test_threads_take_turns(start: Start, admin: Admin) -> None:
    def view(db: PsycopgDatabase, name: str) -> int:
        def insert(number: int) -> None:
            with db.connection() as connection:
                connection.execute(INSERT.format(f"{name}-{number}").encode())
                time.sleep(0.01)

        threads = [
            threading.Thread(target=copy_context().run, args=(insert, number))
            for number in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with db.connection() as connection, pytest.raises(ConnectionsBusy):
            insert(9)
        with db.connection() as connection:
            connection.execute(INSERT.format(name).encode())
        return 201

    client = start(view)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert len(names(admin)) == 6
    succeeds(client, admin)


def test_a_connection_kept_beyond_its_block_is_refused(start: Start, admin: Admin) -> None:
    async def view(db: AsyncpgDatabase, name: str) -> int:
        async with db.connection() as connection:
            await connection.execute(INSERT.format(name))
        with pytest.raises(asyncpg.InterfaceError, match="given back"):
            await connection.execute(INSERT.format(f"{name}-late"))
        return 201

    client = start(view)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert names(admin) == ["a"]
    succeeds(client, admin)


def test_a_deadline_leaves_nothing_and_the_key_may_be_used_again(
    start: Start, admin: Admin
) -> None:
    async def view(db: AsyncpgDatabase, name: str) -> int:
        async with db.connection() as connection:
            await connection.execute(INSERT.format(name))
            if name == "late" and not tried:
                tried.append(1)
                await connection.execute("select pg_sleep(30)")
        return 201

    tried: list[int] = []
    client = start(view, repeat=True)
    late = client("/?late", "key-1", seconds=0.5)
    assert late["statusCode"] == 503
    assert content(late)["code"] == "deadline_exceeded"
    assert content(late)["executed"] == "no"
    assert late["headers"]["retry-after"] == "1"
    assert client("/?late", "key-1")["statusCode"] == 201
    assert names(admin) == ["late"]
    succeeds(client, admin)


def test_nor_does_one_with_psycopg(start: Start, admin: Admin) -> None:
    tried: list[int] = []

    def view(db: PsycopgDatabase, name: str) -> int:
        with db.connection() as connection:
            connection.execute(INSERT.format(name).encode())
            if name == "late" and not tried:
                tried.append(1)
                connection.execute("select pg_sleep(30)")
        return 201

    client = start(view, repeat=True)
    assert client("/?late", "key-1", seconds=0.5)["statusCode"] == 503
    assert client("/?late", "key-1")["statusCode"] == 201
    assert names(admin) == ["late"]
    succeeds(client, admin)


def test_a_cancelled_block_is_undone_and_the_request_goes_on(start: Start, admin: Admin) -> None:
    async def view(db: AsyncpgDatabase, name: str) -> int:
        async with db.connection() as connection:
            await connection.execute(INSERT.format(f"{name}-1"))
        try:
            async with asyncio.timeout(0.1), db.connection() as connection:
                await connection.execute(INSERT.format(f"{name}-undone"))
                await connection.execute("select pg_sleep(30)")
        except TimeoutError:
            pass
        async with db.connection() as connection:
            await connection.execute(INSERT.format(name))
        return 201

    client = start(view)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert names(admin) == ["a-1", "a"]
    succeeds(client, admin)


def test_what_is_left_running_does_not_get_into_the_transaction_late(
    start: Start, admin: Admin
) -> None:
    tasks = set()

    async def view(db: AsyncpgDatabase, name: str) -> int:
        async def later() -> None:
            await asyncio.sleep(0.05)
            async with db.connection() as connection:
                await connection.execute(INSERT.format(f"{name}-later"))

        async with db.connection() as connection:
            await connection.execute(INSERT.format(name))
        task = asyncio.create_task(later())
        tasks.add(task)
        return 201 if name != "fails" else 500

    client = start(view)
    assert client("/?fails", "key-1")["statusCode"] == 500
    assert client("/?a", "key-2")["statusCode"] == 201
    time.sleep(0.2)
    assert "a" in names(admin)
    assert "fails" not in names(admin)
    assert admin("select count(*) from sunup_receipts where status is null") == [(0,)]


def test_a_thread_that_still_has_a_block_holds_up_the_end_for_a_second_at_most(
    start: Start, admin: Admin
) -> None:
    def view(db: PsycopgDatabase, name: str) -> int:
        with db.connection() as connection:
            connection.execute(INSERT.format(name).encode())

        def holds() -> None:
            with suppress(ConnectionLost), db.connection() as connection:
                connection.execute(INSERT.format(f"{name}-held").encode())
                time.sleep(0.3 if name == "short" else 3.0)

        if name in ("short", "long"):
            threading.Thread(target=copy_context().run, args=(holds,), daemon=True).start()
            time.sleep(0.1)
        return 201

    client = start(view)
    assert client("/?short", "key-1")["statusCode"] == 201
    assert names(admin) == ["short", "short-held"]
    began = time.monotonic()
    assert client("/?long", "key-2")["statusCode"] == 503
    assert time.monotonic() - began < 3
    assert names(admin) == ["short", "short-held"]
    succeeds(client, admin)


def test_after_commit_runs_when_it_is_committed_and_its_failure_is_logged(
    start: Start, admin: Admin, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[object] = []

    async def view(db: AsyncpgDatabase, name: str) -> int:
        def note() -> None:
            seen.append((name, names(admin)))

        async def fails() -> None:
            await asyncio.sleep(0)
            raise OSError("no mail")

        async with db.connection() as connection:
            await connection.execute(INSERT.format(name))
        after_commit(note)
        after_commit(fails)
        assert seen == [] or name != "a"
        return 500 if name == "fails" else 201

    client = start(view)
    assert client("/?fails", "key-1")["statusCode"] == 500
    assert seen == []
    assert client("/?a", "key-2")["statusCode"] == 201
    assert seen == [("a", ["a"])]
    assert client("/?a", "key-2")["statusCode"] == 201
    assert seen == [("a", ["a"])]
    err = capsys.readouterr().err
    assert "what follows a commit failed" in err
    assert "no mail" in err
    succeeds(client, admin)


def test_without_a_receipt_after_commit_runs_at_once() -> None:
    seen: list[int] = []
    after_commit(lambda: seen.append(1))
    assert seen == [1]

    async def later() -> None: ...

    with pytest.raises(TypeError, match="outside of a request with a receipt"):
        after_commit(later)


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
def test_a_serialization_failure_runs_the_work_again(
    start: Start, admin: Admin, isolation: str
) -> None:
    admin("create table counts (n int)")
    admin("insert into counts values (0)")
    runs: list[str] = []

    def view(db: PsycopgDatabase, name: str) -> int:
        runs.append(name)
        with db.connection() as connection:
            row = connection.execute("select n from counts").fetchone()
            assert row is not None
            if runs == ["a"]:
                admin("update counts set n = n + 10")
            connection.execute("update counts set n = %s", (row[0] + 1,))
            connection.execute(INSERT.format(name).encode())
        return 201

    client = start(view, repeat=True, isolation=isolation)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert runs == ["a", "a"]
    assert admin("select n from counts") == [(11,)]
    assert names(admin) == ["a"]
    succeeds(client, admin)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_run_with_a_higher_isolation_than_the_request_s_is_refused_with_what_to_do(
    start: Start, admin: Admin, driver: str
) -> None:
    refused: list[str] = []

    def view(db: PsycopgDatabase, name: str) -> int:
        try:
            work = INSERT.format(name).encode()
            db.run(lambda connection: connection.execute(work), isolation="repeatable_read")
        except psycopg.Error as error:
            refused.append(str(error))
            raise
        return 201

    async def async_view(db: AsyncpgDatabase, name: str) -> int:
        try:
            work = INSERT.format(name)
            await db.run(lambda connection: connection.execute(work), isolation="repeatable_read")
        except asyncpg.InterfaceError as error:
            refused.append(str(error))
            raise
        return 201

    chosen: Any = view if driver == "psycopg" else async_view
    assert start(chosen)("/?a", "key-1")["statusCode"] == 500
    assert len(refused) == 1
    assert refused[0].endswith("exactly_once takes isolation='repeatable_read'")
    assert names(admin) == []
    for number, isolation in enumerate(("repeatable_read", "serializable")):
        client = start(chosen, isolation=isolation)
        assert client(f"/?{number}", f"key-{isolation}")["statusCode"] == 201
    assert len(refused) == 1
    succeeds(client, admin)


def test_deadlocks_run_the_work_again(start: Start, admin: Admin) -> None:
    admin("create table rows (id int primary key, n int)")
    admin("insert into rows values (1, 0), (2, 0)")
    runs: list[str] = []
    have_one: list[str] = []

    async def view(db: AsyncpgDatabase, name: str) -> int:
        runs.append(name)
        first, second = (1, 2) if name == "a" else (2, 1)
        async with db.connection() as connection:
            await connection.execute("update rows set n = n + 1 where id = $1", first)
            have_one.append(name)
            while len(have_one) < 2:  # noqa: ASYNC110  # the other is in another thread
                await asyncio.sleep(0.01)
            await connection.execute("update rows set n = n + 1 where id = $1", second)
            await connection.execute(INSERT.format(name))
        return 201

    one, two = start(view, repeat=True), start(view, repeat=True)
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(one("/?a", "key-1")["statusCode"]))
    thread.start()
    answers.append(two("/?b", "key-2")["statusCode"])
    thread.join()
    assert answers == [201, 201]
    assert len(runs) == 3
    assert admin("select n from rows") == [(2,), (2,)]
    assert sorted(names(admin)) == ["a", "b"]


def test_without_leave_it_is_not_run_again(start: Start, admin: Admin) -> None:
    runs: list[str] = []

    def view(db: PsycopgDatabase, name: str) -> int:
        runs.append(name)
        with db.connection() as connection:
            connection.execute(INSERT.format(name).encode())
            if len(runs) == 1:
                raise psycopg.errors.SerializationFailure("as if")
        return 201

    client = start(view, repeat="POST /elsewhere")
    assert client("/?a", "key-1")["statusCode"] == 500
    assert runs == ["a"]
    assert client("/?a", "key-1")["statusCode"] == 201
    succeeds(client, admin)


def test_a_read_only_server_is_left_and_the_work_runs_again(start: Start, admin: Admin) -> None:
    runs: list[str] = []

    def view(db: PsycopgDatabase, name: str) -> int:
        runs.append(name)
        with db.connection() as connection:
            if len(runs) == 1:
                connection.execute("set local transaction_read_only = on")
            connection.execute(INSERT.format(name).encode())
        return 201

    client = start(view, repeat=True)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert runs == ["a", "a"]
    succeeds(client, admin)


def test_a_hundred_keys_on_twenty_connections(start: Start, admin: Admin) -> None:
    def view(db: PsycopgDatabase, name: str) -> int:
        with db.connection() as connection:
            connection.execute(INSERT.format(name).encode())
            time.sleep(0.01)
        return 201

    clients = [start(view, wait=10.0) for _ in range(20)]
    answers: list[int] = []

    def work(number: int) -> None:
        mine = (number % 10, (number + 1) % 10)  # each key by four
        answers.extend(
            clients[number](f"/?n{key}", f"key-{key}")["statusCode"]
            for key in range(100)
            if key % 10 in mine
        )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 400
    assert len(names(admin)) == 100
    succeeds(clients[0], admin)
