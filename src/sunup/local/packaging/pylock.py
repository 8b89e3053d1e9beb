"""A pylock.toml (PEP 751) as uv is given it: it names of each distribution where it is."""

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

import sunup
from sunup.local.errors import CommandError

from .target import Target

_LOCK_AGAIN = "Lock again with the tool that wrote it."


@dataclass(frozen=True)
class Lock:
    """`packages` and the `rest` are as in the file; `shown` is for messages."""

    packages: list[dict[str, Any]]
    rest: dict[str, Any]
    folder: Path
    shown: str

    @property
    def names(self) -> set[str]:
        """The distributions that it names."""
        return {_name(each) for each in self.packages}

    @property
    def sources(self) -> tuple[str, ...]:
        """Those that are folders, repositories or archives: they are built here."""
        return tuple(_name(each) for each in self.packages if _is_source(each))

    @property
    def has_other_sunup(self) -> bool:
        """Whether it pins a sunup that is not this one: another version, or a repository."""
        return any(
            "vcs" in each or each.get("version", sunup.__version__) != sunup.__version__
            for each in self.packages
            if _name(each) == "sunup"
        )

    def check(self, target: Target) -> None:
        """Raises `CommandError` where it is not for the target's Python."""
        python = str(self.rest.get("requires-python", ""))
        try:
            suits = SpecifierSet(python).contains(target.environment["python_full_version"])
        except InvalidSpecifier as error:
            raise CommandError(f"{self.shown} cannot be read: {error}", _LOCK_AGAIN) from None
        if not suits:
            raise CommandError(
                f"{self.shown} is for Python {python}, but the package is for {target.python}",
                "Pass a matching --python, or lock again for this one.",
            )

    def write(self, path: Path, without: Iterable[str], place: Callable[[Path], Path]) -> None:
        """Write it elsewhere, less some distributions; `place` says where a folder is built.

        Which Python it is for is left out: uv would compare the one that runs, not the target.
        """
        left_out = set(without)
        kept = {key: self.rest[key] for key in self.rest if key != "requires-python"}
        text = "".join(f"{key} = {_toml(value)}\n" for key, value in kept.items())
        for package in self.packages:
            if _name(package) not in left_out:
                rows = _moved(package, self.folder, place).items()
                text += "\n[[packages]]\n" + "".join(f"{key} = {_toml(row)}\n" for key, row in rows)
        path.write_text(text, encoding="utf-8")


def read(path: Path, shown: str) -> Lock:
    """Raises `CommandError`."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        packages = [dict(each) for each in content.pop("packages", [])]
        if not all(isinstance(each.get("name"), str) for each in packages):
            raise ValueError("a package has no name")  # noqa: TRY301
    except (ValueError, TypeError, AttributeError) as error:
        raise CommandError(f"{shown} cannot be read: {error}", _LOCK_AGAIN) from None
    return Lock(packages, content, path.parent, shown)


def _name(package: Mapping[str, Any]) -> str:
    return canonicalize_name(package["name"])


def _is_source(package: Mapping[str, Any]) -> bool:
    archive = package.get("archive") or {}
    place = str(archive.get("path") or archive.get("url") or "")
    is_wheel = place.partition("#")[0].endswith(".whl")
    return "directory" in package or "vcs" in package or ("archive" in package and not is_wheel)


def _moved(value: Any, folder: Path, place: Callable[[Path], Path]) -> Any:
    """With paths that do not depend on where the file is."""
    if isinstance(value, dict):
        moved = {key: _moved(each, folder, place) for key, each in value.items()}
        if "path" in value:
            path = (folder / value["path"]).resolve()
            is_built = path.is_dir() and "commit-id" not in value  # not a repository
            moved["path"] = str(place(path) if is_built else path)
        return moved
    return [_moved(each, folder, place) for each in value] if isinstance(value, list) else value


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_toml(key)} = {_toml(each)}' for key, each in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(each) for each in value)}]"
    if isinstance(value, str | bool | int | float):
        return json.dumps(value, ensure_ascii=False)
    return str(value)  # a date
