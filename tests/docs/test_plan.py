"""The plan that docs/plan.md shows is the one that the command prints."""

import re
from pathlib import Path

import pytest

from sunup.local.cli.commands import run

PAGE = Path(__file__).parents[2] / "docs" / "plan.md"


def test_the_article_s_own_case_is_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["plan"]) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    block = re.search(r"^\$ sunup plan\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    assert block[1].splitlines() == printed
