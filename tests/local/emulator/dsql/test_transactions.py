"""The limits of a transaction in the emulated Aurora DSQL."""

import time

import psycopg
import pytest

from sunup.local.emulator import DsqlOptions, Emulator
from sunup.local.testing import Emulate

from .clients import connect


def start(emulate: Emulate, **options: float) -> Emulator:
    aws = emulate(engine="dsql", dsql=DsqlOptions(schema_conflicts=False, **options))  # type: ignore[arg-type]
    with connect(aws) as connection:
        connection.execute("create table t (id int primary key, v text)")
    return aws


def test_rows_are_counted_over_the_statements_of_a_transaction(emulate: Emulate) -> None:
    aws = start(emulate, transaction_rows=10)
    with connect(aws) as connection:
        connection.execute("begin")
        connection.execute("insert into t select generate_series(1, 6), 'a'")
        connection.execute("update t set v = 'b' where id < 5")
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="row limit exceeded"):
            connection.execute("delete from t where id = 1")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("select 1")
        connection.execute("rollback")
        with pytest.raises(psycopg.errors.ProgramLimitExceeded):
            connection.execute("insert into t select generate_series(1, 11), 'a'")
        connection.execute("insert into t select generate_series(1, 10), 'a'")
        assert connection.execute("select count(*) from t").fetchone() == (10,)


def test_a_transaction_that_is_too_large_fails_at_its_commit(emulate: Emulate) -> None:
    aws = start(emulate, transaction_bytes=10_000)
    with connect(aws) as connection:
        connection.execute("begin")
        connection.execute("insert into t values (1, %s)", ("x" * 10_001,))
        with pytest.raises(psycopg.errors.ProgramLimitExceeded):
            connection.execute("commit")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert connection.execute("select count(*) from t").fetchone() == (0,)


def test_a_transaction_that_is_too_old_fails_at_its_next_statement_or_commit(
    emulate: Emulate,
) -> None:
    aws = start(emulate, transaction_seconds=0.2)
    with connect(aws) as connection:
        for last in (b"select 1", b"commit"):
            connection.execute("begin")
            connection.execute("insert into t values (1, 'a')")
            time.sleep(0.3)
            with pytest.raises(psycopg.Error, match="transaction age limit of"):
                connection.execute(last)
            connection.execute("rollback")
        connection.execute("insert into t values (1, 'a')")
        assert connection.execute("select count(*) from t").fetchone() == (1,)


def test_one_change_of_the_schema_and_nothing_else_in_a_transaction(emulate: Emulate) -> None:
    aws = start(emulate)
    with connect(aws) as connection:
        for statements, words in (
            (("create table a (id int)", "create table b (id int)"), "multiple ddl statements"),
            (("create table a (id int)", "insert into t values (1, '')"), "ddl and dml"),
            (("insert into t values (1, '')", "create index async on t (v)"), "ddl and dml"),
            (("create table a (id int)", "grant select on t to app"), "multiple ddl statements"),
        ):
            connection.execute("begin")
            connection.execute(statements[0].encode())
            with pytest.raises(psycopg.errors.FeatureNotSupported, match=words):
                connection.execute(statements[1].encode())
            connection.execute("rollback")
        with connection.transaction():
            connection.execute("create table a (id int)")
        assert connection.execute("select count(*) from a").fetchone() == (0,)


def test_a_savepoint_is_refused_and_going_back_to_it_too(emulate: Emulate) -> None:
    aws = start(emulate)
    with connect(aws) as connection:
        connection.execute("begin")
        for statement in (b"savepoint a", b"rollback to savepoint a"):
            with pytest.raises(psycopg.errors.FeatureNotSupported, match="unsupported transaction"):
                connection.execute(statement)
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("select 1")
        connection.execute("rollback")
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_constraint_that_is_checked_at_commit_fails_there(emulate: Emulate) -> None:
    aws = start(emulate)
    with connect(aws) as connection:
        connection.execute(
            "create table c (id int references t deferrable initially deferred, n int)"
        )
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute("insert into c values (1, 1)")
        connection.execute("begin")
        connection.execute("insert into c values (1, 1)")
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute("commit")
        assert connection.execute("select count(*) from c").fetchone() == (0,)
