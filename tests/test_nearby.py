"""The note of a database on this machine: which one is believed."""

import shutil
from pathlib import Path

import pytest

from sunup import nearby
from sunup.local import laptop, notes, project

VARIABLES = {"DB_HOST": "db.example", "DB_PASSWORD": "geheim", "DB_NAME": "shop"}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"folder": 1}',
        '{"folder": "HERE", "variables": {"DB_HOST": "x"}}',
        '{"folder": "HERE", "lock": "/nowhere", "variables": {"DB_HOST": "x"}}',
        '{"folder": "HERE", "lock": "HERE/lock", "variables": []}',
        '{"folder": "HERE", "lock": "HERE/lock", "variables": {"DB_HOST": "x"}}',
        '{"pid": 99999999999999999999, "variables": {"DB_HOST": "x"}}',
    ],
)
def test_a_note_of_a_server_that_is_gone_is_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / ".sunup").mkdir()
    (tmp_path / "lock").touch()
    (tmp_path / nearby.NOTE).write_text(content.replace("HERE", str(tmp_path)))
    assert nearby.noted(str(tmp_path)) == {}
    with notes.told(tmp_path, VARIABLES):
        assert nearby.noted(str(tmp_path)) == VARIABLES
    assert nearby.noted(str(tmp_path)) == {}


def test_a_note_is_for_its_folder_and_not_for_a_copy(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (tmp_path / "link").symlink_to(app)
    with notes.told(app, VARIABLES):
        shutil.copytree(app, tmp_path / "copy")
        assert nearby.noted(str(tmp_path / "copy")) == {}
        assert nearby.noted(str(tmp_path / "link")) == VARIABLES
        app.rename(tmp_path / "moved")
        assert nearby.noted(str(tmp_path / "moved")) == {}


def test_only_its_owner_may_read_a_note_with_a_password(tmp_path: Path) -> None:
    with notes.told(tmp_path, VARIABLES):
        assert (tmp_path / nearby.NOTE).stat().st_mode & 0o777 == 0o600
        with laptop.database(project.find(tmp_path)) as (found, shared):
            assert (found.environ["DB_HOST"], shared) == ("db.example", False)
    assert [each.name for each in (tmp_path / ".sunup").iterdir()] == [".gitignore"]


def test_of_two_that_tell_the_last_is_found_and_takes_only_its_own_away(tmp_path: Path) -> None:
    first = notes.told(tmp_path, VARIABLES)
    with first:
        second = notes.told(tmp_path, {**VARIABLES, "DB_NAME": "other"})
        second.__enter__()
    assert nearby.noted(str(tmp_path))["DB_NAME"] == "other"
    second.__exit__(None, None, None)
    assert nearby.noted(str(tmp_path)) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[tool.sunup]", True),
        ("[tool.sunup.emulate]", True),
        ("tool.sunup.app = 'x:y'", True),
        ("[tool.other]", False),
        ("# [tool.sunup]", False),
        ("[tool.sunup]\nhalf =", True),
        ("half =", False),
        ("tool = 3", False),
    ],
)
def test_an_app_s_folder_is_known_by_its_table(tmp_path: Path, text: str, expected: bool) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert nearby.is_app(str(tmp_path)) is expected
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    assert nearby.app_folder(str(inside)) == (str(tmp_path) if expected else None)
