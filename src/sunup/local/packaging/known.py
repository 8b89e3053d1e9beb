"""The files of a folder: those that git knows, or, where there is no git, those not ignored."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pathspec import GitIgnoreSpec

from sunup.local import git
from sunup.local.errors import CommandError

# Where nothing of the app is, however it is asked for.
_NEVER = frozenset({".git", "__pycache__", ".venv", ".sunup", ".terraform"})

# Lines of a .gitignore that git passes over.
_NOTHING = {"!", "/", "!/"}

_Specs = Sequence[tuple[Path, GitIgnoreSpec]]


def files(folder: Path) -> set[Path]:
    """What git tracks or would track, relative to the folder; links are followed.

    Without git all but what .gitignore names. Raises `CommandError` where git has the folder, and
    cannot be asked: what it ignores would go along.
    """
    return _files(folder, ())


def tracked(folder: Path) -> set[Path]:
    """What git tracks."""
    return _paths(git.asked(folder, "ls-files", "-z", "--cached"))


def walked(folder: Path) -> Iterator[Path]:
    """All files below a folder, relative to it, whatever .gitignore says."""
    yield from _walked(folder, Path(), (), None)


def spec(lines: Sequence[str], where: str) -> GitIgnoreSpec:
    """Patterns in .gitignore's words. Raises `CommandError`, which says `where` they are."""
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise CommandError(f"{where}: {error}", "Write patterns as in .gitignore.") from None


def _files(folder: Path, above: tuple[str, ...]) -> set[Path]:
    real = os.path.realpath(folder)
    if real in above:
        return set()  # a link to a folder above
    above = (*above, real)
    found: set[Path] = set()
    listed = _listed(folder)
    if listed is None:
        return set(_walked(folder, Path(), above[:-1], ()))
    for path in listed:
        place = folder / path
        # A link to a folder, or a submodule.
        if place.is_dir() and (place.is_symlink() or (place / ".git").exists()):
            found.update(path / each for each in _files(place, above))
        elif place.is_file() or place.is_symlink() or place.is_dir():
            # Also what leads nowhere, or is not checked out: told when it is read.
            found.add(path)
    return found


def _walked(root: Path, path: Path, above: tuple[str, ...], specs: _Specs | None) -> Iterator[Path]:
    here = root / path
    real = os.path.realpath(here)
    if real in above:
        return
    if specs is not None and (here / ".gitignore").is_file():
        text = (here / ".gitignore").read_text(encoding="utf-8", errors="replace")
        lines = [line for line in text.splitlines() if line.strip() not in _NOTHING]
        specs = (*specs, (path, spec(lines, str(here / ".gitignore"))))
    for name in sorted(each.name for each in here.iterdir()):
        inner = path / name
        if not (root / inner).is_dir():
            if not _ignored(specs, inner):
                yield inner
        elif name not in _NEVER and not _ignored(specs, inner, "/"):
            yield from _walked(root, inner, (*above, real), specs)


def _ignored(specs: _Specs | None, path: Path, mark: str = "") -> bool:
    """As git: of all that say something, the innermost file's last line counts."""
    found = None
    for place, patterns in specs or ():
        said = patterns.check_file(f"{path.relative_to(place).as_posix()}{mark}").include
        found = said if said is not None else found
    return bool(found)


def _listed(folder: Path) -> set[Path] | None:
    """By `git ls-files`; None where there is no git, or where it ignores the whole folder."""
    options = ("--cached", "--others", "--exclude-standard")
    said = git.asked(folder, "ls-files", "-z", *options)
    if said is None and git.has(folder):
        raise CommandError(
            f"{folder} is in a git checkout, but git cannot list its files: "
            f"{git.complaint(folder)}",
            "Files that git ignores must not be packaged: make git work here, or remove .git.",
        )
    return _paths(said) or None


def _paths(said: str | None) -> set[Path]:
    return {Path(each) for each in (said or "").split("\0") if each}
