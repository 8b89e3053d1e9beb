import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest

from sunup.local import postgres, servers
from sunup.local.postgres.sharing import Place, _is_locked
from sunup.local.servers import Binaries


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


def postmaster_of(data: Path) -> psutil.Process:
    return psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))


def until(is_so: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.02)
    return is_so()


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


@pytest.mark.parametrize("is_thrown", [False, True])
def test_a_server_that_does_not_start_says_why(folder: Path, *, is_thrown: bool) -> None:
    thrown = folder / "thrown"
    data, away = thrown / "pg", thrown if is_thrown else None
    with pytest.raises(postgres.PostgresFailed, match="invalid value for parameter") as raised:
        postgres.running(data, options={"shared_buffers": "much"}, thrown=away).__enter__()
    assert raised.value.cure == ("" if is_thrown else f"See {thrown / 'pg.log'}.")
    assert until(lambda: thrown.exists() is not is_thrown)
    with postgres.running(data, durable=False) as variables:
        assert run(variables, "select 1") == [(1,)]


def test_data_that_cannot_be_made_say_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Binaries, "initdb_options", ["--locale=xx_YY"])
    with pytest.raises(postgres.PostgresFailed, match='invalid locale name "xx_YY"'):
        postgres.running(folder / "pg").__enter__()
    monkeypatch.undo()
    with postgres.running(folder / "pg", durable=False) as variables:
        assert run(variables, "select 1") == [(1,)]


def test_data_that_are_broken_say_why(folder: Path) -> None:
    with postgres.running(folder / "pg"):
        postmaster_of(folder / "pg").kill()
    assert until(lambda: not _is_locked(Place(folder / "pg").lock))
    for each in (folder / "pg" / "pg_wal").iterdir():
        if each.is_file():
            each.unlink()
    with pytest.raises(postgres.PostgresFailed, match="could not locate a valid checkpoint"):
        postgres.running(folder / "pg").__enter__()
    shutil.rmtree(folder / "pg")
    with postgres.running(folder / "pg", durable=False) as variables:
        assert run(variables, "select 1") == [(1,)]


@pytest.mark.parametrize("name", ["initdb", "postgres"])
@pytest.mark.parametrize("is_thrown", [False, True])
def test_a_program_that_cannot_be_run_is_named_and_leaves_nothing(
    folder: Path, name: str, *, is_thrown: bool
) -> None:
    found, broken, thrown = servers.find(), folder / "bin", folder / "thrown"
    broken.mkdir()
    for each in found.folder.iterdir():
        (broken / each.name).symlink_to(each)
    (broken / name).unlink()
    (broken / name).write_text("#!/nowhere\n")
    (broken / name).chmod(0o755)
    away = thrown if is_thrown else None
    with pytest.raises(postgres.PostgresFailed, match=rf"{name}: No such file") as raised:
        postgres.running(
            thrown / "pg", binaries=replace(found, folder=broken), thrown=away
        ).__enter__()
    assert "Traceback" not in str(raised.value)
    assert until(lambda: thrown.exists() is not is_thrown)
    assert not (thrown / "pg.new").exists()
    with postgres.running(thrown / "pg", durable=False) as variables:
        assert run(variables, "select 1") == [(1,)]


def test_it_starts_where_the_standard_streams_are_closed(folder: Path) -> None:
    script = (
        "import pathlib, sys; from sunup.local import postgres\n"
        "with postgres.running(pathlib.Path(sys.argv[1]), durable=False): pass\n"
        "pathlib.Path(sys.argv[1]).with_name('done').touch()\n"
    )
    closed = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
    subprocess.run(
        [*closed, sys.executable, "-c", script, str(folder / "pg")],
        check=True,
        timeout=60,
    )
    assert (folder / "done").exists()


def test_a_throwaway_whose_server_ends_stays_until_its_user_does(folder: Path) -> None:
    thrown = folder / "thrown"
    with postgres.running(thrown / "pg", durable=False, thrown=thrown):
        postmaster_of(thrown / "pg").kill()
        assert until(lambda: not _is_locked(Place(thrown / "pg").lock))
        time.sleep(0.2)
        assert (thrown / "pg.log").exists()
    assert until(lambda: not thrown.exists())
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
