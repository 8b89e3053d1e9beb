"""One database on a laptop: who finds it, who ends it."""

import os
import subprocess
from pathlib import Path

import pytest

from sunup import deadline, nearby
from sunup.failures import DatabaseUnavailable
from sunup.local import laptop, project
from sunup.local.errors import CommandError
from sunup.psycopg import Database
from sunup.settings import SettingsError
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


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"pid": "x"}',
        '{"pid": 999999999, "variables": {"DB_HOST": "/tmp"}}',
        '{"pid": OURS, "variables": {"DB_HOST": "/nowhere"}}',
        '{"pid": OURS, "variables": {}}',
    ],
)
def test_a_note_of_a_server_that_is_gone_is_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / ".sunup").mkdir()
    (tmp_path / nearby.NOTE).write_text(content.replace("OURS", str(os.getpid())))
    assert nearby.noted(str(tmp_path)) == {}


def test_in_ci_a_missing_host_is_an_error_and_not_a_database_that_nobody_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("DB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CI", "true")
    with (
        laptop.database(project.find(tmp_path)) as (found, is_ours),
        pytest.raises(SettingsError, match="DB_HOST is not set"),
    ):
        assert not is_ours
        found.settings  # noqa: B018
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delenv("CI")
    with laptop.database(project.find(tmp_path)) as (found, is_ours):
        assert is_ours
        assert nearby.noted(str(tmp_path))["DB_HOST"] == found.settings.host
        with laptop.database(project.find(tmp_path)) as (again, not_ours):
            assert (again.settings.host, not_ours) == (found.settings.host, False)
    assert nearby.noted(str(tmp_path)) == {}


@pytest.mark.parametrize("name", ["DB_HSOT", "DB_HOTS", "DBHOST", "DB_HOST_"])
def test_a_name_that_is_nearly_right_is_pointed_at(tmp_path: Path, name: str) -> None:
    (tmp_path / ".env").write_text(f"{name}=db.example\n")
    found = project.find(tmp_path)
    with pytest.raises(CommandError, match=rf"\.env has {name}, but no DB_HOST"):
        laptop.check_names(found)
    (tmp_path / ".env").write_text("DB_NAME=x\nLOG_LEVEL=INFO\n")
    laptop.check_names(project.find(tmp_path))


def test_a_server_that_ended_is_an_error_and_found_again_when_it_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell or a notebook outlives `sunup dev`, which is started again."""
    for name in [name for name in os.environ if name.startswith("DB_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    db = Database()

    def one() -> object:
        with deadline.within(3), db.connection() as connection:
            row = connection.execute("select 1").fetchone()
            return row and row[0]

    with laptop.embedded(tmp_path, None):
        assert one() == 1
    with pytest.raises(DatabaseUnavailable):
        one()
    with laptop.embedded(tmp_path, None):
        assert one() == 1
        assert one() == 1
        db.close()
