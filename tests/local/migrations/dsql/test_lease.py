"""One run at a time: a lock that is a row, taken over from a run that gives no sign of life."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from sunup.local.errors import CommandError
from sunup.local.migrations import running
from sunup.local.migrations.dsql import lease as module
from sunup.local.migrations.dsql.lease import Lease, Other
from sunup.local.migrations.dsql.transaction import in_transaction
from sunup.local.opening import open_connection
from sunup.settings import Settings

from .conftest import Folder

Admin = Callable[[str], list[tuple[object, ...]]]


def quiet(_: Other) -> None:
    pass


def test_three_at_once_apply_each_migration_once(dsql: Settings, folder: Folder) -> None:
    folder.add("0001", 'op.execute("create table t (x int); select pg_sleep(3)")')
    waited: list[bool] = []
    with ThreadPoolExecutor(3) as threads:
        applied = list(
            threads.map(
                lambda _: running.upgrade(dsql, folder.path, on_wait=lambda: waited.append(True)),
                range(3),
            )
        )
    assert sorted(applied) == [[], [], ["0001"]]
    assert waited


def test_a_lock_is_kept_while_its_run_lives(
    dsql: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEWS", 0.1)
    monkeypatch.setattr(module, "EXPIRES", 1.0)
    first, second = Lease(dsql, None), Lease(dsql, None)
    first.take(quiet, quiet)
    waits = threading.Event()
    told: list[Other] = []
    with ThreadPoolExecutor(1) as threads:
        taken = threads.submit(second.take, lambda _: waits.set(), told.append)
        assert waits.wait(10)
        time.sleep(2.0)
        assert not taken.done()
        first.give_back()
        taken.result(10)
    assert told == []
    second.give_back()


def test_a_run_that_was_stalled_finds_its_lock_lost_and_writes_nothing(
    dsql: Settings, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEWS", 3600.0)
    monkeypatch.setattr(module, "EXPIRES", 0.5)
    first, second = Lease(dsql, None), Lease(dsql, None)
    first.take(quiet, quiet)
    told: list[Other] = []
    second.take(quiet, told.append)
    assert told[0].run == first.run
    admin("create table t (x int)")
    connection = open_connection(dsql)
    connection.autocommit = True

    def write() -> None:
        first.guard(connection)
        connection.execute("insert into t values (1)")

    with pytest.raises(CommandError, match="another one took over"):
        in_transaction(connection, write)
    connection.close()
    assert admin("select count(*) from t") == [(0,)]
    first.give_back()
    assert admin("select run from sunup_lock") == [(second.run,)]
    second.give_back()
    assert admin("select count(*) from sunup_runs") == [(0,)]


def test_of_two_that_take_over_at_once_one_wins(
    dsql: Settings, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXPIRES", 1.0)
    dead = Lease(dsql, None)
    dead.take(quiet, quiet)
    dead._ended.set()
    time.sleep(1.2)
    two = [Lease(dsql, None), Lease(dsql, None)]
    monkeypatch.setattr(module, "EXPIRES", 60.0)
    admin("update sunup_runs set renewed_at = now() - interval '61 s'")
    with ThreadPoolExecutor(2) as threads:
        taken = [threads.submit(each.take, quiet, quiet) for each in two]
        ends = time.monotonic() + 10
        while not any(each.done() for each in taken) and time.monotonic() < ends:
            time.sleep(0.05)
        time.sleep(1.0)
        winners = [each for each, future in zip(two, taken, strict=True) if future.done()]
        assert len(winners) == 1
        assert admin("select run from sunup_lock") == [(winners[0].run,)]
        winners[0].give_back()
    for each in (dead, *two):
        each.give_back()


PROGRAM = """
import sys, time
from dataclasses import replace
from pathlib import Path
from sunup.local.migrations import running
from sunup.settings import Settings
settings = Settings(host=sys.argv[1], database=sys.argv[2], sslmode="disable", engine_name="dsql")
running.upgrade(settings, Path(sys.argv[3]))
"""


def test_a_process_that_is_killed_blocks_nobody_for_ever(
    dsql: Settings, folder: Folder, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXPIRES", 2.0)
    waits = 'import time; time.sleep(60 if not os.path.exists("{}") else 0)'
    flag = folder.path / "second"
    folder.add(
        "0001",
        'op.execute("create table a (x int)")\n'
        + waits.format(flag)
        + '\nop.execute("create table b (x int)")',
    )
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, dsql.host, dsql.database, str(folder.path)]
    )
    try:
        ends = time.monotonic() + 30
        while time.monotonic() < ends and not (
            admin("select to_regclass('sunup_progress') is not null") == [(True,)]
            and admin("select state from sunup_progress") == [("done",)]
        ):
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    flag.touch()
    told: list[str] = []
    assert running.upgrade(dsql, folder.path, on_retry=told.append) == ["0001"]
    assert any("gave no sign of life" in each for each in told)
    assert admin("select to_regclass('b') is not null") == [(True,)]
