"""ASYNC in the emulated Aurora DSQL: a job's number at once, the work a moment after."""

import re
import time

import psycopg
import pytest

from sunup.local.emulator import Emulator

from .clients import connect, connect_asyncpg

VALID = "select indisvalid from pg_index where indexrelid = 'i'::regclass"


@pytest.fixture(autouse=True)
def tables(aws: Emulator) -> None:
    with connect(aws) as connection:
        connection.execute("create table t (id int primary key, v int)")
        connection.execute("create table child (id int primary key, parent int)")
        connection.execute("insert into t values (1, 1), (2, 1)")


def test_an_index_is_valid_when_its_job_is_done(aws: Emulator) -> None:
    with connect(aws) as connection:
        (job,) = connection.execute("create index async i on t (v)").fetchall()[0]
        assert re.fullmatch("[a-z2-7]{26}", job)
        assert connection.execute(VALID).fetchone() == (False,)
        found = connection.execute(
            "select status, job_type, object_name from sys.jobs where job_id = %s", (job,)
        )
        assert found.fetchone() == ("submitted", "INDEX_BUILD", "public.i")
        connection.execute("call sys.wait_for_job(%s)", (job,))
        assert connection.execute(VALID).fetchone() == (True,)
        status = connection.execute("select status from sys.jobs where job_id = %s", (job,))
        assert status.fetchone() == ("completed",)


async def test_by_the_extended_protocol_too_and_only_after_the_commit(aws: Emulator) -> None:
    connection = await connect_asyncpg(aws)
    transaction = connection.transaction()
    await transaction.start()
    job = await connection.fetchval("create index async i on t (v)")
    assert re.fullmatch("[a-z2-7]{26}", job)
    await transaction.rollback()
    assert await connection.fetchval("select count(*) from sys.jobs") == 0
    await connection.fetchval("create index async if not exists i on t (v)")
    await connection.execute("select 1")
    assert await connection.fetchval("create index async if not exists i on t (v)")
    assert await connection.fetchval("select count(*) from sys.jobs") == 1
    await connection.close()


def test_a_unique_index_on_rows_that_are_not_fails_in_its_job(aws: Emulator) -> None:
    with connect(aws) as connection:
        (job,) = connection.execute("create unique index async i on t (v)").fetchall()[0]
        connection.execute("call sys.wait_for_job(%s)", (job,))
        found = connection.execute("select status, details from sys.jobs where job_id = %s", (job,))
        status, details = found.fetchall()[0]
        assert status == "failed"
        assert "could not create unique index" in details
        assert connection.execute(VALID).fetchone() == (False,)


def test_a_constraint_is_validated_by_a_job(aws: Emulator) -> None:
    add = "alter table child add constraint f foreign key (parent) references t not valid"
    with connect(aws) as connection:
        connection.execute("insert into child values (1, 1)")
        connection.execute(add.encode())
        validate = "alter table async public.child validate constraint f"
        (job,) = connection.execute(validate.encode()).fetchall()[0]
        connection.execute("call sys.wait_for_job(%s)", (job,))
        valid = "select convalidated from pg_constraint where conname = 'f'"
        assert connection.execute(valid.encode()).fetchone() == (True,)


def test_a_job_may_fail_and_one_that_is_not_there_is_not_waited_for(aws: Emulator) -> None:
    add = "alter table child add constraint f foreign key (parent) references t not valid"
    with connect(aws) as connection:
        connection.execute("insert into child values (1, 77)")
        connection.execute(add.encode())
        began = time.monotonic()
        connection.execute("alter table async child validate constraint f")
        assert time.monotonic() - began < 0.5
        time.sleep(0.6)
        assert connection.execute("select status from sys.jobs").fetchone() == ("failed",)
        with pytest.raises(psycopg.errors.UndefinedObject):
            connection.execute("call sys.wait_for_job('nothing')")
        with pytest.raises(psycopg.errors.SyntaxError):
            connection.execute("alter table async child add column n int")
