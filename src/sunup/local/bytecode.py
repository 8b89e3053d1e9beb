"""Files that are read as they are, and not as bytecode remembers them.

Python takes bytecode for a file's if size and time, in whole seconds, are the same (PEP 552): of
what is saved twice within a second it would execute the older text.
"""

import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType

_INSTALLED = {"site-packages", "dist-packages"}

# Seconds. Some file systems have the time in steps of two.
_NEW = 3.0


def forget(files: Iterable[Path], *, of_new: bool = False) -> None:
    """Have files read anew; with `of_new` only those that may be saved again with the same time."""
    for file in files:
        with suppress(OSError, NotImplementedError):  # no right to; a Python without bytecode
            if not of_new or time.time() - file.stat().st_mtime < _NEW:
                Path(cache_from_source(str(file))).unlink(missing_ok=True)


def file_in(folder: Path, module: ModuleType | None) -> Path | None:
    """A module's file, if it is in the folder and not installed there."""
    name = getattr(module, "__file__", None)
    file = Path(name).resolve() if name else None
    if file is None or not file.is_relative_to(folder) or _INSTALLED & {*file.parts}:
        return None
    return file


def forget_new(folder: Path) -> None:
    """Have what was imported from the folder read anew by the next process, if it is new."""
    found = [file_in(folder, module) for module in list(sys.modules.values())]
    forget((each for each in found if each is not None), of_new=True)
