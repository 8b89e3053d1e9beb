"""dsql-lint (PyPI) itself, on migrations as they are made for Aurora DSQL."""

from pathlib import Path

import pytest

from sunup.local.errors import CommandError
from sunup.local.migrations.dsql import linting
from sunup.local.migrations.folder import open_folder

from .conftest import Folder

EXAMPLES = Path(__file__).parents[4] / "examples"


@pytest.fixture
def lint() -> Path:
    found = linting.program()
    if found is None:
        pytest.skip("dsql-lint is not installed")
    return found


def test_what_is_refused_is_found_before_it_is_executed(lint: Path, folder: Folder) -> None:
    folder.add("0001", 'op.create_index("i", "t", ["x"])\nop.execute("truncate t")')
    folder.add("0002", 'op.execute("create index i on t (x)")', after="0001")
    folder.add("0003", "op.get_bind().execute(sa.text('select 1')).all()", after="0002")
    _, script = open_folder(folder.path)
    found = linting.findings(lint, script, ["0001", "0002", "0003"])
    assert [(each.file, each.rule, each.refused) for each in found] == [
        ("0001_x.py", "truncate", True),
        ("0002_x.py", "index_async", True),
        ("0003_x.py", "", False),
    ]
    assert "cannot be checked" in found[2].message
    assert linting.findings(lint, script, ["0003"]) == found[2:]


@pytest.mark.parametrize("name", ["users", "users_asgi", "users_fastapi", "users_flask"])
def test_the_examples_fit(lint: Path, name: str) -> None:
    _, script = open_folder(EXAMPLES / name / "migrations")
    revisions = [each.revision for each in script.walk_revisions()]
    assert linting.findings(lint, script, revisions) == []


def test_another_program_of_that_name_is_a_clear_error(tmp_path: Path, folder: Folder) -> None:
    other = tmp_path / "dsql-lint"
    other.write_text("#!/bin/sh\necho hello\n")
    other.chmod(0o755)
    folder.add("0001", 'op.execute("select 1")')
    _, script = open_folder(folder.path)
    with pytest.raises(CommandError, match="cannot be used"):
        linting.findings(other, script, ["0001"])
