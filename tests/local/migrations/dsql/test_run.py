"""Runs of migrations statement by statement; what a run that was cut leaves, and who goes on."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from sunup.local.errors import CommandError
from sunup.local.migrations import running
from sunup.settings import Settings

from .conftest import Folder

Admin = Callable[[str], list[tuple[object, ...]]]

USERS = Path(__file__).parents[4] / "examples" / "users" / "migrations"

TWO = """
op.execute("create table a (x int)")
op.execute("insert into a values (1), (2)")
op.execute("create table b (x int)")
op.execute("insert into b select x from a")
"""
FAILS = TWO + 'op.execute("insert into nowhere values (1)")\n'


def test_up_and_down_and_up_again(dsql: Settings, folder: Folder, admin: Admin) -> None:
    folder.add("0001", TWO, 'op.execute("drop table b; drop table a")')
    folder.add("0002", "op.add_column('a', sa.Column('y', sa.Text))", after="0001")
    assert [each.state for each in running.status(dsql, folder.path)] == ["pending", "pending"]
    assert running.upgrade(dsql, folder.path) == ["0001", "0002"]
    assert running.upgrade(dsql, folder.path) == []
    assert admin("select count(*) from b") == [(2,)]
    assert admin("select count(*) from sunup_progress") == [(0,)]
    assert admin("select count(*) from sunup_lock") == [(0,)]
    assert running.downgrade(dsql, folder.path, to="base") == ["0002", "0001"]
    assert running.upgrade(dsql, folder.path, to="+1") == ["0001"]
    assert [each.state for each in running.status(dsql, folder.path)] == ["applied", "pending"]


def test_a_migration_that_failed_goes_on_where_it_stopped(
    dsql: Settings, folder: Folder, admin: Admin
) -> None:
    folder.add("0001", FAILS)
    with pytest.raises(CommandError, match="nowhere") as raised:
        running.upgrade(dsql, folder.path)
    assert "4 of its statements were executed and stay" in raised.value.cure
    assert [each.state for each in running.status(dsql, folder.path)] == ["begun"]
    folder.add("0001", TWO + 'op.execute("create table c (x int)")')
    told: list[str] = []
    assert running.upgrade(dsql, folder.path, on_retry=told.append) == ["0001"]
    assert told == ["0001_x.py goes on after 4 of its statements"]
    assert admin("select count(*) from b") == [(2,)]
    assert admin("select to_regclass('c') is not null") == [(True,)]
    assert [each.state for each in running.status(dsql, folder.path)] == ["applied"]


def test_a_statement_that_was_executed_must_not_change(
    dsql: Settings, folder: Folder, admin: Admin
) -> None:
    folder.add("0001", FAILS)
    with pytest.raises(CommandError):
        running.upgrade(dsql, folder.path)
    folder.add("0001", TWO.replace("(1), (2)", "(1), (2), (3)"))
    with pytest.raises(CommandError, match="its statement 2 was executed by a run") as raised:
        running.upgrade(dsql, folder.path)
    assert "--accept 0001" in raised.value.cure
    folder.add("0001", TWO.split("op.execute", 2)[1].join(["op.execute", ""]))
    with pytest.raises(CommandError, match="its statement 2 was executed by a run"):
        running.upgrade(dsql, folder.path)
    folder.add("0001", TWO.replace("(1), (2)", "(1), (2), (3)"))
    assert running.upgrade(dsql, folder.path, accept=["0001"]) == ["0001"]
    assert admin("select count(*) from a") == [(2,)]


def test_a_statement_whose_end_was_not_seen_is_looked_at(
    dsql: Settings, folder: Folder, admin: Admin
) -> None:
    folder.add("0001", 'op.execute("create table a (x int)")\nos._here()')
    with pytest.raises(CommandError):
        running.upgrade(dsql, folder.path)
    # As a process leaves it that ends between the statement and its note.
    admin("update sunup_progress set state = 'begun'")
    folder.add("0001", 'op.execute("create table a (x int)")')
    told: list[str] = []
    assert running.upgrade(dsql, folder.path, on_retry=told.append) == ["0001"]
    assert told[-1] == "0001_x.py: statement 1 had been executed (42P07)"
    folder.add("0002", 'op.execute("create table a (x int)")', after="0001")
    with pytest.raises(CommandError, match="already exists"):
        running.upgrade(dsql, folder.path)
    with pytest.raises(CommandError, match="already exists"):
        running.upgrade(dsql, folder.path)
    folder.add("0002", 'op.execute("drop table a")', after="0001")
    assert running.upgrade(dsql, folder.path) == ["0002"]


def test_what_is_missing_is_no_sign_that_a_statement_was_executed(
    dsql: Settings, folder: Folder, admin: Admin
) -> None:
    folder.add("0001", 'op.execute("create table a (x int)")\nos._here()')
    with pytest.raises(CommandError):
        running.upgrade(dsql, folder.path)
    admin("update sunup_progress set state = 'begun'")
    admin("drop table a")
    folder.add("0001", 'op.execute("create view v as select * from a")')
    admin("delete from sunup_progress")
    with pytest.raises(CommandError, match='"a" does not exist'):
        running.upgrade(dsql, folder.path)
    # As it is left by a run that ended before the answer was noted.
    statement = "create view v as select * from a"
    sha256 = hashlib.sha256(statement.encode()).hexdigest()
    admin(f"insert into sunup_progress values ('0001', 'up', 1, '{sha256}', '', 'begun')")
    with pytest.raises(CommandError, match='"a" does not exist'):
        running.upgrade(dsql, folder.path)


def test_what_is_half_applied_cannot_be_undone_and_the_other_way_round(
    dsql: Settings, folder: Folder
) -> None:
    folder.add("0001", TWO, 'op.execute("drop table b")\nop.execute("drop table nowhere")')
    assert running.upgrade(dsql, folder.path) == ["0001"]
    with pytest.raises(CommandError, match="nowhere"):
        running.downgrade(dsql, folder.path)
    assert [each.state for each in running.status(dsql, folder.path)] == ["undoing"]
    with pytest.raises(CommandError, match="0001 is half undone") as raised:
        running.upgrade(dsql, folder.path)
    assert raised.value.cure == "End that first: sunup migrate down --to base."
    folder.add("0001", TWO, 'op.execute("drop table b")\nop.execute("drop table a")')
    assert running.downgrade(dsql, folder.path) == ["0001"]
    folder.add("0001", FAILS)
    folder.add("0002", "pass", after="0001")
    with pytest.raises(CommandError, match="nowhere"):
        running.upgrade(dsql, folder.path)
    with pytest.raises(CommandError, match="0001 is half applied"):
        running.downgrade(dsql, folder.path, to="base", seen=())
    (folder.path / "versions" / "0001_x.py").unlink()
    folder.add("0002", "pass")
    with pytest.raises(CommandError, match="its file is gone"):
        running.upgrade(dsql, folder.path)
    folder.add("0001", TWO)
    folder.add("0002", "pass", after="0001")
    assert running.upgrade(dsql, folder.path) == ["0001", "0002"]


def test_a_settings_statement_ends_with_its_migration(dsql: Settings, folder: Folder) -> None:
    folder.add("0001", "op.execute('set search_path = nowhere')\nop.execute('create schema s')")
    assert running.upgrade(dsql, folder.path) == ["0001"]


def test_rows_and_selects_and_an_autocommit_block(
    dsql: Settings, folder: Folder, admin: Admin
) -> None:
    folder.add(
        "0001",
        """
t = op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Text))
op.bulk_insert(t, [{"n": "a"}, {"n": "b"}])
for (n,) in op.get_bind().execute(sa.text("select n from t order by n")).all():
    op.get_bind().execute(sa.text("update t set n = :to where n = :n"), {"to": n * 2, "n": n})
with op.get_context().autocommit_block():
    op.execute("begin; create table u (x int); commit")
op.execute(sa.insert(t).values(n="100 %"))
""",
    )
    assert running.upgrade(dsql, folder.path) == ["0001"]
    assert admin("select n from t order by id") == [("aa",), ("bb",), ("100 %",)]
    assert admin("select data_type, is_identity from information_schema.columns"
                 " where table_name = 't' and column_name = 'id'") == [("bigint", "YES")]  # fmt: skip


def test_many_rows_go_in_parts(dsql: Settings, folder: Folder, admin: Admin) -> None:
    folder.add(
        "0001",
        """
t = op.create_table("t", sa.Column("x", sa.Integer))
op.bulk_insert(t, [{"x": n} for n in range(7000)])
os._here()
""",
    )
    with pytest.raises(CommandError, match="_here"):
        running.upgrade(dsql, folder.path)
    assert admin("select count(*) from sunup_progress") == [(4,)]
    assert admin("select count(distinct x), count(*) from t") == [(7000, 7000)]


def test_what_alembic_alone_applied_is_adopted_and_an_edited_file_refused(
    dsql: Settings, folder: Folder, admin: Admin
) -> None:
    file = folder.add("0001", TWO)
    admin("create table alembic_version (version_num varchar(32) primary key)")
    admin("insert into alembic_version values ('0001')")
    assert running.upgrade(dsql, folder.path) == []
    file.write_text(file.read_text() + "# edited\n")
    with pytest.raises(CommandError, match="was changed after it was applied"):
        running.upgrade(dsql, folder.path)
    assert running.upgrade(dsql, folder.path, accept=["0001"]) == []


def test_a_connection_that_is_lost_in_a_statement_is_told_and_the_next_run_looks(
    dsql: Settings, folder: Folder, admin: Admin
) -> None:
    kill = 'op.execute("select pg_terminate_backend(pg_backend_pid())")\n'
    folder.add("0001", TWO + kill)
    with pytest.raises(CommandError, match="nobody knows whether") as raised:
        running.upgrade(dsql, folder.path)
    assert raised.value.cure == "Run the command again: it looks, and goes on."
    assert admin("select count(*) from sunup_lock") == [(0,)]
    folder.add("0001", TWO)
    assert running.upgrade(dsql, folder.path) == ["0001"]
    assert admin("select count(*) from b") == [(2,)]


def test_the_users_of_the_examples_are_not_in_the_way(
    dsql: Settings, database: dict[str, str], folder: Folder
) -> None:
    """Whoever looks at the tables meanwhile meets no lock of a migration."""
    folder.add("0001", TWO)
    with psycopg.connect(
        host=database["DB_HOST"], user="postgres", dbname=database["DB_NAME"]
    ) as reader:
        reader.execute("select 1")
        assert running.upgrade(dsql, folder.path) == ["0001"]
