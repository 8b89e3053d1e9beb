"""`sunup dev` and the other commands: one database, whoever starts or ends first."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from tests.local.cli.test_dev import MORE, free_port, saved, sunup, told, wait_for
from tests.local.test_laptop import REMOTE
from tests.local.test_sharing import gone
from tests.processes import python

needs_psql = pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")

APP = {
    "pyproject.toml": "[tool.sunup]\n",
    "words.txt": "good morning",
    "app.py": """
from sunup.psycopg import Database

words = open("words.txt").read()
db = Database()

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/words":
        return [words.encode()]
    with db.connection() as connection:
        query = "select current_database() || ' ' || count(*) from alembic_version"
        return [connection.execute(query).fetchone()[0].encode()]
""",
    "migrations/env.py": """
from alembic import context
context.configure(connection=context.config.attributes["connection"], target_metadata=None)
with context.begin_transaction():
    context.run_migrations()
""",
    "migrations/versions/0001_first.py": (
        MORE.replace('"0001"', "None").replace("0002", "0001").replace("notes", "first")
    ),
}


@pytest.fixture
def app() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sunup-test-") as name:
        folder = Path(name) / "app"
        for path, text in APP.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        yield folder
        assert gone(folder)


@contextmanager
def dev(app: Path, *options: object) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """It serves; its lines are still to be read."""
    port = free_port()
    process = sunup("dev", app, "--port", port, *options)
    try:
        wait_for(process, f"http://127.0.0.1:{port}/words")
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)


@pytest.mark.parametrize("words", ["Database", "Migrations", "is ready"])
def test_one_that_is_killed_at_any_moment_leaves_nothing(app: Path, words: str) -> None:
    process = sunup("dev", app, "--port", free_port())
    try:
        told(process, words)
    finally:
        process.kill()
        process.wait()
    assert gone(app)
    assert process.stdout is not None
    process.stdout.close()
    with dev(app) as (_, url):
        assert httpx2.get(url).text == "postgres 1"


@needs_psql
def test_it_uses_the_server_that_psql_has_started_and_keeps_it(app: Path) -> None:
    query = "select 'open'; select pg_sleep(60)"
    psql = sunup(
        "psql", "--app-dir", app, "--", "-At", *("-c", query.split(";")[0]), *("-c", query)
    )
    told(psql, "open")
    with dev(app) as (_, url):
        os.killpg(psql.pid, signal.SIGTERM)
        psql.communicate(timeout=20)
        assert psql.returncode in (128 + signal.SIGTERM, -signal.SIGTERM)
        assert httpx2.get(url).text == "postgres 1"


@needs_psql
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_psql_that_is_ended_takes_its_server_along(app: Path, number: int) -> None:
    psql = sunup(
        "psql", "--app-dir", app, "--", "-Atc", "select 'open'", "-c", "select pg_sleep(60)"
    )
    told(psql, "open")
    os.kill(psql.pid, number)
    psql.communicate(timeout=20)
    assert gone(app)
    done = sunup("psql", "--app-dir", app, "--", "-Atc", "select 1")
    assert done.communicate(timeout=30)[0].endswith("\n1\n")


def test_commands_that_begin_at_once_all_work(app: Path) -> None:
    running = [sunup("migrate", *words, app) for words in (["up"], ["status"], ["up"])]
    for each in running:
        said = each.communicate(timeout=60)[0]
        assert each.returncode == 0, said


def test_the_settings_of_another_database_never_come_back(
    app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the app, nor in the migrations of a reload."""
    lines = {**REMOTE, "DB_HOST": "remote.example", "DB_NAME": "shop"}
    (app / ".env").write_text("\n".join(f"{name}={text}" for name, text in lines.items()))
    for name in ("DB_PORT", "DB_SSLMODE"):
        monkeypatch.setenv(name, REMOTE[name])
    with dev(app, "--embedded") as (process, url):
        assert httpx2.get(url).text == "shop 1"
        line = saved(app / "migrations/versions/0002_notes.py", MORE, process, "migrations: ")
        assert line.endswith("migrations: applied 0002")


ASYNC = """
import asyncio
from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import async_engine_from_config

def run(connection):
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()

async def main():
    engine = async_engine_from_config({}, prefix="sqlalchemy.", poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()

asyncio.run(main())
"""


def test_an_async_env_is_run_at_a_reload_as_at_the_start(app: Path) -> None:
    (app / "migrations/env.py").write_text(ASYNC)
    with dev(app) as (process, _):
        line = saved(app / "migrations/versions/0002_notes.py", MORE, process, "migrations: ")
        assert line.endswith("migrations: applied 0002")


def test_the_app_runs_in_its_folder_also_when_it_is_reloaded(app: Path) -> None:
    with dev(app) as (process, url):
        assert httpx2.get(f"{url}/words").text == "good morning"
        told(process, "is ready")
        (app / "words.txt").write_text("good night")
        saved(app / "app.py", APP["app.py"] + "\n", process, "is ready")
        until(f"{url}/words", "good night")


def test_a_broken_pyproject_is_told_in_a_line_until_it_is_mended(app: Path) -> None:
    with dev(app) as (process, url):
        told(process, "is ready")
        line = saved(app / "pyproject.toml", "[[[", process, "pyproject.toml cannot be read")
        assert "Traceback" not in line
        (app / "pyproject.toml").write_text(APP["pyproject.toml"])
        until(url, "postgres 1")


def test_what_cannot_be_reached_is_told_with_one_cure(app: Path) -> None:
    with dev(app) as (process, _):
        told(process, "is ready")
        assert python(app, "-c", STOP).returncode == 0
        line = saved(app / "migrations/versions/0002_notes.py", MORE, process, "migrations: ")
        assert line.count("Check DB_HOST") == 1


def test_what_is_undone_by_hand_stays_so_until_a_migration_is_written(app: Path) -> None:
    second = app / "migrations/versions/0002_notes.py"
    with dev(app) as (process, url):
        saved(second, MORE, process, "migrations: applied 0002")
        wait_for(process, url)
        down = sunup("migrate", "down", app, "--yes").communicate(timeout=30)[0]
        assert down == "Undone: 0002.\n"
        (app / "words.txt").write_text("good night")
        saved(app / "app.py", APP["app.py"] + "\n", process, "is ready")
        until(f"{url}/words", "good night")
        assert "pending" in sunup("migrate", "status", app).communicate(timeout=30)[0]
        saved(second, MORE + "\n", process, "migrations: applied 0002")
        second.unlink()
        told(process, "migrations: undone 0002")
        until(url, "postgres 1")


def until(url: str, text: str) -> None:
    end = time.monotonic() + 20
    while True:
        with suppress(httpx2.TransportError):
            if httpx2.get(url).text == text:
                return
        assert time.monotonic() < end
        time.sleep(0.05)


STOP = """
import os, pathlib, signal, time
file = pathlib.Path(".sunup/postgres/postmaster.pid")
os.kill(int(file.read_text().split()[0]), signal.SIGINT)
while file.exists():
    time.sleep(0.02)
"""


def test_a_folder_without_an_app_is_told_and_stays_as_it_is(tmp_path: Path) -> None:
    for words in (["migrate", "status", tmp_path], ["migrate", "up", tmp_path]):
        process = sunup(*words)
        said = process.communicate(timeout=20)[0]
        assert said.startswith(f"sunup: there is no app in {tmp_path}")
        assert process.returncode == 1
    assert list(tmp_path.iterdir()) == []
