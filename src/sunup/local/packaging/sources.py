"""Where an app says what it needs: the file that uv is given."""

import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from sunup.local.errors import CommandError
from sunup.local.project import Project

from . import poetry, pylock, requirements, uv
from .requirements import Requirements

HOW_TO_PIN = "Pin them: sunup pin"


@dataclass(frozen=True)
class Source:
    """`file` is a requirements file, a pylock.toml or a pyproject.toml; `shown` is for messages.

    `indexes` is a pyproject.toml that says from which index some of `file` are.
    """

    file: Path
    shown: str
    indexes: Path | None = None

    @property
    def locked(self) -> bool:
        """Whether it is a lock, made by a tool."""
        return self.shown.endswith(".lock") or self.shown.startswith("pylock")

    @property
    def is_pylock(self) -> bool:
        """Whether it is of PEP 751."""
        return self.locked and self.file.suffix == ".toml"

    @property
    def is_project(self) -> bool:
        """Whether it is a pyproject.toml."""
        return self.file.name == "pyproject.toml"

    @cached_property
    def lock(self) -> pylock.Lock:
        """What a pylock.toml says. Raises `CommandError`."""
        return pylock.read(self.file, self.shown)

    @cached_property
    def requirements(self) -> Requirements:
        """Of a requirements file, or of a pyproject.toml; none of a pylock.toml."""
        if self.is_project:
            return Requirements(tuple(dependencies(self.file.parent)))
        return Requirements(()) if self.is_pylock else requirements.read(self.file)

    @property
    def names(self) -> set[str]:
        """The distributions that it names, as far as its text shows."""
        return self.lock.names if self.is_pylock else self.requirements.names


def find(project: Project, scratch: Path) -> Source | None:
    """The file that `[tool.sunup] requirements` names, else the first that is there.

    None for an app without dependencies. `scratch` is a folder for what is converted. Raises
    `CommandError`.
    """
    folder, named = project.folder, project.text("requirements")
    if named is not None:
        if not (folder / named).is_file():
            raise CommandError(f"there is no {named} in {folder}", HOW_TO_PIN)
        return _read(folder / named, folder, scratch)
    lock = _lock_of_workspace(folder)
    candidates = [folder / "requirements.txt", *([lock] if lock is not None else [])]
    candidates += [folder / "pylock.toml", folder / "poetry.lock"]
    for path in candidates:
        if path.is_file():
            return _read(path, folder, scratch)
    if dependencies(folder):
        return Source(folder / "pyproject.toml", "pyproject.toml")
    if "dependencies" in _project(folder).get("dynamic", []):
        raise CommandError(
            "pyproject.toml leaves the dependencies to the build backend (dynamic)",
            "Pin them: uv pip compile pyproject.toml --universal -o requirements.txt",
        )
    return None


def dependencies(folder: Path) -> list[str]:
    """`[project] dependencies` of pyproject.toml. Raises `CommandError`."""
    said = _project(folder).get("dependencies", [])
    if not isinstance(said, list):
        raise CommandError(f"{folder / 'pyproject.toml'}: dependencies is not a list")
    found = [str(each) for each in said]
    try:
        for each in found:
            Requirement(each)
    except InvalidRequirement as error:
        raise CommandError(f"pyproject.toml: {error}".replace("\n", " ")) from None
    return found


def _project(folder: Path) -> dict[str, Any]:
    path = folder / "pyproject.toml"
    if not path.is_file():
        return {}
    try:
        return dict(tomllib.loads(path.read_text(encoding="utf-8")).get("project", {}))
    except (ValueError, AttributeError, TypeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None


def _read(path: Path, folder: Path, scratch: Path) -> Source:
    if path.name == "uv.lock":
        converted = scratch / "pylock.toml"
        # uv finds the lock of the workspace by itself, and takes what this member needs.
        own = path == _lock_of_workspace(folder)
        uv.export(folder if own else path.parent, converted)
        return Source(converted, path.name)
    if path.name == "poetry.lock":
        converted = scratch / "requirements.txt"
        lock = poetry.read(path)
        converted.write_text(lock.requirements, encoding="utf-8")
        if not lock.indexes:
            return Source(converted, path.name)
        indexes = scratch / "pyproject.toml"
        indexes.write_text(lock.indexes, encoding="utf-8")
        return Source(converted, path.name, indexes)
    return Source(path, path.name)


def _lock_of_workspace(folder: Path) -> Path | None:
    """Its own uv.lock, or that of the workspace that it is a member of."""
    if (folder / "uv.lock").is_file():
        return folder / "uv.lock"
    if not (folder / "pyproject.toml").is_file():
        return None
    for parent in folder.parents:
        if (parent / "uv.lock").is_file() and _has_member(parent, folder):
            return parent / "uv.lock"
    return None


def _has_member(root: Path, folder: Path) -> bool:
    try:
        content = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    workspace = content.get("tool", {}).get("uv", {}).get("workspace", {})

    def has(key: str) -> bool:
        return any(folder in root.glob(pattern) for pattern in workspace.get(key, []))

    return has("members") and not has("exclude")
