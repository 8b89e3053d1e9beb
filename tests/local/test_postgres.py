import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from sunup.local import postgres
from sunup.local.postgres.folder import make_socket_folder, socket_of


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


def test_a_long_path_s_socket_is_at_the_same_place_each_time_and_nobody_else_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = tmp_path / ("long" * 30)
    made = socket_of(data)
    assert (made.parent, made) == (tmp_path, socket_of(data))
    assert socket_of(tmp_path / ("else" * 30)) != made
    for _ in range(2):  # the second time left by a run that was killed
        make_socket_folder(made)
        assert made.stat().st_mode & 0o777 == 0o700
    made.rmdir()
    made.symlink_to("/")
    with pytest.raises(postgres.PostgresFailed, match="belongs to somebody else"):
        make_socket_folder(made)
    made.unlink()
    make_socket_folder(made)


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
