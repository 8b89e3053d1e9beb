"""Where an app says what it needs: the file that uv is given."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from sunup.local.errors import CommandError
from sunup.local.project import Project

from . import poetry, pylock, uv

HOW_TO_PIN = "Pin them: sunup pin"


# Of a line of a requirements file: the name, and what pins it.
_LINE = re.compile(
    r"^(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*(?P<pin>==[^*;,]+(?:;|--|$|#| )|@)?"
)
_INCLUDED = re.compile(r"^(?:-r|--requirement)[ =]*(\S+)")


@dataclass(frozen=True)
class Source:
    """`file` is a requirements file, a pylock.toml or a pyproject.toml; `shown` is for messages.

    `indexes` is a pyproject.toml that says from which index some of `file` are.
    """

    file: Path
    shown: str
    indexes: Path | None = None

    @property
    def text(self) -> str:
        """What is in it, and in the files that it includes."""
        return _expanded(self.file)

    @property
    def lines(self) -> list[str]:
        """The requirements of a requirements file, or of pyproject.toml."""
        if self.file.name == "pyproject.toml":
            return dependencies(self.file.parent)
        if self.file.suffix == ".toml":
            return []
        lines = [line.strip() for line in re.sub(r"\\\r?\n", " ", self.text).splitlines()]
        return [line for line in lines if line and not line.startswith(("#", "-"))]

    @property
    def requirements(self) -> list[str]:
        """The same in PEP 508's words: without hashes and comments."""
        return [re.split(r"\s+(?:--hash|#)", line)[0].strip() for line in self.lines]

    @property
    def lock(self) -> pylock.Lock:
        """What a pylock.toml says. Raises `CommandError`."""
        return pylock.read(self.file, self.shown)

    @property
    def names(self) -> set[str]:
        """The distributions that it names, as far as its text shows."""
        if self.is_pylock:
            return self.lock.names
        return {canonicalize_name(each["name"]) for each in self._matches}

    @property
    def pins(self) -> set[str]:
        """Those of them that are pinned to one version."""
        return {canonicalize_name(each["name"]) for each in self._matches if each["pin"]}

    @property
    def locked(self) -> bool:
        """Whether it is a lock, made by a tool."""
        return self.shown.endswith(".lock") or self.shown.startswith("pylock")

    @property
    def is_pylock(self) -> bool:
        """Whether it is of PEP 751."""
        return self.locked and self.file.suffix == ".toml"

    @property
    def hashed(self) -> bool:
        """Whether each line has a hash, so that all have to."""
        lines = [] if self.file.suffix == ".toml" else self.lines
        return bool(lines) and all("--hash" in line for line in lines)

    @property
    def _matches(self) -> list["re.Match[str]"]:
        return [found for line in self.lines if (found := _LINE.match(line))]


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
    return None


def dependencies(folder: Path) -> list[str]:
    """`[project] dependencies` of pyproject.toml. Raises `CommandError`."""
    path = folder / "pyproject.toml"
    if not path.is_file():
        return []
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None
    found = [str(each) for each in project.get("dependencies", [])]
    try:
        for each in found:
            Requirement(each)
    except InvalidRequirement as error:
        raise CommandError(f"pyproject.toml: {error}".replace("\n", " ")) from None
    return found


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


def _expanded(path: Path, depth: int = 5) -> str:
    lines = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        included = _INCLUDED.match(line.strip())
        other = path.parent / included[1] if included else None
        if other is not None and other.is_file() and depth:
            lines.append(_expanded(other, depth - 1))
        else:
            lines.append(line)
    return "\n".join(lines)
