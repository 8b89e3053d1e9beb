"""A server of this machine belongs to its users: it ends with the last, however that one ends."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from sunup.local import postgres
from tests.local.test_postgres import postmaster_of, run, until

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)

USER = """
import pathlib, sys, time
from sunup.local import postgres
with postgres.running(pathlib.Path(sys.argv[1])):
    print("uses", flush=True)
    sys.stdin.read()
"""
THROWAWAY = """
import sys
from sunup.local import postgres
with postgres.throwaway() as variables:
    print(variables["DB_HOST"], flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def data() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sunup-test-") as name:
        yield Path(name) / "pg"
        assert gone(Path(name))


def processes(folder: Path) -> list[psutil.Process]:
    """What runs on a folder: servers and their watchers."""
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.Error):
            is_ours = any(str(folder) in word for word in each.cmdline())
            if is_ours and each.pid != os.getpid() and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
    return found


def gone(folder: Path) -> bool:
    return until(lambda: not processes(folder), 20)


@contextmanager
def user(script: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """A process that uses a server until its standard input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_with_a_user_that_is_killed(data: Path, number: int) -> None:
    with user(USER, data) as process:
        assert said(process) == "uses"
        process.send_signal(number)
        assert gone(data)
    with postgres.running(data) as variables:
        assert run(variables, "select 1") == [(1,)]


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8])
def test_a_user_that_is_killed_while_it_starts_leaves_nothing(data: Path, moment: float) -> None:
    """From the first file on: in initdb, between it and the server, while that starts."""
    with user(USER, data) as process:
        end = time.monotonic() + 20
        while not data.with_name("pg.users").exists():
            assert time.monotonic() < end
            time.sleep(0.001)
        time.sleep(moment)
        process.kill()
        assert gone(data)
    with postgres.running(data) as variables:
        assert run(variables, "select 1") == [(1,)]


def test_those_that_begin_at_once_use_the_same(data: Path) -> None:
    with ExitStack() as stack:
        users = [stack.enter_context(user(USER, data)) for _ in range(4)]
        assert [said(each) for each in users] == ["uses"] * 4
        [one] = [each for each in processes(data) if each.name() == "postgres" and each.ppid() > 1]
        for each in users[:3]:
            each.kill()
        with postgres.running(data) as variables:
            users[3].kill()
            assert run(variables, "select 1") == [(1,)]
            assert one.is_running()
        one.wait(20)  # until the kernel has taken the locks of those that were killed


def test_one_that_starts_while_the_last_ends_is_served(data: Path) -> None:
    for _ in range(5):
        with user(USER, data) as process:
            said(process)
            process.kill()
        with postgres.running(data) as variables:
            assert run(variables, "select 1") == [(1,)]


def test_what_others_keep_does_not_keep_the_first_from_ending(data: Path) -> None:
    with user(USER, data) as process:
        assert said(process) == "uses"
        began = time.monotonic()
        with postgres.running(data):
            pass
        assert time.monotonic() - began < 5
        assert processes(data)


def test_a_killed_watcher_s_server_is_watched_again(data: Path) -> None:
    with user(USER, data) as process:
        assert said(process) == "uses"
        [watcher] = [each for each in processes(data) if "watcher.py" in " ".join(each.cmdline())]
        watcher.kill()
        watcher.wait()
        with postgres.running(data) as variables:
            [before] = run(variables, "select pg_postmaster_start_time()")
        with postgres.running(data) as variables:
            assert run(variables, "select pg_postmaster_start_time()") == [before]
        process.kill()
        assert gone(data)


@contextmanager
def nobody_reaps() -> Iterator[None]:
    """Orphans are this process's children, as those of a container's are its first process's."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    assert prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    before = {each.pid for each in psutil.Process().children()}
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        for each in psutil.Process().children():
            if each.pid not in before:
                each.wait(20)


@pytest.mark.skipif(sys.platform != "linux", reason="a subreaper is Linux's")
def test_a_server_whose_end_nobody_looks_at_has_ended(data: Path) -> None:
    with nobody_reaps(), user(USER, data) as process:
        assert said(process) == "uses"
        [watcher] = [each for each in processes(data) if "watcher.py" in " ".join(each.cmdline())]
        watcher.kill()
        watcher.wait()
        with postgres.running(data) as variables:
            server = postmaster_of(data)
            process.kill()
            assert run(variables, "select 1") == [(1,)]
        assert gone(data)
        assert server.status() == psutil.STATUS_ZOMBIE
    with postgres.running(data) as variables:
        assert run(variables, "select 1") == [(1,)]


def test_a_copy_of_a_folder_in_use_is_another_database(data: Path) -> None:
    copy = data.with_name("copy") / "pg"
    with postgres.running(data, database="shop") as variables:
        run(variables, "create table t as select 1 as n")
        run(variables, "checkpoint")
        shutil.copytree(data, copy, ignore=shutil.ignore_patterns(".s.PGSQL.5432"))
        with postgres.running(copy, database="shop") as other:
            run(other, "update t set n = 2")
            assert run(other, "select n from t") == [(2,)]
        assert run(variables, "select n from t") == [(1,)]


def test_a_folder_that_is_moved_keeps_its_server(data: Path) -> None:
    with user(USER, data.with_name("one") / "pg") as process:
        assert said(process) == "uses"
        moved = data.with_name("one").rename(data.with_name("two"))
        with postgres.running(moved / "pg") as variables:
            assert run(variables, "select 1") == [(1,)]
            assert process.poll() is None
        process.kill()
        assert gone(data.parent)


def test_a_throwaway_s_folder_goes_with_a_user_that_is_killed() -> None:
    with user(THROWAWAY) as process:
        folder = Path(said(process)).parent
        assert folder.is_dir()
        process.kill()
        assert gone(folder)
    assert not folder.exists()
    with postgres.throwaway() as variables:
        folder = Path(variables["DB_HOST"]).parent
        assert run(variables, "select 1") == [(1,)]
    assert not folder.exists()
