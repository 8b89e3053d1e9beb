"""`sunup migrate` on an emulated Aurora DSQL."""

import json
import signal
import threading
from pathlib import Path

import pytest

from sunup.local import project
from sunup.local.cloud import database_check
from sunup.local.emulator import Emulator
from sunup.local.migrations import sessions
from sunup.local.migrations.dsql import linting
from sunup.local.testing import Emulate
from tests.local.cli.conftest import Cli

from .test_migrate import write


@pytest.fixture
def aws(emulate: Emulate, app_dir: Path) -> Emulator:
    """An Aurora DSQL without a table; the app's `.env` leads there, as admin."""
    started = emulate(None, engine="dsql")
    lines = [f"{name}={value}" for name, value in started.admin_environ.items()]
    (app_dir / ".env").write_text("\n".join(lines))
    return started


def test_up_status_down_and_sql(aws: Emulator, app_dir: Path, cli: Cli) -> None:
    _, sql, _ = cli("migrate", "sql", app_dir)
    assert "CREATE INDEX ASYNC" in sql
    assert "BEGIN" not in sql
    assert cli("migrate", "up", app_dir)[:2] == (0, "Applied 0001, 0002.\n")
    assert cli("migrate", "up", app_dir)[:2] == (0, "Nothing to do.\n")
    write(app_dir, 3, "op.execute('create table a (x int)'); op.execute('truncate a')")
    status, _, error = cli("migrate", "up", app_dir, "--no-check")
    assert status != 0
    assert "Truncate" in error
    assert "Write delete from" in error
    assert "1 of its statements was executed and stays" in error
    _, out, _ = cli("migrate", "status", app_dir, "--json")
    assert [each["state"] for each in json.loads(out)] == ["applied", "applied", "begun"]
    status, _, error = cli("migrate", "down", app_dir, "--yes")
    assert status != 0
    assert "End that first: sunup migrate up." in error
    write(app_dir, 3, "op.execute('create table a (x int)')", "op.execute('drop table a')")
    assert cli("migrate", "up", app_dir)[:2] == (0, "Applied 0003.\n")
    assert cli("migrate", "down", app_dir, "--yes")[:2] == (0, "Undone: 0003.\n")


def test_a_role_that_may_not_create_is_told_who_may(aws: Emulator, app_dir: Path, cli: Cli) -> None:
    variables = {**aws.environ, "DB_MIGRATION_USER": "app"}
    lines = [f"{name}={value}" for name, value in variables.items()]
    (app_dir / ".env").write_text("\n".join(lines))
    status, _, error = cli("migrate", "up", app_dir, "--no-check")
    assert status != 0
    assert "DB_MIGRATION_USER to admin" in " ".join(error.split())


def test_without_another_role_it_is_admin_who_migrates(
    aws: Emulator, app_dir: Path, cli: Cli
) -> None:
    lines = [f"{name}={value}" for name, value in aws.environ.items()]
    (app_dir / ".env").write_text("\n".join(lines))
    assert cli("migrate", "up", app_dir)[:2] == (0, "Applied 0001, 0002.\n")
    assert cli("migrate", "up", app_dir)[:2] == (0, "Nothing to do.\n")


def test_a_run_that_waits_for_another_says_so_without_a_terminal(
    aws: Emulator, app_dir: Path, cli: Cli
) -> None:
    found = project.find(app_dir)
    with sessions.locked(found.migration_settings, found.credentials, lambda: None):
        timer = threading.Timer(1, signal.raise_signal, [signal.SIGTERM])
        timer.start()
        status, out, error = cli("migrate", "up", app_dir, "--no-check")
    assert (status, out) == (130, "")
    assert "waiting for it, at most for a minute if it has died" in error
    assert "Interrupted. Run the command again" in error
    assert cli("migrate", "up", app_dir)[:2] == (0, "Applied 0001, 0002.\n")


def test_new_says_what_a_migration_is_there(aws: Emulator, app_dir: Path, cli: Cli) -> None:
    status, out, _ = cli("migrate", "new", "orders", app_dir)
    assert status == 0
    assert "each statement is committed by itself" in Path(out.strip()).read_text()


def test_without_dsql_lint_up_says_so_and_check_cannot(
    aws: Emulator, app_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linting, "program", lambda: None)
    status, out, error = cli("migrate", "up", app_dir)
    assert (status, out) == (0, "Applied 0001, 0002.\n")
    assert "dsql-lint is not installed" in error
    status, _, error = cli("migrate", "check", app_dir)
    assert status != 0
    assert "pip install dsql-lint" in error


@pytest.mark.skipif(linting.program() is None, reason="dsql-lint is not installed")
def test_up_executes_nothing_where_dsql_lint_finds_something(
    aws: Emulator, app_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("migrate", "check", app_dir)[:2] == (
        0,
        "Aurora DSQL takes all of them, as far as dsql-lint knows.\n",
    )
    write(app_dir, 3, "op.execute('create table a (x int)'); op.execute('truncate a')")
    status, _, error = cli("migrate", "up", app_dir)
    assert status != 0
    assert "0003_more.py: TRUNCATE is not supported in DSQL" in " ".join(error.split())
    _, out, _ = cli("migrate", "status", app_dir, "--json")
    assert {each["state"] for each in json.loads(out)} == {"pending"}
    status, out, _ = cli("migrate", "check", app_dir, "--json")
    assert status == 1
    assert [each["rule"] for each in json.loads(out)] == ["truncate"]
    assert cli("migrate", "check", app_dir, "--engine", "oracle")[0] != 0


@pytest.mark.skipif(linting.program() is None, reason="dsql-lint is not installed")
def test_a_deployment_warns_of_what_is_refused(app_dir: Path) -> None:
    host = "DB_HOST=abcdefghijklmnopqrstuvwxyz.dsql.eu-central-1.on.aws"
    (app_dir / ".env").write_text(f"{host}\nDB_USER=admin\n")
    write(app_dir, 3, "op.execute('create table a (x int)'); op.execute('truncate a')")
    told = database_check.risks(project.find(app_dir), ["0003_more.py"])
    assert "Aurora DSQL may refuse 0003_more.py: TRUNCATE is not supported" in told[-1]
    assert len([each for each in told if "TRUNCATE is not" in each]) == 1
