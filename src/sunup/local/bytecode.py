"""Files that are read as they are, and not as bytecode remembers them.

Python takes bytecode for a file's if size and time, in whole seconds, are the same (PEP 552): of
what is saved twice within a second it would execute the older text, whenever it runs.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import SourceFileLoader
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

_INSTALLED = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))

_path_stats = SourceFileLoader.path_stats
# Beginnings of paths, as often as they were asked for.
_ignored: list[str] = []


def forget(files: Iterable[Path]) -> None:
    """Remove the bytecode of files that another process will read."""
    for file in files:
        with suppress(OSError, NotImplementedError):  # no right to; a Python without bytecode
            Path(cache_from_source(str(file))).unlink(missing_ok=True)


def ignore(folders: Iterable[Path]) -> list[str]:
    """From now on, neither read nor write bytecode of what is in the folders, in this process.

    What is installed in one of them keeps its bytecode. Returns what was noted.
    """
    noted = [
        f"{str(place).rstrip(os.sep)}{os.sep}"
        for folder in folders
        for place in {folder.absolute(), folder.resolve()}
    ]
    _ignored.extend(noted)
    SourceFileLoader.path_stats = _checked  # type: ignore[method-assign]
    return noted


@contextmanager
def ignored(folders: Iterable[Path]) -> Iterator[None]:
    """As `ignore`, for the time of the block."""
    noted = ignore(folders)
    try:
        yield
    finally:
        for each in noted:
            _ignored.remove(each)


def is_in(file: str, beginnings: Iterable[str]) -> bool:
    """Whether a file's path begins so, and is not that of something installed there."""
    return any(
        file.startswith(each) and not any(part in file[len(each) - 1 :] for part in _INSTALLED)
        for each in beginnings
    )


def _checked(self: SourceFileLoader, path: str) -> Any:
    """Without the file's time importlib compiles its text, and keeps nothing."""
    if _ignored and is_in(path, _ignored):
        raise OSError
    return _path_stats(self, path)
