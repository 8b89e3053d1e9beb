"""Writes what was made into `.env` and `terraform.tfvars`, and touches nothing else in them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

_HEAD = "# Written by `sunup database create`; other lines are yours.\n"


def write_env(path: Path, values: Mapping[str, str]) -> None:
    """Set variables in a `.env`."""
    _set(path, {name: f"{name}={value}" for name, value in values.items()}, r"(?:export\s+)?{}\s*=")


def write_tfvars(path: Path, values: Mapping[str, str | float]) -> None:
    """Set variables in a `.tfvars`."""
    lines = {
        name: f"{name} = {json.dumps(value) if isinstance(value, str) else f'{value:g}'}"
        for name, value in values.items()
    }
    _set(path, lines, r"{}[ \t]*=")


def _set(path: Path, lines: Mapping[str, str], pattern: str) -> None:
    text = path.read_text(encoding="utf-8") if path.is_file() else _HEAD
    for name, line in lines.items():
        wanted = re.compile(rf"^{pattern.format(re.escape(name))}.*$", re.MULTILINE)
        found = [each for each in wanted.finditer(text) if _depth(text[: each.start()]) == 0]
        # Of several, readers take the last one: it is the one that stays.
        for each in reversed(found):
            rest = text[each.end() :]
            kept = line if each is found[-1] else ""
            text = text[: each.start()] + kept + (rest if kept else rest.removeprefix("\n"))
        if not found:
            text = text if not text or text.endswith("\n") else f"{text}\n"
            text += f"{line}\n"
    path.write_text(text, encoding="utf-8")


def _depth(text: str) -> int:
    """How many braces of a .tfvars are open: in them a name is a key of a map."""
    code = re.sub(r'"(?:\\.|[^"\\\n])*"|#[^\n]*|//[^\n]*|/\*.*?\*/', "", text, flags=re.DOTALL)
    return code.count("{") - code.count("}")
