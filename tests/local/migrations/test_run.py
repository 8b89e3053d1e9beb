"""Migrations that meet other sessions, or fail half-way, on a real PostgreSQL."""

import ast
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import alembic
import psycopg
import pytest

from sunup.local.errors import CommandError
from sunup.local.migrations import folder as folders
from sunup.local.migrations import locking, writing
from sunup.local.migrations import running as migrations
from sunup.settings import Settings

Admin = Callable[[str], list[tuple[object, ...]]]

ENV = """
from alembic import context
context.configure(connection=context.config.attributes["connection"], transaction_per_migration={each})
with context.begin_transaction():
    context.run_migrations()
"""


class Folder:
    """An app's migrations, written one by one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "versions").mkdir(parents=True)
        (path / "env.py").write_text(ENV.format(each=False))
        (path / "script.py.mako").write_text(
            'revision = "${up_revision}"\ndown_revision = ${repr(down_revision)}\n'
            "def upgrade(): ${upgrades if upgrades else 'pass'}\ndef downgrade(): pass\n"
        )

    def add(self, number: str, body: str, after: str | None = None, name: str = "x") -> Path:
        file = self.path / "versions" / f"{number}_{name}.py"
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        file.write_text(
            "from alembic import op\nimport sqlalchemy as sa\n"
            f'revision = "{number}"\ndown_revision = {after!r}\n'
            f"def upgrade():\n{lines}\ndef downgrade():\n    pass\n"
        )
        return file


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "migrations")
    made.add("0001", "op.execute('create table t (x int)')")
    return made


CONCURRENTLY = """
with op.get_context().autocommit_block():
    op.execute("create index concurrently i on t (x)")
"""


@pytest.fixture
def session(settings: Settings) -> Callable[[], psycopg.Connection]:
    def connect() -> psycopg.Connection:
        return psycopg.connect(
            host=settings.host, user=settings.user, dbname=settings.database, autocommit=True
        )

    return connect


@contextmanager
def holding(connection: psycopg.Connection, seconds: float | None = None) -> Iterator[None]:
    """A transaction that reads the table, for as long as the block, or some seconds."""
    connection.execute("begin")
    connection.execute("select * from t")
    if seconds is None:
        yield
        connection.execute("rollback")
        return
    timer = threading.Timer(seconds, lambda: connection.execute("rollback"))
    timer.start()
    yield
    timer.join()


def test_two_runs_with_a_concurrent_index_do_not_wait_for_each_other(
    settings: Settings, admin: Admin, folder: Folder
) -> None:
    """They deadlocked, and left an invalid index."""
    migrations.upgrade(settings, folder.path)
    # Long enough for the second run to wait for the first.
    folder.add("0002", "op.execute('select pg_sleep(1)')" + CONCURRENTLY, "0001")
    waited = []
    with ThreadPoolExecutor(3) as threads:
        applied = list(
            threads.map(
                lambda _: migrations.upgrade(
                    settings, folder.path, on_wait=lambda: waited.append(True)
                ),
                range(3),
            )
        )
    assert sorted(applied) == [[], [], ["0002"]]
    assert len(waited) == 2
    assert admin("select indisvalid from pg_index where indexrelid = 'i'::regclass") == [(True,)]
    assert migrations.upgrade(settings, folder.path) == []


def test_two_databases_at_once_each_get_their_own_migrations(
    settings: Settings, admin: Admin, tmp_path: Path
) -> None:
    """Alembic's `op` is one for all threads: what stood in one folder went to the other's."""
    databases = [settings.database, f"{settings.database}_2"]
    admin(f'create database "{databases[1]}"')
    for name in ("a", "b"):
        made = Folder(tmp_path / name)
        made.add("0001", f"import time; time.sleep(0.5); op.execute('create table {name} (x int)')")
    with ThreadPoolExecutor(2) as threads:
        runs = [
            threads.submit(
                migrations.upgrade, replace(settings, database=database), tmp_path / name
            )
            for name, database in zip(("a", "b"), databases, strict=True)
        ]
        assert [each.result() for each in runs] == [["0001"], ["0001"]]
    for name, database in zip(("a", "b"), databases, strict=True):
        with psycopg.connect(host=settings.host, user=settings.user, dbname=database) as connection:
            tables = "select relname from pg_class where relname in ('a', 'b')"
            assert connection.execute(tables.encode()).fetchall() == [(name,)]
    admin(f'drop database "{databases[1]}" with (force)')


def test_a_thread_that_does_not_end_is_told(
    settings: Settings, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_PATIENCE", 0.2)
    begun, ended = threading.Event(), threading.Event()

    def hold() -> None:
        with folders.explained(folder.path):
            begun.set()
            ended.wait(20)

    with ThreadPoolExecutor(1) as thread:
        holding = thread.submit(hold)
        assert begun.wait(20)
        with pytest.raises(CommandError, match="another thread of this process"):
            migrations.upgrade(settings, folder.path)
        ended.set()
        holding.result()
    assert migrations.upgrade(settings, folder.path) == ["0001"]


def test_a_table_in_use_is_waited_for_without_stopping_others(
    settings: Settings,
    folder: Folder,
    session: Callable[[], psycopg.Connection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(locking, "PATIENCE", 1)
    migrations.upgrade(settings, folder.path)
    folder.add("0002", "op.execute('alter table t add y int')", "0001")
    told: list[str] = []
    slowest = 0.0

    def read(other: psycopg.Connection) -> None:
        nonlocal slowest
        began = time.monotonic()
        other.execute("select x from t")
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.05)

    with session() as reader, session() as other, ThreadPoolExecutor(1) as threads:
        with holding(reader):
            run = threads.submit(migrations.upgrade, settings, folder.path, on_retry=told.append)
            while not told and not run.done():
                read(other)
        while not run.done():
            read(other)
        assert run.result() == ["0002"]
    assert slowest < 3
    assert "in a transaction for" in told[0]
    assert "idle in transaction" in told[0]
    assert migrations.upgrade(settings, folder.path) == []


def test_a_table_that_stays_in_use_is_told_with_who_uses_it(
    settings: Settings,
    folder: Folder,
    session: Callable[[], psycopg.Connection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(locking, "PATIENCE", 1)
    monkeypatch.setattr(locking, "_LONGEST", 2.0)
    migrations.upgrade(settings, folder.path)
    folder.add("0002", "op.execute('alter table t add y int')", "0001")
    with session() as reader:
        pid = reader.info.backend_pid
        with holding(reader), pytest.raises(CommandError) as raised:
            migrations.upgrade(settings, folder.path)
        assert f"pid {pid}, idle in transaction" in raised.value.what
        assert "alter table t add y int" in raised.value.what
        assert "select * from t" not in raised.value.what
        assert "Its transaction was rolled back" in raised.value.cure
    assert migrations.upgrade(settings, folder.path) == ["0002"]


def test_what_was_committed_before_a_retry_is_not_done_again(
    settings: Settings,
    admin: Admin,
    folder: Folder,
    session: Callable[[], psycopg.Connection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(locking, "PATIENCE", 1)
    (folder.path / "env.py").write_text(ENV.format(each=True))
    migrations.upgrade(settings, folder.path)
    folder.add("0002", "op.execute('create table once (x int)')", "0001")
    folder.add("0003", "op.execute('alter table t add y int')", "0002")
    with session() as reader, holding(reader, 1.6):
        assert migrations.upgrade(settings, folder.path) == ["0002", "0003"]
    assert admin("select count(*) from sunup_migrations") == [(3,)]


def test_after_an_autocommit_block_the_truth_is_told(
    settings: Settings, admin: Admin, folder: Folder
) -> None:
    admin("create table d (x int)")
    admin("insert into d values (1), (1)")
    unique = CONCURRENTLY.replace(
        "create index concurrently i on t", "create unique index concurrently i on d"
    )
    file = folder.add("0002", "op.execute('create table stays (x int)')" + unique, "0001")
    with pytest.raises(CommandError) as raised:
        migrations.upgrade(settings, folder.path)
    assert "could not create unique index" in raised.value.what
    assert "create unique index concurrently i on d (x)" in raised.value.what
    assert "stays in the database" in raised.value.cure
    assert "drop index concurrently public.i" in raised.value.cure
    assert admin("select to_regclass('stays') is not null") == [(True,)]
    admin("drop index concurrently public.i")
    admin("delete from d")
    file.write_text(
        file.read_text().replace("create table stays", "create table if not exists stays")
    )
    assert migrations.upgrade(settings, folder.path) == ["0002"]


def test_what_committed_on_its_own_is_recorded_though_a_later_migration_fails(
    settings: Settings, admin: Admin, folder: Folder
) -> None:
    """Its version was rolled back with the later one, and it could never be applied again."""
    folder.add("0002", CONCURRENTLY, "0001")
    body = "op.execute('create table u (x int)')\nraise KeyError('boom')"
    file = folder.add("0003", body, "0002")
    with pytest.raises(CommandError) as raised:
        migrations.upgrade(settings, folder.path)
    assert raised.value.what == "0003_x.py: KeyError: 'boom'"
    assert raised.value.cure.startswith(
        "0001, 0002 were completed before it. Its transaction was rolled back."
    )
    assert admin("select version_num, to_regclass('u') from alembic_version") == [("0002", None)]
    file.write_text(file.read_text().replace("raise KeyError('boom')", "pass"))
    assert migrations.upgrade(settings, folder.path) == ["0003"]


def test_a_retry_does_not_repeat_what_committed_on_its_own(
    settings: Settings,
    folder: Folder,
    session: Callable[[], psycopg.Connection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(locking, "PATIENCE", 1)
    # An index waits for every transaction that was there before it: so the reader comes after.
    migrations.upgrade(settings, folder.path)
    folder.add("0002", CONCURRENTLY, "0001")
    folder.add("0003", "op.execute('select pg_notify($$go$$, null)')", "0002")
    folder.add("0004", "import time\ntime.sleep(1)\nop.execute('alter table t add y int')", "0003")
    with session() as reader, session() as other, ThreadPoolExecutor(1) as threads:
        run = threads.submit(migrations.upgrade, settings, folder.path)
        while not other.execute("select to_regclass('i') is not null").fetchone()[0]:  # type: ignore[index]
            time.sleep(0.02)
        with holding(reader, 2.5):
            assert run.result() == ["0002", "0003", "0004"]
    assert migrations.upgrade(settings, folder.path) == []


def test_what_waits_for_a_table_outside_a_transaction_stops_nobody_either(
    settings: Settings,
    admin: Admin,
    folder: Folder,
    session: Callable[[], psycopg.Connection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(locking, "PATIENCE", 1)
    migrations.upgrade(settings, folder.path)
    block = CONCURRENTLY.replace("create index concurrently i on t (x)", "alter table t add y int")
    folder.add("0002", CONCURRENTLY + block, "0001")
    with session() as reader, session() as writer, holding(reader):
        writer.execute("begin")
        writer.execute("insert into t values (1)")
        with ThreadPoolExecutor(1) as threads:
            # The index waits for the writer as long as it takes, the ALTER for PATIENCE.
            run = threads.submit(migrations.upgrade, settings, folder.path)
            time.sleep(2)
            assert not run.done()
            writer.execute("commit")
            with pytest.raises(CommandError, match="LockNotAvailable") as raised:
                run.result()
        assert "Run the command again later" in raised.value.cure
    admin("drop index i")
    assert migrations.upgrade(settings, folder.path) == ["0002"]


def test_what_is_left_of_some_steps_is_named(
    settings: Settings,
    folder: Folder,
    session: Callable[[], psycopg.Connection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(locking, "PATIENCE", 1)
    (folder.path / "env.py").write_text(ENV.format(each=True))
    migrations.upgrade(settings, folder.path)
    folder.add("0002", "pass", "0001")
    folder.add("0003", "op.execute('alter table t add y int')", "0002")
    folder.add("0004", "pass", "0003")
    with session() as reader, holding(reader), pytest.raises(CommandError) as raised:
        migrations.upgrade(settings, folder.path, to="+2")
    assert raised.value.cure == (
        "0002 was completed before it. Its transaction was rolled back. Run the command again later, with --to 0003."
    )
    assert migrations.upgrade(settings, folder.path, to="0003") == ["0003"]


def test_what_was_applied_after_the_question_is_not_undone(
    settings: Settings, folder: Folder
) -> None:
    migrations.upgrade(settings, folder.path)
    seen = {each.revision for each in migrations.status(settings, folder.path)}
    folder.add("0002", "pass", "0001")
    migrations.upgrade(settings, folder.path)
    with pytest.raises(CommandError, match="another run changed the database in the meantime"):
        migrations.downgrade(settings, folder.path, seen=seen)
    assert migrations.downgrade(settings, folder.path, seen={*seen, "0002"}) == ["0002"]


def test_a_migration_that_executes_commit_is_told_as_one_that_does(
    settings: Settings, admin: Admin, folder: Folder
) -> None:
    body = "op.execute('create table a (x int)')\nop.execute('COMMIT')\nop.execute('select 1/0')"
    file = folder.add("0002", body, "0001")
    with pytest.raises(CommandError, match="DivisionByZero") as raised:
        migrations.upgrade(settings, folder.path)
    assert "what ran before that stays in the database" in raised.value.cure
    assert admin("select to_regclass('a') is not null") == [(True,)]
    admin("drop table a")
    file.write_text(file.read_text().replace("1/0", "1/1"))
    assert migrations.upgrade(settings, folder.path)[-1] == "0002"
    assert migrations.upgrade(settings, folder.path) == []


def test_an_invalid_index_is_not_taken_for_the_one_that_is_wanted(
    settings: Settings, admin: Admin, folder: Folder
) -> None:
    admin("create table d (x int)")
    admin("insert into d values (1), (1)")
    unique = CONCURRENTLY.replace(
        "create index concurrently i on t", "create unique index concurrently if not exists i on d"
    )
    folder.add("0002", unique, "0001")
    with pytest.raises(CommandError, match="could not create unique index"):
        migrations.upgrade(settings, folder.path)
    admin("delete from d")
    with pytest.raises(CommandError, match=r"the index public\.i exists but is invalid") as raised:
        migrations.upgrade(settings, folder.path)
    assert "drop index concurrently public.i" in raised.value.cure
    admin("drop index concurrently public.i")
    assert migrations.upgrade(settings, folder.path) == ["0002"]


def test_a_connection_of_a_migrations_own_is_another_one(
    settings: Settings, admin: Admin, folder: Folder
) -> None:
    body = """
op.execute('create table a (x int)')
with op.get_bind().engine.begin() as other:
    other.execute(sa.text('create table b (x int)'))
op.execute('create table c (x int)')
"""
    folder.add("0002", body, "0001")
    assert migrations.upgrade(settings, folder.path) == ["0001", "0002"]
    assert admin("select to_regclass('a') is not null, to_regclass('c') is not null") == [
        (True, True)
    ]
    assert migrations.upgrade(settings, folder.path) == []


def test_alembics_table_may_have_another_name(
    settings: Settings, admin: Admin, folder: Folder
) -> None:
    """It was asked for under its usual one: nothing was ever applied, and `down` dropped tables."""
    admin("create schema book")
    named = '(version_table="Versions", version_table_schema="book", connection'
    (folder.path / "env.py").write_text(ENV.replace("(connection", named).format(each=False))
    assert migrations.upgrade(settings, folder.path) == ["0001"]
    assert [each.state for each in migrations.status(settings, folder.path)] == ["applied"]
    assert "create table" not in migrations.sql(settings, folder.path)
    assert migrations.downgrade(settings, folder.path) == ["0001"]
    assert migrations.downgrade(settings, folder.path) == []
    admin("drop table t")
    admin('grant update on book."Versions" to public')
    assert migrations.upgrade(settings, folder.path, to="head") == ["0001"]
    rights = "select relacl::text ~ '[{,]=w' from pg_class where relname = 'Versions'"
    assert admin(rights) == [(False,)]


@pytest.mark.parametrize("to", ["", "0009", "abc", "-x"])
def test_a_revision_that_is_not_there_is_told(settings: Settings, folder: Folder, to: str) -> None:
    for attempt in (migrations.upgrade, migrations.downgrade):
        with pytest.raises(CommandError, match=f"there is no revision {to!r}") as raised:
            attempt(settings, folder.path, to=to)
        assert "The revisions are 0001" in raised.value.cure
    with pytest.raises(CommandError, match="there are fewer than 5 migrations in that direction"):
        migrations.upgrade(settings, folder.path, to="+5")
    assert migrations.upgrade(settings, folder.path, to="+1") == ["0001"]


def test_of_two_applied_ends_none_is_undone_by_chance(settings: Settings, folder: Folder) -> None:
    folder.add("0002", "pass", "0001", "ours")
    folder.add("0003", "pass", "0001", "theirs")
    migrations.upgrade(settings, folder.path, to="heads")
    with pytest.raises(CommandError, match=r"two ways back from here: 000._.* and 000._"):
        migrations.downgrade(settings, folder.path)
    assert sorted(migrations.downgrade(settings, folder.path, to="0001")) == ["0002", "0003"]


@pytest.mark.parametrize("message", ['a """ b \\ c', "a \\", '"a"', "a '''"])
def test_any_message_makes_a_migration_that_can_be_read(folder: Folder, message: str) -> None:
    template = '"""${message}\n"""\n' + (folder.path / "script.py.mako").read_text()
    (folder.path / "script.py.mako").write_text(template)
    written = writing.write(folder.path, message)
    assert ast.get_docstring(ast.parse(written.path.read_text()), clean=False) == f"{message}\n"


def test_an_error_is_told_with_its_statement_and_without_its_values(
    settings: Settings, folder: Folder
) -> None:
    body = "op.get_bind().execute(sa.text('insert into t values (:secret)'), {'secret': 'hunter2'})"
    file = folder.add("0002", body, "0001")
    with pytest.raises(CommandError) as raised:
        migrations.upgrade(settings, folder.path)
    assert raised.value.what.startswith("0002_x.py: ")
    assert "in: insert into t values (" in raised.value.what
    assert (
        raised.value.cure
        == "Its transaction was rolled back. Fix the file, then run the command again."
    )
    file.write_text(file.read_text().replace("hunter2", "7"))
    assert migrations.upgrade(settings, folder.path) == ["0001", "0002"]


def test_only_the_owner_may_write_which_migrations_are_applied(
    settings: Settings, admin: Admin, folder: Folder
) -> None:
    """An app that was broken into could have had migrations skipped."""
    role = f"reader_{abs(hash(settings.database)) % 10**8}"
    admin(f'create role "{role}"')
    try:
        admin(
            f'alter default privileges grant select, insert, update, delete on tables to "{role}", public'
        )
        migrations.upgrade(settings, folder.path)
        rights = (
            "select table_name, privilege_type from information_schema.role_table_grants "
            f"where grantee in ('{role}', 'PUBLIC') and table_name in ('alembic_version', 'sunup_migrations')"
        )
        assert {row[1] for row in admin(rights)} == {"SELECT"}
        # Also of a database that was there before.
        admin(f'grant insert, update on sunup_migrations to "{role}"')
        assert migrations.upgrade(settings, folder.path) == []
        assert {row[1] for row in admin(rights)} == {"SELECT"}
    finally:
        admin(f'drop owned by "{role}"')
        admin(f'drop role "{role}"')


def test_two_ends_are_named_and_can_be_joined(settings: Settings, folder: Folder) -> None:
    folder.add("0002", "pass", "0001", "ours")
    folder.add("0003", "pass", "0001", "theirs")
    for attempt in (
        lambda: migrations.upgrade(settings, folder.path),
        lambda: writing.write(folder.path, "more"),
    ):
        with pytest.raises(
            CommandError, match=r"2 heads: 0002_ours\.py and 0003_theirs\.py"
        ) as raised:
            attempt()
        assert "sunup migrate merge" in raised.value.cure
    assert writing.merge(folder.path, "both").name == "0004_both.py"
    assert migrations.upgrade(settings, folder.path)[-1] == "0004"
    with pytest.raises(CommandError, match="two ways back"):
        migrations.downgrade(settings, folder.path)
    assert migrations.downgrade(settings, folder.path, to="0001")[0] == "0004"
    assert sorted(migrations.upgrade(settings, folder.path)) == ["0002", "0003", "0004"]
    with pytest.raises(CommandError, match="there is nothing to merge"):
        writing.merge(folder.path, "again")


def test_two_files_of_one_number_are_named(settings: Settings, folder: Folder) -> None:
    folder.add("0002", "pass", "0001", "ours")
    theirs = folder.add("0002", "pass", "0001", "theirs")
    with pytest.raises(
        CommandError, match=r"0002_ours\.py and 0002_theirs\.py are both revision 0002"
    ):
        migrations.upgrade(settings, folder.path)
    theirs.unlink()
    assert migrations.upgrade(settings, folder.path) == ["0001", "0002"]


@pytest.mark.filterwarnings("ignore:Revision")
def test_a_wrong_down_revision_is_told(settings: Settings, folder: Folder) -> None:
    file = folder.add("0002", "pass", "0009")
    with pytest.raises(CommandError, match="follows the revision '0009', which has no file"):
        migrations.upgrade(settings, folder.path)
    file.write_text(file.read_text().replace("0009", "0001"))
    assert migrations.upgrade(settings, folder.path) == ["0001", "0002"]


def test_the_process_s_variables_are_not_touched(
    settings: Settings, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library in C may read them in another thread: it was a segmentation fault."""
    env = folder.path / "env.py"
    env.write_text(f"import os\nos.environ['OF_ENV_PY'] = 'x'\n{env.read_text()}")
    (folder.path.parent / "alembic.ini").write_text("[alembic]\n")
    (folder.path.parent / ".env").write_text("OF_DOTENV=y\n")
    folder.add("0002", "import os; assert os.environ['OF_DOTENV'] == 'y'", "0001")
    put, real = list[bytes](), os.putenv

    def noted(name: bytes, value: bytes) -> None:
        put.append(name)
        real(name, value)

    monkeypatch.setattr(os, "putenv", noted)
    assert migrations.upgrade(settings, folder.path) == ["0001", "0002"]
    assert set(put) == {b"OF_ENV_PY", b"OF_DOTENV"}
    assert not {"OF_ENV_PY", "OF_DOTENV"} & os.environ.keys()


def test_an_edit_within_a_second_is_what_is_executed(
    settings: Settings, admin: Admin, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python would take the bytecode of the text before it, of the same size and second."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for column in ("a", "b"):
        file = folder.add("0002", f"op.execute('alter table t add {column} int'); 1 / 0", "0001")
        os.utime(file, (1e9, 1e9))
        with pytest.raises(CommandError, match="ZeroDivisionError"):
            migrations.upgrade(settings, folder.path)
    file.write_text(file.read_text().replace("; 1 / 0", "; 1 + 0"))
    os.utime(file, (1e9, 1e9))
    assert migrations.upgrade(settings, folder.path)[-1] == "0002"
    columns = "select attname from pg_attribute where attrelid = 't'::regclass and attnum > 0"
    assert admin(columns) == [("x",), ("b",)]


def test_a_folder_that_cannot_be_written_is_told(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("alembic.command.revision", refused)
    with pytest.raises(CommandError, match=r"versions cannot be written: Permission denied"):
        writing.write(folder.path, "more")


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("import nothere", "0002_x.py, line 1: ModuleNotFoundError: No module named 'nothere'"),
        ("revision = '0002'\ndown_revision = '0001'", "0002_x.py has no function upgrade()"),
        (
            "revision = '0002'\ndown_revision = '0001'\ndef upgrade(): raise SystemExit(0)",
            "0002_x.py: SystemExit: 0",
        ),
        ("def upgrade(:", "0002_x.py, line 1: invalid syntax"),
    ],
)
def test_a_file_that_is_no_migration_is_named(
    settings: Settings, folder: Folder, file: str, says: str
) -> None:
    path = folder.path / "versions" / "0002_x.py"
    path.write_text(f"{file}\n")
    with pytest.raises(CommandError) as raised:
        migrations.upgrade(settings, folder.path)
    assert raised.value.what.endswith(says)
    path.unlink()
    assert migrations.upgrade(settings, folder.path) == ["0001"]


def test_without_its_template_no_migration_can_be_written(folder: Folder) -> None:
    (folder.path / "script.py.mako").unlink()
    with pytest.raises(CommandError, match=r"there is no script\.py\.mako"):
        writing.write(folder.path, "more")


def test_a_connection_that_env_py_opens_itself_is_refused(
    settings: Settings, admin: Admin, folder: Folder
) -> None:
    """Its migrations would go elsewhere, and be noted here."""
    env = f"""
from alembic import context
from sqlalchemy import NullPool, create_engine
url = "postgresql+psycopg://postgres@/{settings.database}?host={settings.host}"
engine = create_engine(url, poolclass=NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
    (folder.path / "env.py").write_text(env)
    for attempt in (migrations.upgrade, migrations.status, migrations.downgrade):
        with pytest.raises(CommandError, match=r"env\.py opens its own connection") as raised:
            attempt(settings, folder.path)
        assert 'config.attributes["connection"]' in raised.value.cure
    assert admin("select to_regclass('t'), to_regclass('alembic_version')") == [(None, None)]
    (folder.path / "env.py").write_text(ENV.format(each=False))
    assert migrations.upgrade(settings, folder.path) == ["0001"]


@pytest.mark.parametrize("template", ["generic", "async", "pyproject", "pyproject_async"])
def test_env_py_may_be_as_alembic_generated_it(
    settings: Settings, folder: Folder, template: str
) -> None:
    package = Path(alembic.__file__).parent / "templates" / template / "env.py"
    (folder.path / "env.py").write_text(package.read_text())
    assert migrations.upgrade(settings, folder.path) == ["0001"]
    assert [each.state for each in migrations.status(settings, folder.path)] == ["applied"]
    assert "create table t" in migrations.sql(settings, folder.path, everything=True)
    assert migrations.downgrade(settings, folder.path) == ["0001"]
    assert writing.write(folder.path, "more").path.name == "0002_more.py"


# As `alembic init -t async` wrote it until Alembic 1.8.
OLD_ASYNC = """
import asyncio
from alembic import context
from sqlalchemy import engine_from_config, pool
from sqlalchemy.ext.asyncio import AsyncEngine
config = context.config
target_metadata = None
def run_migrations_offline():
    context.configure(url=config.get_main_option("sqlalchemy.url"), literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
def do_run_migrations(connection):
    context.configure(connection=connection, target_metadata=target_metadata)
    with context.begin_transaction():
        context.run_migrations()
async def run_migrations_online():
    connectable = AsyncEngine(
        engine_from_config(
            config.get_section(config.config_ini_section),
            prefix="sqlalchemy.", poolclass=pool.NullPool, future=True,
        )
    )
    async with connectable.connect() as connection:
        await connection.run_sync(do_run_migrations)
    await connectable.dispose()
if context.is_offline_mode():
    run_migrations_offline()
else:
    asyncio.run(run_migrations_online())
"""


def test_env_py_may_be_as_an_older_alembic_generated_it(settings: Settings, folder: Folder) -> None:
    (folder.path / "env.py").write_text(OLD_ASYNC)
    assert migrations.upgrade(settings, folder.path) == ["0001"]
    assert migrations.downgrade(settings, folder.path) == ["0001"]
    assert writing.write(folder.path, "more").path.name == "0002_more.py"


def test_env_py_sees_the_settings_of_the_app_but_where_its_database_is(
    settings: Settings, folder: Folder
) -> None:
    env = folder.path / "env.py"
    env.write_text(
        "import os\nassert os.environ['SECRET'] == 'of .env'\nassert 'DB_NAME' not in os.environ\n"
        + env.read_text()
    )
    with pytest.raises(CommandError, match=r"env\.py: KeyError: 'SECRET'") as raised:
        migrations.upgrade(settings, folder.path)
    assert "sunup opens the connection" in raised.value.cure
    (folder.path.parent / ".env").write_text("SECRET=of .env\nDB_NAME=nowhere\n")
    assert migrations.upgrade(settings, folder.path) == ["0001"]
    assert "SECRET" not in os.environ


def test_an_env_py_for_several_databases_is_refused_in_words(
    settings: Settings, folder: Folder
) -> None:
    package = Path(alembic.__file__).parent / "templates" / "multidb"
    (folder.path / "env.py").write_text((package / "env.py").read_text())
    ini = (package / "alembic.ini.mako").read_text().replace("${script_location}", "migrations")
    (folder.path.parent / "alembic.ini").write_text(ini)
    with pytest.raises(CommandError, match="several databases"):
        migrations.upgrade(settings, folder.path)


@pytest.mark.parametrize(
    "sets", ["set search_path = ''", "set role pg_monitor", "set statement_timeout = '1ms'"]
)
def test_what_a_migration_sets_is_not_for_the_next_one(
    settings: Settings, admin: Admin, folder: Folder, sets: str
) -> None:
    folder.add("0002", f'op.execute("create table a (x int)")\nop.execute("{sets}")', "0001")
    folder.add("0003", "op.execute('create table b as select 1 as x from pg_sleep(0.01)')", "0002")
    assert migrations.upgrade(settings, folder.path) == ["0001", "0002", "0003"]
    assert admin("select to_regclass('b')::text, count(*)::int from sunup_migrations") == [("b", 3)]


def test_a_session_that_the_server_ends_is_told_with_the_statement(
    settings: Settings, folder: Folder
) -> None:
    body = "op.execute('select pg_terminate_backend(pg_backend_pid())')"
    file = folder.add("0002", body, "0001")
    with pytest.raises(CommandError) as raised:
        migrations.upgrade(settings, folder.path)
    assert raised.value.what.startswith("0002_x.py: AdminShutdown")
    assert "pg_terminate_backend" in raised.value.what
    file.write_text(file.read_text().replace(body, "pass"))
    assert migrations.upgrade(settings, folder.path) == ["0001", "0002"]


def test_ctrl_c_is_no_error_of_the_database(
    settings: Settings, admin: Admin, folder: Folder
) -> None:
    body = "import _thread, threading\nthreading.Timer(0.5, _thread.interrupt_main).start()\n"
    file = folder.add("0002", body + "op.execute('select pg_sleep(30)')", "0001")
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        migrations.upgrade(settings, folder.path)
    assert time.monotonic() - began < 10
    # The server notices the end of a session a moment later.
    query = "select 1 from pg_stat_activity where query ~ '^select pg_sleep'"
    end = time.monotonic() + 5
    while admin(f"{query} and datname = current_database()"):
        assert time.monotonic() < end
        time.sleep(0.05)
    file.unlink()
    assert migrations.upgrade(settings, folder.path) == ["0001"]
