import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from sunup.local import postgres
from sunup.local.postgres.folder import socket_of


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's own: the path of a Unix socket must be short.
    with tempfile.TemporaryDirectory(prefix="sunup-test-") as name:
        yield Path(name)


def run(variables: dict[str, str], statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(
        host=variables["DB_HOST"],
        user=variables["DB_USER"],
        dbname=variables["DB_NAME"],
        autocommit=True,
    ) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_it_is_postgresql_18_and_keeps_its_data(folder: Path) -> None:
    with postgres.running(folder / "pg", database="shop") as variables:
        [(version,)] = run(variables, "show server_version")
        assert str(version).startswith("18.")
        run(variables, "create table kept as select 'ä' as n")
    with postgres.running(folder / "pg", database="shop") as variables:
        assert run(variables, "select n from kept") == [("ä",)]


def test_nothing_is_left_running(folder: Path) -> None:
    with postgres.running(folder / "pg") as variables:
        assert (folder / "pg" / "postmaster.pid").exists()
    assert not (folder / "pg" / "postmaster.pid").exists()
    with pytest.raises(psycopg.OperationalError):
        run(variables, "select 1")


def test_a_server_is_shared_and_ends_with_its_last_user(folder: Path) -> None:
    with ExitStack() as first:
        first.enter_context(postgres.running(folder / "pg"))
        with postgres.running(folder / "pg", database="shop") as second:
            [before] = run(second, "select pg_postmaster_start_time()")
            first.close()
            assert run(second, "select pg_postmaster_start_time()") == [before]
    assert not (folder / "pg" / "postmaster.pid").exists()


def test_a_folder_of_another_version_is_a_clear_error_and_stays(folder: Path) -> None:
    (folder / "pg").mkdir()
    (folder / "pg" / "PG_VERSION").write_text("15\n")
    with (
        pytest.raises(
            postgres.PostgresFailed, match="is from PostgreSQL 15, but this is PostgreSQL 18"
        ),
        postgres.running(folder / "pg"),
    ):
        pass
    assert (folder / "pg" / "PG_VERSION").read_text() == "15\n"


def test_a_folder_of_something_else_is_a_clear_error_and_stays(folder: Path) -> None:
    (folder / "pg").mkdir()
    (folder / "pg" / "precious").write_text("x")
    with (
        pytest.raises(postgres.PostgresFailed, match="is not empty, and is not a data folder"),
        postgres.running(folder / "pg"),
    ):
        pass
    assert (folder / "pg" / "precious").read_text() == "x"


def test_a_deep_folder_has_its_socket_elsewhere(folder: Path) -> None:
    deep = folder / ("d" * 60) / ("e" * 60)
    with postgres.running(deep, durable=False) as variables:
        assert not variables["DB_HOST"].startswith(str(deep))
        assert run(variables, "select 1") == [(1,)]
    assert not Path(variables["DB_HOST"]).exists()


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of data whose socket is in `tmp_path`."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / ("deep" * 10) / ("deeper" * 10) / "pg"


def test_a_long_path_s_socket_is_at_the_same_place_each_time(deep: Path, tmp_path: Path) -> None:
    socket = socket_of(deep)
    assert socket.parent == tmp_path
    assert socket_of(deep.parent / "else") != socket
    for _ in range(2):
        with postgres.running(deep, durable=False) as variables:
            assert variables["DB_HOST"] == str(socket)
            assert socket.stat().st_mode & 0o777 == 0o700
            assert run(variables, "select 1") == [(1,)]
        assert not socket.exists()
        socket.mkdir(mode=0o700)  # as a run whose watcher was killed leaves it
        (socket / ".s.PGSQL.5432").touch()


@pytest.mark.parametrize("there", ["link", "file"])
def test_a_socket_s_folder_that_is_not_ours_is_refused_and_stays(
    deep: Path, tmp_path: Path, there: str
) -> None:
    socket, theirs = socket_of(deep), tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "precious").touch()
    if there == "link":
        socket.symlink_to(theirs)
    else:
        socket.touch()
    with pytest.raises(postgres.PostgresFailed, match="belongs to somebody else"):
        postgres.running(deep, durable=False).__enter__()
    assert os.path.lexists(socket)
    assert (theirs / "precious").exists()
    socket.unlink()
    with postgres.running(deep, durable=False) as variables:
        assert run(variables, "select 1") == [(1,)]


def test_a_socket_s_folder_that_another_makes_meanwhile_is_refused_and_stays(
    deep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = socket_of(deep)
    start = subprocess.run

    def first_another(*arguments: Any, **options: Any) -> Any:
        socket.symlink_to(tmp_path)
        return start(*arguments, **options)

    monkeypatch.setattr(subprocess, "run", first_another)
    with pytest.raises(postgres.PostgresFailed, match=rf"{socket}: belongs to somebody else"):
        postgres.running(deep, durable=False).__enter__()
    monkeypatch.undo()
    assert socket.is_symlink()
    assert deep.parent.exists()


@pytest.mark.parametrize("after", [False, True])
def test_interrupted_while_the_server_starts_nothing_is_left(
    deep: Path, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    start = subprocess.run

    def interrupted(*arguments: Any, **options: Any) -> None:
        if after:
            start(*arguments, **options)
        raise KeyboardInterrupt

    socket, thrown = socket_of(deep), deep.parent
    monkeypatch.setattr(subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        postgres.running(deep, thrown=thrown).__enter__()
    assert not socket.exists()
    assert thrown.exists() is not after  # without a watcher it is the caller's to remove
    monkeypatch.setattr(subprocess, "run", start)
    with postgres.running(deep, durable=False) as variables:
        assert run(variables, "select 1") == [(1,)]


def test_a_socket_s_folder_is_gone_before_the_data_that_are_thrown_away(deep: Path) -> None:
    with postgres.running(deep, durable=False, thrown=deep.parent):
        for number in range(5_000):
            (deep.parent / str(number)).touch()
    assert not socket_of(deep).exists()


@pytest.mark.parametrize("is_thrown", [False, True])
def test_a_server_that_does_not_start_says_why(folder: Path, *, is_thrown: bool) -> None:
    thrown = folder / "thrown"
    thrown.mkdir()
    data, away = thrown / "pg", thrown if is_thrown else None
    with (
        pytest.raises(postgres.PostgresFailed, match="invalid value for parameter"),
        postgres.running(data, options={"shared_buffers": "much"}, thrown=away),
    ):
        pass
    end = time.monotonic() + 10
    while thrown.exists() is is_thrown and time.monotonic() < end:
        time.sleep(0.02)
    assert thrown.exists() is not is_thrown
    with postgres.running(data, durable=False) as variables:
        assert run(variables, "select 1") == [(1,)]


def test_a_throwaway_whose_server_ends_stays_until_its_user_does(folder: Path) -> None:
    thrown = folder / "thrown"
    with postgres.running(thrown / "pg", durable=False, thrown=thrown):
        postmaster = psutil.Process(int((thrown / "pg/postmaster.pid").read_text().split()[0]))
        postmaster.kill()
        postmaster.wait(10)
        time.sleep(0.3)
        assert (thrown / "pg.log").exists()
    end = time.monotonic() + 10
    while thrown.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not thrown.exists()
    with postgres.running(thrown / "pg", durable=False) as variables:
        assert run(variables, "select 1") == [(1,)]


def test_a_setting_of_libpq_s_in_the_environment_leads_nowhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "6543")
    with postgres.running(folder / "pg", durable=False) as variables:
        assert (Path(variables["DB_HOST"]) / ".s.PGSQL.5432").exists()


@pytest.mark.parametrize("content", ["", "?"])
def test_damaged_data_are_told_with_what_to_do(folder: Path, content: str) -> None:
    (folder / "pg").mkdir()
    (folder / "pg" / "PG_VERSION").write_text(content)
    with pytest.raises(postgres.PostgresFailed, match="is damaged") as raised:
        postgres.running(folder / "pg").__enter__()
    assert raised.value.cure == f"Move {folder / 'pg'} away to begin anew, without its data."
    shutil.move(folder / "pg", folder / "away")
    with postgres.running(folder / "pg", durable=False) as variables:
        assert run(variables, "select 1") == [(1,)]


def test_a_file_in_the_way_is_named(folder: Path) -> None:
    (folder / ".sunup").touch()
    with pytest.raises(postgres.PostgresFailed, match=rf"{folder}/\.sunup: File exists"):
        postgres.running(folder / ".sunup" / "postgres").__enter__()
    (folder / ".sunup").unlink()
    with postgres.running(folder / ".sunup" / "postgres", durable=False) as variables:
        assert run(variables, "select 1") == [(1,)]
