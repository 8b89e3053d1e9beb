"""Snapshots and ends, told by the real runtime client in the emulator's instances."""

import os
import signal
import time
from pathlib import Path

import httpx2
import psutil
import pytest
import snapshot_restore_py

from sunup import asyncpg
from sunup.adapter.handler import Handler
from sunup.local.emulator import AuroraOptions
from sunup.local.testing import Emulate

from .test_handler import echo

APP = """
import json
import os
from contextlib import asynccontextmanager

from database import db


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        async with db.connection() as connection:  # a start-up that needs the database
            started = await connection.fetchval("select pg_backend_pid()")
        print("started", flush=True)
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("the app shuts down", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    async with db.connection() as connection:
        pid = await connection.fetchval("select pg_backend_pid()")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(pid).encode()})
"""
DATABASE = "from sunup.asyncpg import Database\n\ndb = Database()\n"
ENTRY = """
import snapshot_restore_py

from database import db
from sunup import Handler

handler = Handler("app:app", database=db)


@snapshot_restore_py.register_before_snapshot
def tell():  # registered last, so run first
    print("before the snapshot", flush=True)


@snapshot_restore_py.register_after_restore
def told():
    print("after the restore", flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "database.py").write_text(DATABASE)
    (tmp_path / "lambda_function.py").write_text(ENTRY)
    return tmp_path


def lines(aws: object) -> list[str]:
    return [str(each["line"]) for each in aws.timeline.events if each["kind"] == "log"]  # type: ignore[attr-defined]


def test_a_snapshot_holds_no_connection_and_a_restore_opens_one(
    emulate: Emulate, folder: Path
) -> None:
    aws = emulate(
        folder,
        aurora=AuroraOptions(),
        environ={"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"},
    )
    first = httpx2.get(f"{aws.url}/", timeout=30)
    assert first.status_code == 200
    told = [
        line
        for line in lines(aws)
        if line in ("started", "before the snapshot", "after the restore")
    ]
    assert told == ["started", "before the snapshot", "after the restore"]

    assert httpx2.get(f"{aws.url}/", timeout=30).text == first.text


def test_a_snapshot_is_primed_without_the_connection(emulate: Emulate, folder: Path) -> None:
    entry = folder / "lambda_function.py"
    entry.write_text(ENTRY.replace("database=db)", 'database=db, prime="/primed")'))
    app = folder / "app.py"
    app.write_text(
        APP.replace(
            "    async with db.connection() as connection:\n        pid",
            "    print('asked for', scope['path'], flush=True)\n    async with db.connection() as connection:\n        pid",
        )
    )
    aws = emulate(folder, environ={"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"})
    first = httpx2.get(f"{aws.url}/first", timeout=30)
    assert first.status_code == 200
    wanted = ("asked for", "before the snapshot", "after the restore")
    assert [line for line in lines(aws) if line.startswith(wanted)] == [
        "asked for /primed",
        "before the snapshot",
        "after the restore",
        "asked for /first",
    ]
    # The same session for the next one; that of the snapshot is closed.
    assert httpx2.get(f"{aws.url}/next", timeout=30).text == first.text
    assert aws.state()["aurora"]["connections"] == 1


def test_the_hooks_are_registered_with_snapstart_only(monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(snapshot_restore_py.get_before_snapshot())
    Handler(echo).close()
    assert len(snapshot_restore_py.get_before_snapshot()) == before
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
    Handler(echo).close()
    assert len(snapshot_restore_py.get_before_snapshot()) == before + 1
    snapshot_restore_py.get_before_snapshot().clear()
    snapshot_restore_py.get_after_restore().clear()


def test_the_end_of_a_sandbox_shuts_the_app_down_and_closes_its_connections(
    emulate: Emulate, folder: Path
) -> None:
    # The runtimes from Python 3.12 on wait for events in a thread; this one is told to be such.
    aws = emulate(
        folder,
        aurora=AuroraOptions(),
        environ={"AWS_EXECUTION_ENV": "AWS_Lambda_python3.13"},
    )
    assert httpx2.get(f"{aws.url}/", timeout=30).status_code == 200
    (process,) = [
        each
        for each in psutil.Process().children(recursive=True)
        if "awslambdaric" in " ".join(each.cmdline())
    ]
    assert aws.state()["aurora"]["connections"] == 1
    # Thawed first, as on Lambda: a stopped process gives the signal to any of its threads.
    os.kill(process.pid, signal.SIGCONT)
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGTERM)
    end = time.monotonic() + 3
    while aws.state()["aurora"]["connections"] and time.monotonic() < end:
        time.sleep(0.02)
    assert aws.state()["aurora"]["connections"] == 0
    assert "the app shuts down" in lines(aws)


async def test_closing_forgets_credentials(settings: object) -> None:
    db = asyncpg.Database(settings)  # type: ignore[arg-type]
    db._credentials._cached = object()  # type: ignore[assignment]
    await db.close()
    assert db._credentials._cached is None
