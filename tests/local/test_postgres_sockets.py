"""Where a server listens whose data have too long a path: a folder beside everybody's else."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sunup.local import postgres
from sunup.local.postgres.folder import socket_of
from sunup.local.postgres.sharing import Place
from tests.local.test_postgres import run, until


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What TMPDIR names; not pytest's own, whose path may be too long."""
    with tempfile.TemporaryDirectory(prefix="sunup-test-", dir="/tmp") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


@pytest.fixture
def deep(temporary: Path) -> Path:
    """A folder of data whose socket is elsewhere."""
    return temporary / ("deep" * 10) / ("deeper" * 10) / "pg"


def socket_s_folder(data: Path) -> Path:
    place = Place(data)
    data.parent.mkdir(parents=True, exist_ok=True)
    place.users.touch()
    return socket_of(place)


def works(data: Path) -> bool:
    with postgres.running(data, durable=False) as variables:
        return run(variables, "select 1") == [(1,)]


def test_it_is_at_the_same_place_each_time_and_nobody_else_s(deep: Path, temporary: Path) -> None:
    socket = socket_s_folder(deep)
    assert socket.parent == temporary
    assert socket_s_folder(deep.with_name("else")) != socket
    for _ in range(2):
        with postgres.running(deep, durable=False) as variables:
            assert variables["DB_HOST"] == str(socket)
            assert socket.stat().st_mode & 0o777 == 0o700
            assert run(variables, "select 1") == [(1,)]
        assert not socket.exists()
        socket.mkdir(mode=0o700)  # as a run whose watcher was killed leaves it
        (socket / ".s.PGSQL.5432").touch()


def test_it_is_in_tmp_where_the_temporary_folder_s_own_path_is_too_long(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = temporary / ("long" * 25)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with postgres.running(long / "pg", durable=False) as variables:
        assert Path(variables["DB_HOST"]).parent == Path("/tmp")
        assert run(variables, "select 1") == [(1,)]
    assert not Path(variables["DB_HOST"]).exists()


def test_data_that_are_moved_keep_it_and_others_in_their_place_have_another(deep: Path) -> None:
    moved = deep.parent.with_name("moved" * 10)
    with postgres.running(deep, durable=False) as first:
        run(first, "create table t as select 1 as n")
        deep.parent.rename(moved)
        with postgres.running(moved / "pg", durable=False) as again:
            assert run(again, "select n from t") == [(1,)]
        with (
            postgres.running(deep, durable=False) as second,
            pytest.raises(psycopg.errors.UndefinedTable),
        ):
            run(second, "select n from t")
        assert run(first, "select n from t") == [(1,)]
    assert until(lambda: not Path(first["DB_HOST"]).exists())


def test_a_copy_has_another(deep: Path) -> None:
    with postgres.running(deep, durable=False) as first:
        run(first, "create table t as select 1 as n")
        run(first, "checkpoint")
        copy = deep.parent.with_name("copy" * 20)
        shutil.copytree(deep.parent, copy)
        with postgres.running(copy / "pg", durable=False) as second:
            run(second, "update t set n = 2")
        assert run(first, "select n from t") == [(1,)]


@contextmanager
def anothers(at: Path, kind: str) -> Iterator[None]:
    """Somebody else's at the socket's place, with a server that would take what is sent to it."""
    with (
        tempfile.TemporaryDirectory(prefix="sunup-test-", dir="/tmp") as short,
        postgres.running(Path(short) / "pg", durable=False) as theirs,
    ):
        if kind == "link":
            at.symlink_to(theirs["DB_HOST"])
        elif kind == "file":
            at.touch()
        else:
            at.mkdir()
            os.chown(at, 12345, 12345)
            (at / ".s.PGSQL.5432").symlink_to(f"{theirs['DB_HOST']}/.s.PGSQL.5432")
        yield
        assert os.path.lexists(at)
        assert run(theirs, "select 1") == [(1,)]
    if at.is_dir() and not at.is_symlink():
        shutil.rmtree(at)
    else:
        at.unlink()


KINDS = ["link", "file", *(["folder"] if os.geteuid() == 0 else [])]
OTHERS = "belongs to somebody else"


@pytest.mark.parametrize("kind", KINDS)
def test_somebody_else_s_is_refused_and_stays(deep: Path, kind: str) -> None:
    with (
        anothers(socket_s_folder(deep), kind),
        pytest.raises(postgres.PostgresFailed, match=OTHERS),
    ):
        postgres.running(deep, durable=False).__enter__()
    assert works(deep)


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_somebody_else_makes_meanwhile_is_refused_and_stays(
    deep: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    socket = socket_s_folder(deep)
    start = subprocess.run
    with anothers(temporary / "prepared", kind):

        def first_another(*arguments: Any, **options: Any) -> Any:
            (temporary / "prepared").rename(socket)
            return start(*arguments, **options)

        monkeypatch.setattr(subprocess, "run", first_another)
        with pytest.raises(postgres.PostgresFailed, match=OTHERS):
            postgres.running(deep, durable=False).__enter__()
        monkeypatch.setattr(subprocess, "run", start)
        socket.rename(temporary / "prepared")
    assert works(deep)


@pytest.mark.parametrize("kind", KINDS)
def test_who_waits_for_another_to_start_the_server_refuses_it_too(deep: Path, kind: str) -> None:
    with anothers(socket_s_folder(deep), kind), Place(deep).lock.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(postgres.PostgresFailed, match=OTHERS):
            postgres.running(deep, durable=False).__enter__()
    assert works(deep)


@pytest.mark.parametrize("after", [False, True])
def test_interrupted_while_the_server_starts_nothing_is_left(
    deep: Path, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    start = subprocess.run

    def interrupted(*arguments: Any, **options: Any) -> None:
        if after:
            start(*arguments, **options)
        raise KeyboardInterrupt

    socket, thrown = socket_s_folder(deep), deep.parent
    monkeypatch.setattr(subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        postgres.running(deep, thrown=thrown).__enter__()
    assert not socket.exists()
    assert thrown.exists() is not after  # without a watcher it is the caller's to remove
    monkeypatch.setattr(subprocess, "run", start)
    assert works(deep)


def test_it_is_gone_before_the_data_that_are_thrown_away(deep: Path) -> None:
    with postgres.running(deep, durable=False, thrown=deep.parent) as variables:
        for number in range(5_000):
            (deep.parent / str(number)).touch()
    assert not Path(variables["DB_HOST"]).exists()
    assert until(lambda: not deep.parent.exists())
    assert works(deep)
