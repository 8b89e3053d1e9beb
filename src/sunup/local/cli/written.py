"""Files that a command writes besides what it prints."""

from collections.abc import Callable
from pathlib import Path

from sunup.local.errors import CommandError


def check_writable(path: Path | None) -> None:
    """Before something takes long: raise `CommandError` where it could not be written."""
    if path is None:
        return
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
