"""One database on a laptop: who finds it, who ends it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sunup import nearby
from sunup.local import laptop, project
from sunup.local.errors import CommandError
from sunup.settings import SettingsError
from tests.local.test_sharing import gone
from tests.processes import python

FORKS = """
import atexit, gc, os, pathlib
from sunup.psycopg import Database
db = Database()
def count():
    with db.connection() as connection:
        return connection.execute("select 1").fetchone()[0]
print(count())
for _ in range(2):
    child = os.fork()
    if child == 0:
        # As multiprocessing's processes do: forget the exit functions, then run what was added.
        atexit._clear()
        gc.collect()
        status = 0 if count() == 1 and pathlib.Path(".sunup/database.json").exists() else 1
        atexit._run_exitfuncs()
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(count())
"""


def run(folder: Path, script: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return python(folder, "-W", "ignore", "-c", script, without=("DB_", "AWS_"), environ=environ)


def test_a_forked_process_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.sunup]\n")
    done = run(tmp_path, FORKS)
    assert done.stdout.split() == ["1", "0", "0", "1"], done.stderr
    assert not (tmp_path / nearby.NOTE).exists()
    assert not (tmp_path / ".sunup/postgres/postmaster.pid").exists()
    assert run(tmp_path, FORKS).stdout.split() == ["1", "0", "0", "1"]


def test_in_a_folder_that_is_no_app_s_nothing_is_started(tmp_path: Path) -> None:
    script = "from sunup.psycopg import Database\nDatabase().settings"
    done = run(tmp_path, script)
    assert "DB_HOST is not set" in done.stderr
    assert list(tmp_path.iterdir()) == []
    # On Lambda never.
    (tmp_path / "pyproject.toml").write_text("[tool.sunup]\n")
    done = run(tmp_path, script, AWS_LAMBDA_FUNCTION_NAME="shop")
    assert "DB_HOST is not set" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["pyproject.toml"]


def test_in_ci_a_missing_host_is_an_error_and_not_a_database_that_nobody_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("DB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CI", "true")
    (tmp_path / "pyproject.toml").write_text("[tool.sunup]\n")
    with (
        laptop.database(project.find(tmp_path)) as (found, shared),
        pytest.raises(SettingsError, match="DB_HOST is not set"),
    ):
        assert not shared
        found.settings  # noqa: B018
    assert not (tmp_path / ".sunup").exists()
    monkeypatch.delenv("CI")
    with laptop.database(project.find(tmp_path)) as (found, shared):
        assert shared
        assert nearby.noted(str(tmp_path))["DB_HOST"] == found.settings.host
        with laptop.database(project.find(tmp_path)) as (again, shared):
            assert (again.settings.host, shared) == (found.settings.host, True)
    assert nearby.noted(str(tmp_path)) == {}


@pytest.mark.parametrize("name", ["DB_HSOT", "DB_HOTS", "DBHOST", "DB_HOST_", "db_host"])
def test_a_name_that_is_nearly_right_is_pointed_at(tmp_path: Path, name: str) -> None:
    (tmp_path / ".env").write_text(f"{name}=db.example\n")
    found = project.find(tmp_path)
    with pytest.raises(CommandError, match=rf"\.env has {name}, but no DB_HOST"):
        laptop.check_names(found)
    (tmp_path / ".env").write_text("DB_NAME=x\nLOG_LEVEL=INFO\n")
    laptop.check_names(project.find(tmp_path))


SHELL = """
import sys
from sunup.psycopg import Database
db = Database()
for _ in sys.stdin:
    with db.connection() as connection:
        row = connection.execute("select pg_postmaster_start_time()::text").fetchone()
    print(row[0], flush=True)
"""


def test_a_shell_keeps_the_server_of_a_command_that_ends(tmp_path: Path) -> None:
    """A notebook outlives `sunup dev`, which is started again."""
    (tmp_path / "pyproject.toml").write_text("[tool.sunup]\n")

    def ask() -> str:
        assert shell.stdin
        assert shell.stdout
        shell.stdin.write("?\n")
        shell.stdin.flush()
        return shell.stdout.readline()

    found = project.find(tmp_path)
    with ExitStack() as stack:
        dev = stack.enter_context(ExitStack())
        dev.enter_context(laptop.embedded(found))
        shell = stack.enter_context(shell_in(tmp_path))
        before = ask()
        assert before
        dev.close()
        assert ask() == before
        with laptop.embedded(found, first=True):
            assert ask() == before
    assert gone(tmp_path)
    assert nearby.noted(str(tmp_path)) == {}


@contextmanager
def shell_in(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", SHELL],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


# What .env has once there was a cluster, with the first line commented out.
REMOTE = {
    "DB_PORT": "6543",
    "DB_USER": "shop_app",
    "DB_PASSWORD": "geheim",
    "DB_SSLMODE": "verify-full",
    "DB_SSLROOTCERT": "/nowhere.pem",
    "DB_MIGRATION_USER": "shop_owner",
    "DB_MIGRATION_PASSWORD": "geheim",
}


@pytest.mark.parametrize("host", [{}, {"DB_HOST": ""}, {"DB_HOST": " "}])
def test_what_is_left_of_another_database_s_settings_does_not_count(
    tmp_path: Path, host: dict[str, str]
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.sunup]\n")
    lines = {**host, **REMOTE, "DB_NAME": "shop", "DB_POOL_SIZE": "7"}
    (tmp_path / ".env").write_text("\n".join(f"{name}={text}" for name, text in lines.items()))
    with laptop.database(project.find(tmp_path)) as (found, _):
        for each in (found.settings, found.migration_settings):
            assert (each.port, each.user, each.password) == (5432, "postgres", None)
            assert (each.database, each.pool_size, each.sslmode) == ("shop", 7, "disable")
        # A script without `sunup dev`, then with it.
        script = (
            "from sunup.psycopg import Database\n"
            "with Database().connection() as connection:\n"
            "    print(connection.info.dbname, connection.info.user, connection.info.port)\n"
        )
        assert run(tmp_path, script, **REMOTE).stdout == "shop postgres 5432\n"
    done = run(tmp_path, script, **REMOTE)
    assert done.stdout == "shop postgres 5432\n"
    assert "PostgreSQL runs in" in done.stderr
    assert run(tmp_path, script, DB_NAME="other").stdout == "other postgres 5432\n"
    assert gone(tmp_path)


def test_a_script_in_an_app_inside_another_has_its_own(tmp_path: Path) -> None:
    inner = tmp_path / "apps" / "inner"
    (inner / "scripts").mkdir(parents=True)
    for folder in (tmp_path, inner):
        (folder / "pyproject.toml").write_text("[tool.sunup]\n")
    script = "from sunup.psycopg import Database\nprint(Database().settings.host)"
    with laptop.embedded(project.find(tmp_path)) as variables:
        assert run(tmp_path / "apps", script).stdout.strip() == variables["DB_HOST"]
        theirs = run(inner / "scripts", script)
        assert f"PostgreSQL runs in {inner}" in theirs.stderr
        assert theirs.stdout.strip() != variables["DB_HOST"]
    assert gone(tmp_path)


def test_an_app_that_is_moved_while_its_server_runs_keeps_it_and_its_note() -> None:
    with tempfile.TemporaryDirectory(prefix="sunup-test-") as name:  # a path that a socket can have
        (Path(name) / "one").mkdir()
        with laptop.embedded(project.find(Path(name) / "one")):
            moved = (Path(name) / "one").rename(Path(name) / "two")
            assert nearby.noted(str(moved)) == {}
            with laptop.embedded(project.find(moved)) as variables:
                assert nearby.noted(str(moved)) == variables
        assert gone(Path(name))
        assert not (moved / nearby.NOTE).exists()


def test_nothing_is_made_in_a_folder_without_an_app(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="there is no app in") as raised:
        laptop.database(project.find(tmp_path)).__enter__()
    assert "sunup init" in raised.value.cure
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "app.py").touch()
    with laptop.database(project.find(tmp_path)) as (found, _):
        assert found.settings.host


def test_data_of_a_server_that_is_not_here_are_told_with_what_to_do(tmp_path: Path) -> None:
    data = tmp_path / laptop.DATA
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9\n")
    with pytest.raises(CommandError, match="is from PostgreSQL 9: no PostgreSQL 9") as raised:
        laptop.embedded(project.find(tmp_path)).__enter__()
    assert f"Move {data.resolve()} away to begin anew" in raised.value.cure
    data.rename(tmp_path / "away")
    with laptop.embedded(project.find(tmp_path)) as variables:
        assert variables["DB_NAME"] == "postgres"


def test_a_name_that_is_right_and_empty_is_no_misspelling(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DB_HOST=\n")
    laptop.check_names(project.find(tmp_path))
