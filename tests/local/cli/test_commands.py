"""What all commands have in common: help, completion, and the words for a wrong one."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local.cli.conftest import Cli


@pytest.mark.parametrize("group", [(), ("migrate",), ("database",), ("ci",)])
def test_a_group_without_a_command_shows_its_help_and_nothing_else(
    cli: Cli, group: tuple[str, ...]
) -> None:
    status, out, err = cli(*group)
    assert status != 0
    assert "Usage: sunup" in " ".join((out + err).split())
    assert "sunup: \n" not in out + err


@pytest.mark.parametrize("command", [(), ("migrate",), ("migrate", "up"), ("deploy",), ("psql",)])
def test_help_has_a_short_name(cli: Cli, command: tuple[str, ...]) -> None:
    short, long = cli(*command, "-h"), cli(*command, "--help")
    assert short == long
    assert short[0] == 0


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("deploy", '[tool.sunup] check = "/health"'),
        ("package", "[tool.sunup] in pyproject.toml"),
        ("emulate", "[tool.sunup.emulate]"),
    ],
)
def test_help_shows_tables_by_their_names(cli: Cli, command: str, words: str) -> None:
    """Rich took [tool.sunup] for a style."""
    assert words in " ".join(cli(command, "--help")[1].split())


@pytest.mark.parametrize("command", ["plan", "measure", "deploy", "emulate", "database create"])
def test_help_fills_the_lines_of_a_narrow_terminal(
    cli: Cli, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Typer kept the ends of a docstring's lines, and broke them again."""
    width = 80
    monkeypatch.setenv("COLUMNS", str(width))
    told = cli(*command.split(), "--help")[1].partition("╭")[0]
    lines = [line.strip() for line in told.splitlines()]
    paragraphs = "\n".join(lines).strip().split("\n\n")
    assert len(paragraphs) > 3
    for paragraph in paragraphs:
        for line, following in itertools.pairwise(paragraph.splitlines()):
            assert len(f" {line} {following.split()[0]} ") > width, line


def test_the_version_is_said_at_once() -> None:
    """By list: clocks are noisy."""

    def imported(*arguments: str) -> set[str]:
        command = [sys.executable, "-X", "importtime", *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
        return {line.rpartition("|")[2].strip() for line in lines}

    added = imported("-m", "sunup.local.cli", "--version") - imported("-m", "this")
    assert {name for name in added if name.startswith("sunup.")} <= {
        "sunup.local",
        "sunup.local.cli",
    }
    assert len(added) < 15, added
    assert "typer" in imported("-m", "sunup.local.cli", "--help")


def test_a_shell_is_told_what_may_come_next() -> None:
    environ = {"_SUNUP_COMPLETE": "complete_bash", "COMP_WORDS": "sunup mig", "COMP_CWORD": "1"}
    done = subprocess.run(
        [Path(sys.executable).with_name("sunup")],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["migrate"]
