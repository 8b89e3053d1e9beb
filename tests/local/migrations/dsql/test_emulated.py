"""Migrations on an emulated Aurora DSQL: it refuses what a cluster refuses, and as a cluster does."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sunup.connecting.credentials import CredentialSource
from sunup.local.emulator import DsqlOptions, Emulator
from sunup.local.errors import CommandError
from sunup.local.migrations import running
from sunup.local.migrations.dsql import lease, progress
from sunup.local.migrations.dsql.conflicts import retried
from sunup.local.migrations.dsql.executing import Steps
from sunup.local.migrations.dsql.lease import Lease, Other
from sunup.local.migrations.dsql.transaction import in_transaction
from sunup.local.testing import Emulate
from sunup.settings import Settings
from tests.local.emulator.dsql.clients import connect

from .conftest import Folder

EXAMPLES = Path(__file__).parents[4] / "examples"


class Cluster:
    """What a test does there, as admin."""

    def __init__(self, aws: Emulator) -> None:
        self.aws = aws
        self.settings = Settings.from_environment(aws.admin_environ)
        self.credentials = CredentialSource(aws.admin_environ)
        self.told: list[str] = []

    def up(self, folder: Path, **options: Any) -> list[str]:
        self.told.clear()
        return running.upgrade(
            self.settings,
            folder,
            credentials=self.credentials,
            on_retry=self.told.append,
            **options,
        )

    def down(self, folder: Path, **options: Any) -> list[str]:
        return running.downgrade(self.settings, folder, credentials=self.credentials, **options)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        with connect(self.aws) as connection:
            return connection.execute(statement.encode()).fetchall()


@pytest.fixture
def cluster(emulate: Emulate) -> Cluster:
    return Cluster(emulate(None, engine="dsql", dsql=DsqlOptions(job_seconds=1.5)))


@pytest.mark.parametrize("name", ["users", "users_fastapi"])
def test_the_examples_apply_there_with_the_same_files(cluster: Cluster, name: str) -> None:
    folder = EXAMPLES / name / "migrations"
    assert cluster.up(folder) == ["0001", "0002"]
    assert any("builds the index" in each or "works on the index" in each for each in cluster.told)
    assert cluster.ask(
        "select indisvalid from pg_index where indexrelid ="
        " 'ix_sunup_receipts_created_at'::regclass"
    ) == [(True,)]
    assert cluster.up(folder) == []
    assert cluster.down(folder, to="base") == ["0002", "0001"]
    assert cluster.ask("select count(*) from sunup_lock") == [(0,)]


TABLE = """
key = {"primary_key": True, "autoincrement": False}
t = op.create_table("t", sa.Column("id", sa.BigInteger, **key), sa.Column("n", sa.Text))
op.bulk_insert(t, [{"id": 1, "n": "a"}, {"id": 2, "n": "a"}])
"""


def test_indexes_and_constraints_are_waited_for(cluster: Cluster, folder: Folder) -> None:
    folder.add(
        "0001",
        TABLE
        + """
op.create_table("u", sa.Column("id", sa.BigInteger, sa.ForeignKey("t.id"), **key))
op.create_index("i", "t", ["n"], postgresql_concurrently=True, postgresql_where=sa.text("n <> ''"))
op.create_check_constraint("c", "t", "n is not null")
op.create_foreign_key("f", "u", "t", ["id"], ["id"])
op.create_unique_constraint("q", "t", ["id", "n"])
op.execute("create index async on t (n)")
op.execute("insert into u values (1)")
""",
        """
op.drop_constraint("q", "t", type_="unique")
op.drop_index("i", "t", postgresql_concurrently=True)
op.drop_table("u")
op.drop_table("t")
""",
    )
    assert cluster.up(folder.path) == ["0001"]
    assert cluster.ask("select bool_and(convalidated) from pg_constraint") == [(True,)]
    assert cluster.ask("select bool_and(indisvalid) from pg_index") == [(True,)]
    assert cluster.down(folder.path) == ["0001"]


def test_an_index_that_cannot_be_built_is_told_and_goes_on_when_it_can(
    cluster: Cluster, folder: Folder
) -> None:
    more = 'op.create_index("i", "t", ["n"], unique=True)\nop.execute("insert into t values (3, \'c\')")'
    folder.add("0001", TABLE + more)
    with pytest.raises(CommandError, match="could not finish the index i: ") as raised:
        cluster.up(folder.path)
    assert "drop index i" in raised.value.cure
    assert "2 of its statements were executed and stay" in raised.value.cure
    with connect(cluster.aws) as connection:
        connection.execute("delete from t where id = 2")
        retried(partial(connection.execute, "drop index i"))
    assert cluster.up(folder.path) == ["0001"]
    assert cluster.ask("select id from t order by id") == [(1,), (3,)]


@pytest.mark.parametrize(
    ("body", "what", "cure"),
    [
        ('op.execute("create index i on t (n)")', "CREATE INDEX ASYNC", "op.create_index"),
        (
            'op.add_column("t", sa.Column("x", sa.Integer, server_default="1"))',
            "ADD COLUMN with constraint",
            "server_default",
        ),
        ('op.alter_column("t", "n", type_=sa.String(9))', "SET DATA TYPE", "of the new type"),
        ('op.execute("truncate t")', "Truncate", "delete from"),
        ("op.execute(\"create type m as enum ('a')\")", "CREATE TYPE", "native_enum"),
        ('op.execute("savepoint s")', "SAVEPOINT", "begin_nested"),
        ('op.execute("set lock_timeout = 1")', "lock_timeout", "Leave the SET out"),
        ('op.execute("create table x (id serial)")', "serial", "identity"),
        (
            'op.execute("insert into t select g, g::text from generate_series(10, 3009) g")',
            "row limit",
            "2,999 rows",
        ),
    ],
)
def test_what_is_refused_says_what_to_write(
    cluster: Cluster, folder: Folder, body: str, what: str, cure: str
) -> None:
    folder.add("0001", TABLE + body)
    with pytest.raises(CommandError, match=what) as raised:
        cluster.up(folder.path)
    assert cure in raised.value.cure
    assert "2 of its statements were executed" in raised.value.cure
    folder.add("0001", TABLE)
    assert cluster.up(folder.path) == ["0001"]


def test_conflicts_are_tried_again_and_nothing_is_done_twice(
    emulate: Emulate, folder: Folder
) -> None:
    aws = emulate(None, engine="dsql", dsql=DsqlOptions(job_seconds=0.1, conflicts=0.3))
    cluster = Cluster(aws)
    more = "".join(f'op.execute("update t set n = n || {n}")\n' for n in range(10))
    folder.add("0001", TABLE + more + 'op.create_index("i", "t", ["n"])')
    folder.add("0002", 'op.execute("create table x (a int)")', after="0001")
    assert cluster.up(folder.path) == ["0001", "0002"]
    assert cluster.ask("select n from t order by id") == [("a0123456789",), ("a0123456789",)]


UPDATE, CREATE = 'op.execute("update t set n = n || 1")', 'op.execute("create table x (a int)")'
FAULT = "os.sunup_fault()"


@pytest.mark.parametrize("fault", ["uncertain", "unavailable"])
@pytest.mark.parametrize(
    "lines",
    [(FAULT, UPDATE, CREATE), (UPDATE, FAULT, CREATE), (UPDATE, CREATE, FAULT)],
    ids=["of rows", "before the schema", "of the version"],
)
def test_an_end_that_nobody_knows_is_looked_at_by_the_next_run(
    cluster: Cluster,
    folder: Folder,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    lines: tuple[str, ...],
) -> None:
    faults: Any = cluster.aws.dsql.faults
    monkeypatch.setattr(os, "sunup_fault", lambda: setattr(faults, fault, 1), raising=False)
    folder.add("0001", TABLE)
    folder.add("0002", "\n".join(lines), after="0001")
    assert cluster.up(folder.path, to="0001") == ["0001"]
    with pytest.raises(CommandError, match="nobody knows") as raised:
        cluster.up(folder.path)
    assert raised.value.cure == "Run the command again: it looks, and goes on."
    monkeypatch.setattr(os, "sunup_fault", lambda: None)
    cluster.up(folder.path)
    assert cluster.up(folder.path) == []
    assert cluster.ask("select n from t order by id") == [("a1",), ("a1",)]
    assert cluster.ask("select count(*) from x") == [(0,)]
    assert cluster.ask("select count(*) from sunup_progress") == [(0,)]


@pytest.mark.parametrize("fault", ["uncertain", "unavailable"])
def test_a_table_whose_making_had_no_answer_is_found(
    cluster: Cluster, folder: Folder, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    faults: Any = cluster.aws.dsql.faults
    noted = Steps._guarded
    armed = [True]

    def guarded(self: Steps, *arguments: Any) -> None:
        noted(self, *arguments)
        if armed:
            armed.clear()
            setattr(faults, fault, 1)

    monkeypatch.setattr(Steps, "_guarded", guarded)
    folder.add("0001", CREATE + '\nop.execute("insert into x values (1)")')
    with pytest.raises(CommandError, match="nobody knows"):
        cluster.up(folder.path)
    assert cluster.up(folder.path) == ["0001"]
    found = any("statement 1 had been executed (42P07)" in each for each in cluster.told)
    assert found is (fault == "uncertain")
    assert cluster.ask("select a from x") == [(1,)]


def test_three_at_once_and_what_others_change_meanwhile(cluster: Cluster, folder: Folder) -> None:
    folder.add("0001", TABLE + "import time; time.sleep(1)\n" + CREATE)
    with ThreadPoolExecutor(3) as threads, connect(cluster.aws) as other:
        runs = [threads.submit(Cluster(cluster.aws).up, folder.path) for _ in range(3)]
        number = 0
        while not all(each.done() for each in runs):
            number += 1
            statement = f"create table other_{number} (a int)".encode()
            retried(partial(other.execute, statement))
            time.sleep(0.2)
        assert sorted(each.result() for each in runs) == [[], [], ["0001"]]
    assert cluster.ask("select count(*) from t") == [(2,)]


def test_what_was_cut_is_read_again_where_others_change_the_catalogue(
    cluster: Cluster, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.up(folder.path)
    with connect(cluster.aws) as connection, connect(cluster.aws) as other:

        def there(*_: object) -> bool:
            connection.execute("select 1")
            other.execute("create table of_another_tool (a int)")
            return True

        monkeypatch.setattr(progress, "is_there", there)
        assert progress.cuts(connection) == []
        assert connection.execute("select count(*) from of_another_tool").fetchall() == [(0,)]


def test_a_run_that_changes_the_schema_gives_signs_of_life(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each change makes the next statement of the lock's session fail once."""
    monkeypatch.setattr(lease, "RENEWS", 0.3)
    mine = Lease(cluster.settings, cluster.credentials)
    mine.take(quiet, quiet)
    with connect(cluster.aws) as connection:
        for number in range(30):
            retried(partial(connection.execute, f"create table t_{number} (a int)".encode()))
            time.sleep(0.1)
        age = retried(lambda: connection.execute("select now() - renewed_at from sunup_runs"))
        assert age.fetchall()[0][0].total_seconds() < 2
    mine.give_back()
    assert cluster.ask("select count(*) from sunup_lock") == [(0,)]


def test_a_statement_without_parameters_is_noted_as_the_others(
    cluster: Cluster, folder: Folder
) -> None:
    body = (
        "op.execute('create table t (id int primary key)')\n"
        "op.execute('insert into t values (1)', execution_options={'no_parameters': True})\n"
    )
    file = folder.add("0001", f"{body}1 / 0")
    with pytest.raises(CommandError, match="ZeroDivisionError"):
        cluster.up(folder.path)
    file.write_text(file.read_text().replace("1 / 0", "1 / 1"))
    assert cluster.up(folder.path) == ["0001"]
    assert cluster.ask("select id from t") == [(1,)]


def quiet(_: Other) -> None:
    pass


def test_a_takeover_makes_what_a_stalled_run_writes_fail_at_commit(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There nobody waits for the row of the lock: the later COMMIT meets the earlier one."""
    monkeypatch.setattr(lease, "RENEWS", 3600.0)
    first, second = (Lease(cluster.settings, cluster.credentials) for _ in range(2))
    first.take(quiet, quiet)
    with connect(cluster.aws) as connection:
        connection.execute("create table t (a int)")
        connection.execute("begin")
        first.guard(connection)
        connection.execute("insert into t values (1)")
        monkeypatch.setattr(lease, "EXPIRES", 0.0)
        told: list[Other] = []
        second.take(quiet, told.append)
        assert [each.run for each in told] == [first.run]
        with pytest.raises(psycopg.errors.SerializationFailure, match="OC000"):
            connection.execute("commit")
        with pytest.raises(CommandError, match="another one took over"):
            in_transaction(connection, partial(first.guard, connection))
    assert cluster.ask("select count(*) from t") == [(0,)]
    first.give_back()
    assert cluster.ask("select run from sunup_lock") == [(second.run,)]
    second.give_back()


def test_of_two_that_take_over_at_once_one_wins(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, *two = (Lease(cluster.settings, cluster.credentials) for _ in range(3))
    dead.take(quiet, quiet)
    dead._ended.set()
    with connect(cluster.aws) as connection:
        connection.execute("update sunup_runs set renewed_at = now() - interval '61 s'")
    waits = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        taken = [threads.submit(each.take, lambda _: waits.set(), quiet) for each in two]
        assert waits.wait(20)
        assert sum(each.done() for each in taken) == 1
        for each, future in zip(two, taken, strict=True):
            if future.done():
                each.give_back()
    for each in (dead, *two):
        each.give_back()
    assert cluster.ask("select count(*) from sunup_lock") == [(0,)]


def test_a_connection_that_ends_while_an_index_is_built_is_no_harm(
    emulate: Emulate, folder: Folder
) -> None:
    options = DsqlOptions(job_seconds=6.0, connection_lifetime=3.0)
    cluster = Cluster(emulate(None, engine="dsql", dsql=options))
    folder.add("0001", TABLE + 'op.create_index("i", "t", ["n"])\n' + UPDATE)
    with pytest.raises(CommandError, match="nobody knows"):
        cluster.up(folder.path)
    for _ in range(5):
        with suppress(CommandError):
            cluster.up(folder.path)
    assert cluster.up(folder.path) == []
    assert cluster.ask("select indisvalid from pg_index where indexrelid = 'i'::regclass") == [
        (True,)
    ]
    assert cluster.ask("select n from t order by id") == [("a1",), ("a1",)]
