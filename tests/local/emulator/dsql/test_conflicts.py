"""Nobody waits in the emulated Aurora DSQL: conflicts appear at COMMIT, the first one wins.

Who wins in which case is as recorded from a live cluster (Dreamescaper/dsql-emulator, golden
answers, occ_conflict, 2026-09-15), where it says so.
"""

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import asyncpg
import psycopg
import pytest

from sunup.local.emulator import Emulator
from sunup.local.testing import Emulate

from .clients import connect, connect_asyncpg

Connection = psycopg.Connection[Any]

# Longer than any statement may wait for another session.
SOON = 0.5


@pytest.fixture
def tables(aws: Emulator) -> None:
    with connect(aws) as connection:
        connection.execute("create table t (id int primary key, v int)")
        connection.execute("create table child (id int primary key, parent int references t)")
        connection.execute("insert into t select generate_series(1, 9), 0")


@pytest.fixture
def pair(aws: Emulator, tables: None) -> Iterator[tuple[Connection, Connection]]:
    with connect(aws) as one, connect(aws) as other:
        one.execute("begin")
        other.execute("begin")
        yield one, other


def do(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    began = time.monotonic()
    cursor = connection.execute(statement.encode())
    assert time.monotonic() - began < SOON
    return cursor.fetchall() if cursor.description else []


def commits(connection: Connection) -> bool:
    words = None
    try:
        do(connection, "commit")
    except psycopg.errors.SerializationFailure as error:
        words = error.diag.message_primary
    assert words in (None, "change conflicts with another transaction (OC000)")
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    return words is None


def value(connection: Connection, number: int = 1) -> int:
    found = do(connection, f"select v from t where id = {number}")
    return int(found[0][0])


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_writers_of_a_row_the_first_to_commit_wins(
    pair: tuple[Connection, Connection], first: int
) -> None:
    for n, each in enumerate(pair):
        assert value(each) == 0
        do(each, f"update t set v = v + {n + 1} where id = 1")
        assert value(each) == n + 1
    assert commits(pair[first])
    assert not commits(pair[1 - first])
    assert value(pair[0]) == first + 1


def test_a_writer_that_gives_up_leaves_the_other_its_commit(
    pair: tuple[Connection, Connection],
) -> None:
    one, other = pair
    do(one, "update t set v = 1 where id = 1")
    do(other, "update t set v = 2 where id = 1")
    do(other, "rollback")
    assert value(one) == 1
    assert commits(one)
    assert value(other) == 1


def test_a_writer_reads_its_own_rows_after_the_other_has_won(
    pair: tuple[Connection, Connection],
) -> None:
    one, other = pair
    do(one, "update t set v = v + 10 where id = 2")
    assert value(one) == 0
    do(other, "update t set v = 5 where id = 1")
    assert commits(other)
    # PostgreSQL would refuse this one now.
    assert do(one, "update t set v = v + 1 where id = 1 returning id") == [(1,)]
    assert value(one, 2) == 10
    assert not commits(one)
    assert (value(one), value(one, 2)) == (5, 0)


def test_disjoint_rows_do_not_conflict(pair: tuple[Connection, Connection]) -> None:
    do(pair[0], "update t set v = 1 where id = 1")
    do(pair[1], "update t set v = 1 where id = 2")
    assert commits(pair[0])
    assert commits(pair[1])


def test_for_update_loses_against_a_write(pair: tuple[Connection, Connection]) -> None:
    do(pair[0], "select v from t where id = 1 for update")
    do(pair[1], "update t set v = 1 where id = 1")
    assert commits(pair[1])
    assert not commits(pair[0])


def test_for_key_share_makes_the_deleter_lose(pair: tuple[Connection, Connection]) -> None:
    do(pair[0], "select v from t where id = 1 for key share")
    do(pair[1], "delete from t where id = 1")
    assert commits(pair[0])
    assert not commits(pair[1])


def test_who_inserts_a_child_of_a_deleted_row_loses(pair: tuple[Connection, Connection]) -> None:
    do(pair[0], "delete from t where id = 1")
    do(pair[1], "insert into child values (1, 1)")
    assert commits(pair[0])
    assert not commits(pair[1])


def test_a_change_beside_the_key_does_not_conflict_with_a_child(
    pair: tuple[Connection, Connection],
) -> None:
    do(pair[0], "update t set v = 1 where id = 1")
    do(pair[1], "insert into child values (1, 1)")
    assert commits(pair[0])
    assert commits(pair[1])


def test_one_new_key_is_inserted_once(pair: tuple[Connection, Connection]) -> None:
    claim = "insert into t values (100, 1) on conflict do nothing returning id"
    assert do(pair[0], claim) == [(100,)]
    assert do(pair[1], claim) == [(100,)]  # it does not wait for the other, nor see it
    assert commits(pair[1])
    assert not commits(pair[0])
    assert do(pair[0], claim) == []


def test_two_that_want_each_other_s_rows_do_not_wait(pair: tuple[Connection, Connection]) -> None:
    do(pair[0], "update t set v = 1 where id = 1")
    do(pair[1], "update t set v = 2 where id = 2")
    do(pair[0], "update t set v = 1 where id = 2")
    do(pair[1], "update t set v = 2 where id = 1")
    assert commits(pair[1])
    assert not commits(pair[0])
    assert (value(pair[0]), value(pair[0], 2)) == (2, 2)


def test_a_statement_of_its_own_takes_the_row_and_dooms_who_had_it(
    pair: tuple[Connection, Connection],
) -> None:
    one, other = pair
    do(other, "rollback")
    do(one, "update t set v = 1 where id = 1")
    do(other, "update t set v = 2 where id = 1")
    assert not commits(one)
    assert value(one) == 2


def test_a_change_of_the_schema_does_not_wait_for_a_reader(
    pair: tuple[Connection, Connection],
) -> None:
    one, other = pair
    do(other, "rollback")
    assert value(one) == 0
    do(other, "alter table t add column more text")
    assert do(other, "select more from t where id = 1") == [(None,)]
    assert value(one) == 0
    assert commits(one)  # it has read only
    assert value(one) == 0


async def test_fifty_writers_of_one_row_lose_no_update(aws: Emulator, tables: None) -> None:
    done, waits, began = 0, list[float](), time.monotonic()

    def goes_on() -> bool:  # longer on a machine that is busy with other things
        return time.monotonic() - began < (3 if done > 5 else 60)

    async def write(connection: "asyncpg.Connection[Any]") -> None:
        nonlocal done
        while goes_on():
            try:
                async with connection.transaction():
                    found = await connection.fetchval("select v from t where id = 1")
                    await asyncio.sleep(random.random() / 100)
                    asked = time.monotonic()
                    await connection.execute("update t set v = $1 where id = 1", found + 1)
                    waits.append(time.monotonic() - asked)
                done += 1
            except asyncpg.SerializationError:
                pass

    connections = [await connect_asyncpg(aws) for _ in range(50)]
    await asyncio.gather(*map(write, connections))
    assert done > 5
    assert await connections[0].fetchval("select v from t where id = 1") == done
    assert max(waits) < 3  # a handful of processors serves them all; none waits for a client
    for each in connections:
        await each.close()


def test_threads_with_psycopg_lose_no_update_of_many_rows(aws: Emulator, tables: None) -> None:
    done, lock, began = 0, threading.Lock(), time.monotonic()

    def goes_on() -> bool:
        return time.monotonic() - began < (2 if done > 20 else 60)

    def write(connection: Connection) -> None:
        nonlocal done
        chance = random.Random(id(connection))
        while goes_on():
            rows = chance.sample(range(1, 6), 2)
            try:
                with connection.transaction():
                    for row in rows:
                        found = value(connection, row)
                        connection.execute("update t set v = %s where id = %s", (found + 1, row))
                with lock:
                    done += 2
            except psycopg.errors.SerializationFailure:
                pass

    with ExitStack() as stack:
        connections = [stack.enter_context(connect(aws)) for _ in range(6)]
        threads = [threading.Thread(target=write, args=(each,)) for each in connections]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert done > 20
        assert do(connections[0], "select sum(v) from t") == [(done,)]


def test_a_change_of_the_schema_makes_others_fail_once(emulate: Emulate) -> None:
    aws = emulate(engine="dsql")
    with connect(aws) as one, connect(aws) as other, connect(aws) as idle:
        one.execute("create table t (id int primary key, v int)")
        schema = "schema has been updated by another transaction (OC001)"
        for connection in (other, idle):
            with pytest.raises(psycopg.errors.SerializationFailure) as caught:
                connection.execute("select * from t")
            assert caught.value.diag.message_primary == schema
            assert connection.execute("select * from t").fetchall() == []
        other.execute("begin")
        other.execute("insert into t values (1, 1)")
        one.execute("grant select on t to app")
        with pytest.raises(psycopg.errors.SerializationFailure) as caught:
            other.execute("commit")
        assert caught.value.diag.message_primary == schema
        other.execute("insert into t values (1, 1)")
        one.execute("grant select on t to app")
        other.execute("begin")  # knows no schema yet
        with pytest.raises(psycopg.errors.SerializationFailure):
            other.execute("select * from t")
        other.execute("rollback")
        assert other.execute("select count(*) from t").fetchone() == (1,)


def test_conflicts_can_be_had_on_demand(aws: Emulator, tables: None) -> None:
    with connect(aws) as connection:
        aws.do("dsql/conflict")
        connection.execute("begin")
        connection.execute("update t set v = 1 where id = 1")
        assert not commits(connection)
        connection.execute("update t set v = 2 where id = 1")
        aws.dsql.conflicts.next = 1
        with pytest.raises(psycopg.errors.SerializationFailure):
            connection.execute("update t set v = 3 where id = 1")
        assert value(connection) == 2


def test_the_server_can_be_unavailable_before_or_after_a_commit(
    aws: Emulator, tables: None
) -> None:
    with connect(aws) as connection:
        aws.do("dsql/unavailable")
        with pytest.raises(psycopg.errors.InternalError_, match="server unavailable"):
            connection.execute("select 1")
        connection.execute("begin")
        connection.execute("update t set v = 1 where id = 1")
        aws.dsql.faults.unavailable = 1
        with pytest.raises(psycopg.errors.InternalError_):
            connection.execute("commit")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert value(connection) == 0
        connection.execute("begin")
        connection.execute("update t set v = 1 where id = 1")
        aws.do("dsql/uncertain")
        with pytest.raises(psycopg.errors.InternalError_):
            connection.execute("commit")
        assert value(connection) == 1


async def test_a_client_that_goes_away_within_a_statement_ends_it(
    aws: Emulator, tables: None
) -> None:
    slow = "with a as (update t set v = 7 where id = 1 returning 1) select pg_sleep(5) from a"
    one, other = await connect_asyncpg(aws), await connect_asyncpg(aws)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            task = asyncio.ensure_future(one.execute(slow))
            await asyncio.shield(task)
    one.terminate()
    await asyncio.gather(task, return_exceptions=True)
    began = time.monotonic()
    await other.execute("update t set v = v + 1 where id = 1")
    assert time.monotonic() - began < 2
    assert await other.fetchval("select v from t where id = 1") == 1
    await other.close()


def test_a_client_that_goes_away_loses_its_transaction(aws: Emulator, tables: None) -> None:
    with connect(aws) as one, connect(aws) as other:
        one.execute("begin")
        one.execute("update t set v = 1 where id = 1")
        other.execute("begin")
        other.execute("update t set v = 2 where id = 1")
        one.close()
        assert commits(other)
        assert value(other) == 2
