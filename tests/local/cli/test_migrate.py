"""`sunup migrate` on an emulated Aurora, with IAM tokens."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sunup.local import project
from sunup.local.cli import dev
from sunup.local.emulator import Emulator
from tests.local.cli.conftest import Cli

MODELS = """
from alembic import context
from sqlalchemy import Column, Integer, MetaData, Table
metadata = MetaData()
Table("users", metadata, Column("id", Integer, primary_key=True))
Table("orders", metadata, Column("id", Integer, primary_key=True))
def ours(thing, name, kind, reflected, other):
    return name in metadata.tables and kind == "table" and name != "users"
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata,
                  include_object=ours)
with context.begin_transaction():
    context.run_migrations()
"""


def write(app_dir: Path, number: int, up: str, down: str = "pass") -> Path:
    path = app_dir / "migrations" / "versions" / f"{number:04d}_more.py"
    path.write_text(
        f'"""more"""\nfrom alembic import op\nrevision = "{number:04d}"\n'
        f'down_revision = "{number - 1:04d}"\n'
        f"def upgrade():\n    {up}\ndef downgrade():\n    {down}\n"
    )
    return path


def test_two_at_once_on_an_empty_sleeping_database(aws: Emulator, app_dir: Path) -> None:
    aws.do("aurora/pause")
    command = [sys.executable, "-m", "sunup.local.cli", "migrate", "up", str(app_dir)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [each.communicate(timeout=60) for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert sorted(out for out, _ in outputs) == ["Applied 0001, 0002.\n", "Nothing to do.\n"]
    assert {err for _, err in outputs} <= {"", "Another run is migrating; waiting for it\n"}


def test_status_tells_what_is_applied_and_up_does_the_rest(
    aws: Emulator, app_dir: Path, cli: Cli
) -> None:
    pending = "pending  0001_users.py  users\npending  0002_receipts.py  receipts\n"
    assert cli("migrate", "status", app_dir) == (0, pending, "")
    assert cli("migrate", "up", app_dir)[:2] == (0, "Applied 0001, 0002.\n")
    write(app_dir, 3, 'op.execute("create table orders (id int)")', 'op.execute("drop table orders")')  # fmt: skip
    _, out, _ = cli("migrate", "status", app_dir, "--json")
    assert [(each["revision"], each["state"]) for each in json.loads(out)] == [
        ("0001", "applied"),
        ("0002", "applied"),
        ("0003", "pending"),
    ]
    assert cli("migrate", "up", app_dir)[1] == "Applied 0003.\n"
    assert cli("migrate", "down", app_dir, "--yes")[1] == "Undone: 0003.\n"
    assert cli("migrate", "up", app_dir)[1] == "Applied 0003.\n"


def test_an_applied_file_that_was_changed_is_refused_until_accepted(
    aws: Emulator, app_dir: Path, cli: Cli
) -> None:
    cli("migrate", "up", app_dir)
    path = app_dir / "migrations" / "versions" / "0001_users.py"
    original = path.read_bytes()
    path.write_bytes(original.replace(b"\n", b"\r\n"))
    assert cli("migrate", "up", app_dir)[0] == 0  # another editor's line ends are no change
    path.write_bytes(original + b"# edited\n")
    write(app_dir, 3, "pass")
    status, out, err = cli("migrate", "up", app_dir)
    assert (status, out) == (1, "")
    assert "0001_users.py was changed after it was applied" in err
    assert "--accept 0001" in err
    status, out, _ = cli("migrate", "status", app_dir)
    assert status == 1
    assert out == (
        "changed  0001_users.py  users\n"
        "applied  0002_receipts.py  receipts\n"
        "pending  0003_more.py  more\n"
    )
    assert cli("migrate", "up", app_dir, "--accept", "0009")[0] == 1
    assert cli("migrate", "up", app_dir, "--accept", "0001")[1] == "Applied 0003.\n"
    assert cli("migrate", "status", app_dir)[0] == 0


def test_a_migration_that_fails_leaves_nothing_and_names_its_file(
    aws: Emulator, app_dir: Path, cli: Cli
) -> None:
    cli("migrate", "up", app_dir)
    path = write(app_dir, 3, 'op.execute("create table half (id int)"); op.execute("selct")')
    status, _, err = cli("migrate", "up", app_dir)
    assert status == 1
    assert "0003_more.py: SyntaxError: syntax error at or near" in err
    assert len(err.splitlines()) == 2
    write(app_dir, 3, 'op.execute("create table half (id int)")')
    assert cli("migrate", "up", app_dir)[1] == "Applied 0003.\n"
    path.write_text("def upgrade(:")
    assert "0003_more.py, line 1: " in cli("migrate", "up", app_dir)[2]


def test_sql_shows_what_up_would_do_and_does_nothing(
    aws: Emulator, app_dir: Path, cli: Cli
) -> None:
    _, out, _ = cli("migrate", "sql", app_dir)
    assert "CREATE TABLE users" in out
    assert cli("migrate", "up", app_dir)[1] == "Applied 0001, 0002.\n"
    write(app_dir, 3, 'op.execute("create table orders (id int)")')
    _, out, _ = cli("migrate", "sql", app_dir)
    assert "create table orders" in out
    assert "CREATE TABLE users" not in out
    (app_dir / ".env").unlink()
    _, out, _ = cli("migrate", "sql", "--all", app_dir)
    assert "CREATE TABLE users" in out
    assert "create table orders" in out


def test_new_is_empty_without_models_and_numbered(app_dir: Path, cli: Cli) -> None:
    status, out, err = cli("migrate", "new", "add orders", app_dir)
    assert (status, out) == (0, f"{app_dir}/migrations/versions/0003_add_orders.py\n")
    assert "no target_metadata" in err
    assert "down_revision = '0002'" in Path(out.strip()).read_text().replace('"', "'")


def test_new_writes_what_the_models_have_more(app_dir: Path, cli: Cli) -> None:
    (app_dir / "migrations" / "env.py").write_text(MODELS)
    _, out, err = cli("migrate", "new", "orders", app_dir)
    assert "create_table('orders'" in Path(out.strip()).read_text().replace('"', "'")
    assert err == ""
    _, _, err = cli("migrate", "new", "again", app_dir)
    assert "the models and the migrations already match" in err


def test_without_migrations_or_database_it_says_so(tmp_path: Path, app_dir: Path, cli: Cli) -> None:
    assert "DB_HOST is not set" in cli("migrate", "up", app_dir)[2]
    assert "there are no migrations" in cli("migrate", "new", "x", tmp_path)[2]


def test_down_asks_first(
    aws: Emulator, app_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("migrate", "up", app_dir)
    assert "is not a terminal: Undo migrations" in cli("migrate", "down", app_dir)[2]
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", _refuse)
    assert cli("migrate", "down", app_dir)[0] == 130
    assert "applied  0001" in cli("migrate", "status", app_dir)[1]


def _refuse(question: str, *, abort: bool, err: bool) -> None:
    import typer

    assert "and lose the data" in question
    assert abort
    assert err
    raise typer.Abort


def test_a_role_that_may_not_make_tables_is_told_which_one_may(
    aws: Emulator, app_dir: Path, cli: Cli
) -> None:
    with (app_dir / ".env").open("a") as file:
        file.write("\nDB_MIGRATION_USER=\n")
    status, _, err = cli("migrate", "up", app_dir)
    assert status == 1
    assert "app cannot migrate" in err
    assert "permission denied for schema public" in err
    assert "set DB_MIGRATION_USER" in err


def test_another_machine_s_database_is_migrated_after_asking_only(
    aws: Emulator, app_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sunup.local.project.is_remote", lambda _: True)
        status, _, err = cli("migrate", "up", app_dir)
        assert status == 1
        assert re.search(r"is not a terminal: Migrate \w+ on localhost\?", err)
        assert "pending  0001" in cli("migrate", "status", app_dir)[1]
        assert cli("migrate", "up", app_dir, "--yes")[0] == 0
    assert "Nothing to do" in cli("migrate", "up", app_dir)[1]


def test_dev_says_what_a_remote_database_lacks_and_applies_nothing(
    aws: Emulator, app_dir: Path, cli: Cli
) -> None:
    """In a folder whose `.env` was written by `database create` it migrated production."""
    found = project.find(app_dir)
    said = dev._pending(found)
    assert said == "2 pending on localhost, not applied. To apply: sunup migrate up"
    assert "pending  0001" in cli("migrate", "status", app_dir)[1]
    cli("migrate", "up", app_dir)
    assert dev._pending(found) == "nothing to do"
