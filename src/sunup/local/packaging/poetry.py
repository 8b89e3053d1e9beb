"""poetry.lock as a requirements file: the main group, with markers and hashes."""

import tomllib
from pathlib import Path
from typing import Any

from sunup.local.errors import CommandError


def requirements(lock: Path) -> str:
    """The pins of the group `main`, a line each. Raises `CommandError`."""
    try:
        packages = tomllib.loads(lock.read_text(encoding="utf-8"))["package"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError) as error:
        raise CommandError(f"{lock} cannot be read: {error}", "Lock again: poetry lock") from None
    lines = [_line(each, lock) for each in packages if _wanted(each)]
    return "".join(f"{line}\n" for line in lines)


def _wanted(package: dict[str, Any]) -> bool:
    # Before version 2.1 of the format the lock does not say what is for development only.
    if "groups" not in package:
        raise CommandError(
            "poetry.lock is of a format that does not say which dependencies are for production",
            "Lock again with Poetry 2: poetry lock",
        )
    return "main" in package["groups"] and not package.get("optional", False)


def _line(package: dict[str, Any], lock: Path) -> str:
    name, source = package["name"], package.get("source", {})
    kind = source.get("type")
    if kind in ("directory", "file"):
        return f"{name} @ {(lock.parent / source['url']).resolve().as_uri()}"
    if kind == "git":
        return f"{name} @ git+{source['url']}@{source['resolved_reference']}"
    if kind == "url":
        return f"{name} @ {source['url']}"
    line = f"{name}=={package['version']}"
    marker = _marker(package.get("markers"))
    if marker:
        line += f" ; {marker}"
    hashes = [file["hash"] for file in package.get("files", [])]
    return " ".join([line, *(f"--hash={each}" for each in hashes)])


def _marker(value: object) -> str:
    """Of the group main, where the groups have different ones."""
    return str(value.get("main", "") if isinstance(value, dict) else value or "")
