import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sunup.emulator import postgres


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
        pytest.raises(postgres.PostgresFailed, match="another process uses"),
        postgres.running(folder / "pg"),
    ):
        pass


def test_a_folder_of_something_else_is_a_clear_error(folder: Path) -> None:
    (folder / "pg").mkdir()
    (folder / "pg" / "PG_VERSION").write_text("15\n")
    with pytest.raises(postgres.PostgresFailed, match="15"), postgres.running(folder / "pg"):
        pass
    assert (folder / "pg" / "PG_VERSION").read_text() == "15\n"
