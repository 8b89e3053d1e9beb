"""`sunup psql`, `sunup token`, `sunup env`."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from sunup.local.emulator import Emulator
from tests.local.cli.conftest import Cli


@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
def test_psql_wakes_the_database_and_verifies_it(aws: Emulator, app_dir: Path) -> None:
    aws.do("aurora/pause")
    query = "select current_user, current_setting('application_name')"
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "sunup.local.cli",
            "psql",
            "--app-dir",
            app_dir,
            "--",
            "-Atc",
            query,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, "app|sunup psql\n"), result.stderr


def test_psql_gets_its_token_by_the_environment_only(
    aws: Emulator, app_dir: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin" / "psql"
    fake.parent.mkdir()
    fake.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PGSERVICE", "another")
    seen: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.setattr(os, "execve", lambda *call: seen.append(call))
    status, _, err = cli("psql", "--app-dir", app_dir, "--user", "postgres", "--", "-c", "x")
    assert (status, err) == (0, "")
    program, arguments, environ = seen[0]
    assert (program, arguments) == (str(fake), [str(fake), "-c", "x"])
    assert environ["PGPASSWORD"].startswith("localhost:")
    assert "DBUser=postgres" in environ["PGPASSWORD"]
    assert environ["PGSSLMODE"] == "verify-full"
    assert "PGSERVICE" not in environ


def test_a_missing_psql_is_told(
    aws: Emulator, app_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    status, _, err = cli("psql", "--app-dir", app_dir)
    assert status == 1
    assert "psql is not on PATH" in err


def test_a_token_logs_in(aws: Emulator, app_dir: Path, cli: Cli) -> None:
    status, out, err = cli("token", app_dir)
    assert (status, err) == (0, "")
    environ = aws.environ
    with psycopg.connect(
        host="localhost",
        port=int(environ["DB_PORT"]),
        user="app",
        password=out.strip(),
        dbname=environ["DB_NAME"],
        sslmode="verify-full",
        sslrootcert=environ["DB_SSLROOTCERT"],
    ) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    content = json.loads(cli("token", "--json", "--user", "postgres", app_dir)[1])
    assert (content["user"], content["port"]) == ("postgres", int(environ["DB_PORT"]))
    assert 890 < content["expires"] - time.time() <= 901


def test_a_server_with_a_password_has_no_token(app_dir: Path, cli: Cli) -> None:
    (app_dir / ".env").write_text("DB_HOST=localhost\nDB_PASSWORD=geheim\n")
    status, out, err = cli("token", app_dir)
    assert (status, out) == (1, "")
    assert "does not use IAM tokens" in err


def test_env_shows_where_each_setting_comes_from(
    app_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = "shop.cluster-x.eu-central-1.rds.amazonaws.com"
    (app_dir / ".env").write_text(
        f"DB_HOST={host}\nDB_PASSWORD=geheim\nSTRIPE_API_KEY=geheim\nCOLOUR=red\n"
        "CACHE=redis://me:geheim@cache:6379/0\n"
    )
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    status, out, _ = cli("env", app_dir)
    assert status == 0
    assert "geheim" not in out
    rows = dict(line.split(None, 1) for line in out.splitlines()[1:])
    assert rows["DB_HOST"].split() == [host, ".env"]
    assert rows["AWS_REGION"].split() == ["eu-central-1", "DB_HOST"]
    assert rows["DB_ENGINE"].split() == ["aurora", "DB_HOST"]
    assert rows["LOG_LEVEL"].split() == ["DEBUG", "shell"]
    assert rows["DB_PORT"].split() == ["5432", "default"]
    assert rows["COLOUR"].split() == ["red", ".env"]
    names = {each["name"] for each in json.loads(cli("env", app_dir, "--json")[1])}
    assert {"DB_HOST", "STRIPE_API_KEY"} <= names


def test_env_ends_with_1_when_a_setting_is_wrong(app_dir: Path, cli: Cli) -> None:
    (app_dir / ".env").write_text("DB_PORT=many\n")
    status, out, err = cli("env", app_dir)
    assert status == 1
    assert "many" in out
    assert "DB_PORT is 'many'" in err
