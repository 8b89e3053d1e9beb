import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from sunup.local import postgres


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


def test_a_folder_in_use_is_a_clear_error(folder: Path) -> None:
    with (
        postgres.running(folder / "pg"),
        pytest.raises(postgres.PostgresFailed, match="another process is using"),
        postgres.running(folder / "pg"),
    ):
        pass


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
    (folder / "precious").write_text("x")
    with (
        pytest.raises(postgres.PostgresFailed, match="is not empty, and is not a data folder"),
        postgres.running(folder),
    ):
        pass
    assert (folder / "precious").read_text() == "x"


def test_a_deep_folder_has_its_socket_elsewhere(folder: Path) -> None:
    deep = folder / ("d" * 60) / ("e" * 60)
    with postgres.running(deep, durable=False) as variables:
        assert not variables["DB_HOST"].startswith(str(deep))
        assert run(variables, "select 1") == [(1,)]
    assert not Path(variables["DB_HOST"]).exists()


def test_the_server_of_a_killed_starter_is_replaced(folder: Path) -> None:
    code = (
        "import os, pathlib, signal, sys; from sunup.local import postgres\n"
        f"with postgres.running(pathlib.Path({str(folder / 'pg')!r})):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    orphan = int((folder / "pg" / "postmaster.pid").read_text().split()[0])
    assert psutil.pid_exists(orphan)
    with postgres.running(folder / "pg") as variables:
        assert run(variables, "select 1") == [(1,)]
    assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == "zombie"


def test_a_long_path_s_socket_is_at_the_same_place_each_time_unless_somebody_else_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = tmp_path / ("long" * 30)
    made = postgres._short_folder(data, {})
    assert made.stat().st_mode & 0o777 == 0o700
    assert postgres._short_folder(data, {}) == made  # left by a run that was killed
    assert postgres._short_folder(tmp_path / ("else" * 30), {}) != made
    made.rmdir()
    made.symlink_to("/")
    other = postgres._short_folder(data, {})
    assert other != made
    assert not other.is_symlink()
