"""Local folders that are built: from a copy, since a build writes into the folder it builds."""

import shutil
from pathlib import Path

from sunup.local import git

from . import known, secrets


class Copies:
    """Copies of folders, each with what git knows of it: what is ignored does not change a build.

    A copy lies among links to what lies beside the folder, up to the top of its repository: so
    it finds its history (setuptools-scm), its workspace, and what it names with `../`. `made` are
    the folders, each with its copy.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._tops: dict[Path, Path] = {}
        self.made: dict[Path, Path] = {}

    def place(self, folder: Path) -> Path:
        """Where the copy of a folder is; it is made once."""
        folder = folder.resolve()
        if folder in self.made:
            return self.made[folder]
        top = _top(folder)
        copied = self._tops.setdefault(top, self._scratch / f"local-{len(self._tops)}")
        here, real = copied, top
        for part in folder.relative_to(top).parts:
            _open(here, real)
            here, real = here / part, real / part
        _copy(folder, here)
        self.made[folder] = here
        return here


def _top(folder: Path) -> Path:
    said = git.asked(folder, "rev-parse", "--show-toplevel")
    return Path(said.rstrip("\n")).resolve() if said else folder.parent


def _open(here: Path, real: Path) -> None:
    """A folder of links in the place of a link to the folder."""
    if here.is_dir() and not here.is_symlink():
        return
    here.unlink(missing_ok=True)
    here.mkdir(parents=True)
    for each in real.iterdir():
        (here / each.name).symlink_to(each)


def _copy(folder: Path, here: Path) -> None:
    if here.is_symlink():
        here.unlink()
    here.mkdir(parents=True, exist_ok=True)
    for link in [each for each in here.rglob("*") if each.is_symlink()]:
        link.unlink()  # it was on the way to another copy
    files = known.files(folder)
    # What is built goes into the package: as of the app's own files, no secret of it.
    for path in files.difference(secrets.looked_for(folder, files).left_out):
        target = here / path
        if (folder / path).is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / path, target)
    if (folder / ".git").exists():
        (here / ".git").symlink_to(folder / ".git")
