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
    git = shutil.which("git")
    if git is None:
        return None
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    result = subprocess.run(  # noqa: S603
        [git, "-C", str(folder), *arguments], capture_output=True, check=False, env=environ
    )
    return None if result.returncode else os.fsdecode(result.stdout)
