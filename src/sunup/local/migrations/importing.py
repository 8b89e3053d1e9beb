"""An app's own modules, importable while a tool runs the app's code in its own process."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_INSTALLED = {"site-packages", "dist-packages"}


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let the block import modules of the folder, and forget them after it.

    Another app's modules may have the same names, and a file may be changed before the next time.
    What is installed stays, also in a virtual environment within the folder: SQLAlchemy, imported
    twice, would not know itself.
    """
    path = str(folder.resolve())
    before = set(sys.modules)
    sys.path.insert(0, path)
    try:
        yield
    finally:
        sys.path.remove(path)
        for name in set(sys.modules) - before:
            module = sys.modules.get(name)
            file = getattr(module, "__file__", None)
            # The import system needs what another thread is importing at this moment.
            if getattr(getattr(module, "__spec__", None), "_initializing", False):
                continue
            if file and Path(file).is_relative_to(path) and not _INSTALLED & {*Path(file).parts}:
                sys.modules.pop(name, None)
