"""The commands of docs/engines.md that move an app from Aurora to Aurora DSQL, as they are there."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest

from sunup.local.emulator import Emulator, EmulatorOptions

from ..local.emulator.dsql.clients import connect

ROOT = Path(__file__).parent.parent.parent
USERS = ROOT / "examples" / "users"

# What a line-based tool could trip over.
ODD = "a\ttab, a line\nbreak, a \\n that is none, クラスメソ太, \\."


def commands() -> str:
    text = (ROOT / "docs" / "engines.md").read_text()
    found = re.search(r"## Moving.*?```sh\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def dotenv(environ: Mapping[str, str], **more: str) -> str:
    return "".join(f"{name}={value}\n" for name, value in {**environ, **more}.items())


@pytest.mark.skipif(shutil.which("psql") is None, reason="needs psql")
def test_an_app_moves_with_all_its_rows(database: dict[str, str], tmp_path: Path) -> None:
    app = tmp_path / "users"
    shutil.copytree(USERS, app, ignore=shutil.ignore_patterns(".sunup", ".env*"))
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "sunup").write_text(f'#!/bin/sh\nexec {sys.executable} -m sunup.local.cli "$@"\n')
    (tools / "sunup").chmod(0o755)
    old = Emulator(None, EmulatorOptions(migrations=USERS / "migrations"), server=database)
    new = Emulator(None, EmulatorOptions(engine="dsql", migrations=tmp_path / "none"))
    with old, new:
        with psycopg.connect(
            host=database["DB_HOST"], user="postgres", dbname=database["DB_NAME"], autocommit=True
        ) as owner:
            owner.execute(
                "insert into users (name, email) select %s || n, n || '@example.com'"
                " from generate_series(1, 3500) n",
                (ODD,),
            )
            owner.execute("delete from users where id % 7 = 0")
            rows = owner.execute("select id, name, email from users order by id").fetchall()
        (app / ".env").write_text(dotenv(old.environ))
        (app / ".env.new").write_text(dotenv(new.environ, DB_MIGRATION_USER="admin"))
        path = f"{tools}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands()],
            cwd=app,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        with connect(new) as connection:
            there = connection.execute("select id, name, email from users order by id").fetchall()
            assert there == rows
            added = connection.execute(
                "insert into users (name, email) values ('last', 'last@example.com') returning id"
            ).fetchone()
        assert added == (rows[-1][0] + 1,)
