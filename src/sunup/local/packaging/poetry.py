"""poetry.lock as files for uv: the main group, with markers, hashes and indexes."""

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sunup.local.errors import CommandError


@dataclass(frozen=True)
class Lock:
    """`requirements` is a requirements file: the pins of the group `main`, a line each.

    `indexes` is a pyproject.toml, which says from which other index some of them are; a
    requirements file cannot. It is empty where all are from the default one.
    """

    requirements: str
    indexes: str


def read(path: Path) -> Lock:
    """Raises `CommandError`."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        packages = [dict(each) for each in content["package"]]
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{path} cannot be read: {error}", "Lock again: poetry lock") from None
    wanted = [each for each in packages if _wanted(each)]
    lines = [_line(each, path) for each in wanted]
    return Lock("".join(f"{line}\n" for line in lines), _indexes(wanted))


def _wanted(package: dict[str, Any]) -> bool:
    # Before version 2.1 of the format the lock does not say what is for development only.
    if "groups" not in package:
        raise CommandError(
            "poetry.lock has a format that does not say which dependencies are for production",
            "Lock again with Poetry 2: poetry lock",
        )
    return "main" in package["groups"] and not package.get("optional", False)


def _line(package: dict[str, Any], lock: Path) -> str:
    name, source = package["name"], package.get("source", {})
    kind = source.get("type")
    if kind in ("directory", "file"):
        return f"{name} @ {(lock.parent / source['url']).resolve().as_uri()}"
    if kind == "git":
        inner = f"#subdirectory={source['subdirectory']}" if source.get("subdirectory") else ""
        return f"{name} @ git+{source['url']}@{source['resolved_reference']}{inner}"
    if kind == "url":
        return f"{name} @ {source['url']}"
    hashes = [file["hash"] for file in package.get("files", [])]
    return " ".join([_pin(package), *(f"--hash={each}" for each in hashes)])


def _pin(package: dict[str, Any]) -> str:
    marker = _marker(package.get("markers"))
    return f"{package['name']}=={package['version']}" + (f" ; {marker}" if marker else "")


def _indexes(packages: list[dict[str, Any]]) -> str:
    """With Poetry's names of them, so that UV_INDEX_<NAME>_PASSWORD can be given to uv."""
    private = [each for each in packages if each.get("source", {}).get("type") == "legacy"]
    if not private:
        return ""
    urls = {_index(each): each["source"]["url"] for each in private}
    lines = ["[project]", 'name = "app"', 'version = "0"']
    lines += [f"dependencies = {json.dumps([_pin(each) for each in private])}", "[tool.uv.sources]"]
    indexes = {each["name"]: _index(each) for each in private}
    lines += [f"{json.dumps(name)} = {{ index = {json.dumps(indexes[name])} }}" for name in indexes]
    for name, url in urls.items():
        lines += ["[[tool.uv.index]]", f"name = {json.dumps(name)}", f"url = {json.dumps(url)}"]
        lines.append("explicit = true")
    return "".join(f"{line}\n" for line in lines)


def _index(package: dict[str, Any]) -> str:
    source = package["source"]
    return re.sub(r"[^A-Za-z0-9_-]", "-", source.get("reference") or source["url"])


def _marker(value: object) -> str:
    """Of the group main, where the groups have different ones."""
    return str(value.get("main", "") if isinstance(value, dict) else value or "")
