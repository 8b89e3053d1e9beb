"""The app's own files and sunup's run-time room, as they go into the package."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

import sunup
import sunup.local
from sunup.local.errors import CommandError

# In the syntax of .gitignore. `[tool.sunup] exclude` adds to them; a pattern with ! takes one back.
NOT_THE_APP = (
    ".*",
    "__pycache__/",
    "*.py[co]",
    "tests/",
    "test_*.py",
    "conftest.py",
    "/migrations/",
    "/terraform/",
    "*.tf",
    "*.tfvars",
    "*.tfstate*",
    "/pyproject.toml",
    "/requirements*.txt",
    "/*.lock",
    "/pylock*.toml",
    "/Makefile",
    "/*.md",
    "*.zip",
    "/venv/",
    "/env/",
    "/node_modules/",
    "/build/",
    "/dist/",
    "*.egg-info/",
)


def copy_app(source: Path, target: Path, exclude: tuple[str, ...] = ()) -> None:
    """Copy the app's files. Raises `CommandError` for a link that leads nowhere."""
    spec = GitIgnoreSpec.from_lines([*NOT_THE_APP, *exclude])
    for path in sorted(_files(source, spec)):
        destination = target / path
        destination.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source / path, destination)
        except OSError as error:
            raise CommandError(f"{source / path} cannot be read: {error.strerror}") from None


def copy_room(target: Path) -> None:
    """Copy sunup's run-time room, as it is installed here."""
    source = Path(sunup.__file__).parent
    local = Path(sunup.local.__file__).parent.name

    def left_out(folder: str, names: list[str]) -> set[str]:
        out = {name for name in names if name == "__pycache__"}
        return out | {local} if Path(folder) == source else out

    shutil.copytree(source, target / "sunup", ignore=left_out)


def _files(source: Path, spec: GitIgnoreSpec) -> Iterator[Path]:
    seen: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(source, followlinks=True):
        here = Path(root).relative_to(source)
        stat = Path(root).stat()
        if (stat.st_dev, stat.st_ino) in seen:
            folders.clear()  # a link to a folder above
            continue
        seen.add((stat.st_dev, stat.st_ino))
        folders[:] = sorted(name for name in folders if not spec.match_file(f"{here / name}/"))
        yield from (here / name for name in files if not spec.match_file(here / name))
