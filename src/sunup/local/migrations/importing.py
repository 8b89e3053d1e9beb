"""An app's own modules, importable while a tool runs the app's code in its own process."""

import os
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
    twice, would not know itself. All stays while another thread imports something of the folder.
    """
    path = str(folder.resolve())
    before = set(sys.modules)
    sys.path.insert(0, path)
    try:
        with bytecode.distrusted([folder]):
            yield
    finally:
        sys.path.remove(path)
        found = _of(path, set(sys.modules) - before)
        if not any(_is_being_imported(name) for name in found):
            for name in found:
                sys.modules.pop(name, None)


def _of(path: str, names: set[str]) -> list[str]:
    """Those whose file is in the folder. A module may say anything of itself, at any price."""
    beginning = [f"{path.rstrip(os.sep)}{os.sep}"]
    files = {name: getattr(sys.modules.get(name), "__dict__", {}).get("__file__") for name in names}
    return [
        name
        for name, file in files.items()
        if isinstance(file, str) and bytecode.is_in(file, beginning)
    ]


def _is_being_imported(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__dict__", {}).get("__spec__")
    return bool(getattr(spec, "_initializing", False))
