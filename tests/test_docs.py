"""Docs that are run or compared cannot rot."""

import re
import shlex
from pathlib import Path

import pytest
from scripts import settings_table

ROOT = Path(__file__).parent.parent
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_page_of_settings_is_made_from_their_table() -> None:
    text = settings_table.PAGE.read_text()
    assert text == settings_table.with_table(text), "run scripts/settings_table.py"


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), target


def test_the_readme_is_short_and_its_commands_exist() -> None:
    text = (ROOT / "README.md").read_text()
    assert text.count("\n") < 150
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_readme_s_curl_lines_are_those_that_sunup_dev_prints() -> None:
    import tomllib

    table = tomllib.loads((ROOT / "examples" / "users" / "pyproject.toml").read_text())
    tries = [line.format(url="http://localhost:3000") for line in table["tool"]["sunup"]["try"]]
    printed = {tuple(shlex.split(line)) for line in tries}
    text = (ROOT / "README.md").read_text().replace("\\\n", " ")
    shown = {tuple(shlex.split(line)) for line in re.findall(r"^\$ (curl .*)$", text, re.MULTILINE)}
    assert printed <= shown
