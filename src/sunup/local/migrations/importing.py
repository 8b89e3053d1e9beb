"""An app's own modules, importable while a tool runs the app's code in its own process."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sunup.local import bytecode


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let the block import modules of the folder, and forget them after it.

    Another app's modules may have the same names, and a file may be changed before the next time.
    What is installed stays, also in a virtual environment within the folder: SQLAlchemy, imported
    twice, would not know itself.
    """
    path = folder.resolve()
    before = set(sys.modules)
    sys.path.insert(0, str(path))
    try:
        yield
    finally:
        sys.path.remove(str(path))
        bytecode.forget_new(path)
        for name in set(sys.modules) - before:
            module = sys.modules.get(name)
            # The import system needs what another thread is importing at this moment.
            if getattr(getattr(module, "__spec__", None), "_initializing", False):
                continue
            if bytecode.file_in(path, module):
                sys.modules.pop(name, None)
