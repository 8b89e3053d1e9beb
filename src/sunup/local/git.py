"""Asks git about a folder."""

import os
import shutil
import subprocess
from pathlib import Path


def asked(folder: Path, *arguments: str) -> str | None:
    """What git says, as it says it; None where there is no git, or it knows nothing.

    Names of files that are no UTF-8 are as Python has them (`os.fsdecode`). What git's own hooks
    set in the environment is for another repository.
    """
    done = _run(folder, *arguments)
    return None if done is None or done.returncode else os.fsdecode(done.stdout)


def has(folder: Path) -> bool:
    """Whether the folder is in a checkout, whatever git says."""
    return any((each / ".git").exists() for each in (folder.resolve(), *folder.resolve().parents))


def complaint(folder: Path) -> str:
    """Why git does not answer, in its own first line."""
    done = _run(folder, "ls-files", "--error-unmatch", ".")
    if done is None:
        return "git is not on PATH"
    lines = os.fsdecode(done.stderr).splitlines()
    return lines[0].removeprefix("fatal: ") if lines else "git gave no reason"


def _run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes] | None":
    git = shutil.which("git")
    if git is None:
        return None
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(  # noqa: S603
        [git, "-C", str(folder), *arguments], capture_output=True, check=False, env=environ
    )
