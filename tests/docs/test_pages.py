"""Docs that are run or compared cannot rot."""

import re
import shlex
from pathlib import Path

import pytest
from scripts import settings_table

import sunup
from sunup import failures
from sunup.local import project

ROOT = Path(__file__).parents[2]
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


def test_each_public_name_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    for name in set(dir(sunup)) - {"__version__", *failures.__all__}:
        assert re.search(rf":: sunup\.{name}$", text, re.MULTILINE), name
    for name in (*failures.__all__, "SettingsError"):
        assert f"`{name}`" in (ROOT / "docs" / "failures.md").read_text() or name in text, name


def test_each_key_of_tool_sunup_is_in_its_table() -> None:
    text = (ROOT / "docs" / "pyproject.md").read_text()
    first = "".join(re.findall(r"^\| (.*?) \|", text, re.MULTILINE))
    keys = project._TEXTS | project._LISTS | project._NUMBERS | project._TABLES
    assert set(re.findall(r"`(\w+)`", first)) == keys


def test_the_pages_of_the_site_are_in_its_table_of_contents(tmp_path: Path) -> None:
    """Building it is `make docs`, which CI runs; here: that no page was forgotten."""
    index = (ROOT / "docs" / "index.md").read_text()
    listed = set(re.findall(r"^([a-z][\w/-]*)$", index, re.MULTILINE))
    pages = {str(page.relative_to(ROOT / "docs"))[:-3] for page in ROOT.glob("docs/**/*.md")}
    assert {page for page in pages if not page.startswith(("decisions/0", "live/"))} - {
        "index"
    } <= listed
