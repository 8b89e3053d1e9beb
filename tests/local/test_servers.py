"""Which PostgreSQL runs: the embedded one, or one that is installed."""

import shutil
from pathlib import Path

import psycopg
import pytest

from sunup.local import postgres, servers
from sunup.local.errors import CommandError


def test_the_embedded_one_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(servers.VARIABLE, raising=False)
    assert servers.find() == servers.find("embedded") == servers.find("18" * (not servers.others()))
    assert servers.find().embedded
    assert {"plpgsql", "vector"} <= servers.extensions(servers.find())


@pytest.mark.parametrize(
    ("wanted", "words"),
    [("9", "no PostgreSQL 9 was found"), ("/", "there is no PostgreSQL in /"), ("x", "in x")],
)
def test_one_that_is_not_there_is_told_with_what_to_do(wanted: str, words: str) -> None:
    with pytest.raises(CommandError, match=words) as raised:
        servers.find(wanted)
    assert "initdb" in raised.value.cure


def test_the_environment_says_which(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A wheel's second server stands in for one that is installed."""
    other = servers.find().folder.parents[1] / "pginstall" / "bin"
    monkeypatch.setenv(servers.VARIABLE, str(other))
    found = servers.find()
    assert (found.folder, found.embedded) == (other, False)
    assert int(found.version) < 18
    with (
        postgres.running(tmp_path / "data", durable=False) as variables,
        psycopg.connect(host=variables["DB_HOST"], user="postgres") as connection,
    ):
        assert connection.info.server_version // 10000 == int(found.version)
        row = connection.execute("show server_encoding").fetchone()
        assert row == ("UTF8",)
    monkeypatch.delenv(servers.VARIABLE)
    with pytest.raises(postgres.PostgresFailed, match=f"is from PostgreSQL {found.version}"):
        postgres.running(tmp_path / "data").__enter__()


@pytest.mark.skipif(not servers.others(), reason="needs an installed PostgreSQL")
def test_one_that_is_installed_is_found_by_its_version() -> None:
    newest = servers.others()[0]
    assert servers.find(newest.version).folder == newest.folder
    assert Path(shutil.which(newest.folder / "initdb") or "").is_file()
