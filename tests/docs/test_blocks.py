"""Each code block is at least read by what it is for; test_guides.py runs those of the guides."""

import ast
import importlib.util
import json
import re
import shlex
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import hcl2
import pytest
import typer
import yaml

from sunup.local import project
from sunup.local.cli.commands import app

from .blocks import PAGES, ROOT, Block, blocks

ALL = [block for page in PAGES for block in blocks(page)]
SHELLS = ("sh", "console")
KNOWN = {*SHELLS, "python", "toml", "hcl", "yaml", "json", "sql", "js", "mermaid", "text"}


def of(*languages: str) -> pytest.MarkDecorator:
    found = [block for block in ALL if block.language in languages]
    assert found
    return pytest.mark.parametrize("block", found, ids=str)


def test_there_is_a_check_for_each_language() -> None:
    assert {block.language for block in ALL} <= KNOWN


@of("python")
def test_python_is_python_and_what_it_imports_of_sunup_is_there(block: Block) -> None:
    tree = ast.parse(block.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sunup":
            module = importlib.import_module(node.module or "")
            for each in node.names:
                name = f"{node.module}.{each.name}"
                assert hasattr(module, each.name) or importlib.util.find_spec(name), name


@of("toml")
def test_toml_is_what_sunup_takes(block: Block, tmp_path: Path) -> None:
    tomllib.loads(block.text)
    (tmp_path / "pyproject.toml").write_text(block.text)
    project.find(tmp_path)


@of("hcl")
def test_terraform_s_variables_are_there(block: Block) -> None:
    text = (ROOT / "examples" / "users" / "terraform" / "variables.tf").read_text()
    variables = set(re.findall(r'^variable "(\w+)"', text, re.MULTILINE))
    assert set(hcl2.loads(block.text)) - {"__comments__", "__inline_comments__"} <= variables


@of("yaml", "json")
def test_data_can_be_read(block: Block) -> None:
    assert yaml.safe_load(block.text) if block.language == "yaml" else json.loads(block.text)


def commands() -> list[tuple[str, str]]:
    """Each command of sunup's, and where it stands."""
    found = []
    for block in ALL:
        if block.language in SHELLS and not (block.place and block.place[0] == ".env"):
            for line in block.commands:
                lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
                lexer.whitespace_split = True
                words = [""]
                for word in lexer:
                    words = [*words, word] if set(word) - set("|&;") else [*words, "\n"]
                for part in shlex.join(words).split("'\n'"):
                    parts = shlex.split(part)
                    while parts and (not parts[0] or re.match(r"\w+=", parts[0])):
                        parts = parts[1:]
                    if parts and Path(parts[0]).name == "sunup":
                        found.append((str(block), shlex.join(parts[1:])))
    return found


@pytest.mark.parametrize(("place", "line"), commands())
def test_a_command_has_the_options_that_are_shown(place: str, line: str) -> None:
    del place
    arguments = shlex.split(line)
    if "--stage" in arguments:  # may stand anywhere
        at = arguments.index("--stage")
        del arguments[at : at + 2]
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and arguments and not arguments[0].startswith("-"):
        command = command.commands[arguments.pop(0)]
    with suppress(typer.Exit):  # of --help
        command.make_context("sunup", arguments)
