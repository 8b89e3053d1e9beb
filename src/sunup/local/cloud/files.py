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
    _set(path, lines, r"{}\s*=")


def _set(path: Path, lines: Mapping[str, str], pattern: str) -> None:
    text = path.read_text(encoding="utf-8") if path.is_file() else _HEAD
    for name, line in lines.items():
        wanted = re.compile(rf"^{pattern.format(re.escape(name))}.*$", re.MULTILINE)
        if wanted.search(text):
            text = wanted.sub(lambda _, line=line: line, text, count=1)  # type: ignore[misc]
        else:
            text = text if not text or text.endswith("\n") else f"{text}\n"
            text += f"{line}\n"
    path.write_text(text, encoding="utf-8")
