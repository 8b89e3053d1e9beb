"""Files that are read as they are, and not as bytecode remembers them.

Python takes bytecode for a file's if size and time, in whole seconds, are the same (PEP 552): of
what is saved twice within a second it would execute the older text, whenever it runs.
"""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import SourceFileLoader
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

_INSTALLED = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))

# Seconds in which a file may be saved again with the same time: more than one, as clocks differ.
_NEW = 10.0

_path_stats = SourceFileLoader.path_stats
# Beginnings of paths, as often as they were asked for: where bytecode counts for nothing, and
# where it counts if neither it nor the file is new.
_nowhere: list[str] = []
_of_old: list[str] = []


def forget(files: Iterable[Path]) -> None:
    """Remove the bytecode of files that another process will read."""
    for file in files:
        with suppress(OSError, NotImplementedError):  # no right to; a Python without bytecode
            Path(cache_from_source(str(file))).unlink(missing_ok=True)


def distrust(folders: Iterable[Path]) -> None:
    """From now on, in this process, use bytecode in the folders only where it is certain.

    What is installed in one of them is as ever.
    """
    _note(_of_old, folders)


@contextmanager
def distrusted(folders: Iterable[Path]) -> Iterator[None]:
    """As `distrust`, for the time of the block."""
    with _noted(_of_old, folders):
        yield


@contextmanager
def ignored(folders: Iterable[Path]) -> Iterator[None]:
    """Neither read nor write bytecode in the folders, for the time of the block."""
    with _noted(_nowhere, folders):
        yield


def is_in(file: str, beginnings: Iterable[str]) -> bool:
    """Whether a file's path begins so, and is not that of something installed there."""
    return any(
        file.startswith(each) and not any(part in file[len(each) - 1 :] for part in _INSTALLED)
        for each in beginnings
    )


def _note(noted: list[str], folders: Iterable[Path]) -> list[str]:
    found = [
        f"{str(place).rstrip(os.sep)}{os.sep}"
        for folder in folders
        for place in {folder.absolute(), folder.resolve()}
    ]
    noted.extend(found)
    SourceFileLoader.path_stats = _checked  # type: ignore[method-assign]
    return found


@contextmanager
def _noted(noted: list[str], folders: Iterable[Path]) -> Iterator[None]:
    found = _note(noted, folders)
    try:
        yield
    finally:
        for each in found:
            noted.remove(each)


def _checked(self: SourceFileLoader, path: str) -> Any:
    """Without the file's time importlib compiles its text, and keeps nothing."""
    if is_in(path, _nowhere) or (is_in(path, _of_old) and _is_new(path)):
        raise OSError
    return _path_stats(self, path)


def _is_new(path: str) -> bool:
    """Whether the file may still be saved with the same time, or was when it was compiled."""
    written = Path(path).stat().st_mtime
    if time.time() - written < _NEW:
        return True
    with suppress(FileNotFoundError, NotImplementedError):
        kept = Path(cache_from_source(path))
        if kept.stat().st_mtime - written < _NEW:
            kept.unlink()
    return False
