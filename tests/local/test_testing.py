"""The fixtures, in a pytest of somebody else's."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.docs.test_testing_page import NOT_OURS, PYTEST
from tests.local.cli.test_dev import MORE
from tests.local.cli.test_dev_database import APP
from tests.local.test_laptop import REMOTE
from tests.local.test_sharing import gone
from tests.processes import python

ENV = APP["migrations/env.py"]
TEST = """
import os
from sunup.psycopg import Database

def test_it(sunup_app_database):
    with Database().connection() as connection:
        assert connection.execute("select * from TABLE").fetchall() == []
"""
LONG = """
import pathlib, time

def test_it(sunup_app_database):
    pathlib.Path("host").write_text(sunup_app_database["DB_HOST"])
    time.sleep(60)
"""


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def app(folder: Path, table: str, test: str = TEST) -> Path:
    write(
        folder,
        pyproject_dot_toml="[tool.sunup]\n",
        migrations__env_dot_py=ENV,
        migrations__versions__0001_dot_py=MORE.replace('"0001"', "None")
        .replace("0002", "0001")
        .replace("notes", table),
    )
    name = f"test_{folder.name}.py"
    (folder / "tests").mkdir()
    (folder / "tests" / name).write_text(test.replace("TABLE", table))
    return folder


def pytest_in(folder: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    return python(folder, *PYTEST, without=NOT_OURS, environ=environ)


def test_each_test_has_the_tables_of_the_app_that_it_lies_in(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    for name in ("one", "two"):
        app(tmp_path / name, name)
    done = pytest_in(tmp_path)
    assert "2 passed" in done.stdout, done.stdout


def test_an_app_that_holds_another_has_its_own_tables(tmp_path: Path) -> None:
    app(tmp_path / "outer", "outer_one")
    app(tmp_path / "outer" / "inner", "inner_one")
    done = pytest_in(tmp_path / "outer")
    assert "2 passed" in done.stdout, done.stdout


def test_nothing_of_the_shell_s_database_reaches_the_app(tmp_path: Path) -> None:
    done = pytest_in(app(tmp_path / "one", "one"), **REMOTE, DB_HOST="remote.example")
    assert "1 passed" in done.stdout, done.stdout


def test_without_an_app_it_is_told_and_not_an_empty_database(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        TEST.replace("select * from TABLE", "select 1 where false")
    )
    done = pytest_in(tmp_path)
    assert "no app with [tool.sunup] is at or above the test" in done.stdout
    (tmp_path / "pyproject.toml").write_text("[tool.sunup]\n")
    assert "1 passed" in pytest_in(tmp_path).stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_pytest_that_is_killed_leaves_nothing(tmp_path: Path, number: int) -> None:
    folder = app(tmp_path / "one", "one", LONG)
    with subprocess.Popen([sys.executable, *PYTEST], cwd=folder, stdout=subprocess.PIPE) as process:
        try:
            end = time.monotonic() + 60
            while not (folder / "host").exists() or not (folder / "host").read_text():
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.05)
            made = Path((folder / "host").read_text()).parent
            process.send_signal(number)
            process.wait(20)
        finally:
            process.kill()
    assert gone(made)
    assert not made.exists()
    (folder / "tests" / "test_one.py").write_text(TEST.replace("TABLE", "one"))
    assert "1 passed" in pytest_in(folder).stdout
