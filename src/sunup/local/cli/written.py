"""Files that a command writes besides what it prints."""

import sys
from collections.abc import Callable
from pathlib import Path

from sunup.local.errors import CommandError

from .waiting import ERRORS


def check_writable(*paths: Path | None) -> None:
    """Before something takes long: raise `CommandError` where one could not be written."""
    for path in filter(None, paths):
        if path.is_dir():
            raise CommandError(f"{path} is a folder", "Pass the name of a file.")
        if not path.absolute().parent.is_dir():
            raise CommandError(f"there is no folder {path.parent}", "Make it first.")


def write(path: Path | None, text: Callable[[], str]) -> None:
    """Write a file, where one is wanted. Raises `CommandError`."""
    if path is None:
        return
    try:
        path.write_text(text(), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None


def tell_written(*paths: Path | None) -> None:
    """Name the files that were wanted, below what the command printed."""
    sys.stdout.flush()
    for path in filter(None, paths):
        ERRORS.print(f"Written: {path}", markup=False, soft_wrap=True)
