"""The files of a folder: those that git knows, or, where there is no git, those not ignored."""

import os
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

from sunup.local import git

# Where nothing of the app is, however it is asked for.
_NEVER = frozenset({".git", "__pycache__", ".venv", ".sunup", ".terraform"})


def files(folder: Path) -> set[Path]:
    """What git tracks or would track, relative to the folder; links are followed."""
    listed = _listed(folder)
    if listed is None:
        return set(walked(folder, ignored=True))
    found: set[Path] = set()
    for path in listed:
        place = folder / path
        if place.is_file():
            found.add(path)
        elif place.is_dir():  # a link to a folder, or a submodule
            inner = walked(place) if place.is_symlink() else files(place)
            found.update(path / each for each in inner)
        elif place.is_symlink():
            found.add(path)  # leads nowhere: told when it is read
    return found


def walked(folder: Path, *, ignored: bool = False) -> Iterator[Path]:
    """All files below a folder, relative to it; without what .gitignore names, if `ignored`."""
    seen: set[tuple[int, int]] = set()
    specs: dict[Path, GitIgnoreSpec] = {}
    for root, folders, names in os.walk(folder, followlinks=True):
        here = Path(root)
        stat = here.stat()
        if (stat.st_dev, stat.st_ino) in seen:
            folders.clear()  # a link to a folder above
            continue
        seen.add((stat.st_dev, stat.st_ino))
        if ignored and ".gitignore" in names:
            lines = (here / ".gitignore").read_text(encoding="utf-8", errors="replace")
            specs[here] = GitIgnoreSpec.from_lines(lines.splitlines())

        def out(path: Path, mark: str = "", specs: dict[Path, GitIgnoreSpec] = specs) -> bool:
            return any(
                spec.match_file(f"{path.relative_to(place).as_posix()}{mark}")
                for place, spec in specs.items()
                if path.is_relative_to(place)
            )

        folders[:] = sorted(
            name for name in folders if name not in _NEVER and not out(here / name, "/")
        )
        yield from ((here / name).relative_to(folder) for name in names if not out(here / name))


def _listed(folder: Path) -> list[Path] | None:
    """By `git ls-files`; None where there is no git, or where it ignores the whole folder."""
    options = ("--cached", "--others", "--exclude-standard", "--deduplicate")
    said = git.asked(folder, "ls-files", "-z", *options)
    names = [Path(each) for each in (said or "").split("\0") if each]
    return names or None
