"""What Lambda does not need of a wheel: a list by name, since a guess can break a package.

`[tool.sunup] keep = ["numpy"]` leaves a package whole.
"""

import shutil
from collections.abc import Iterable
from importlib.metadata import Distribution
from pathlib import Path

from packaging.utils import canonicalize_name
from pathspec import GitIgnoreSpec

from .strip import strip

_SOURCES = ("*.pyx", "*.pxd", "*.pxi", "*.c", "*.cc", "*.cpp", "*.h", "*.hpp")
_STUBS = ("*.pyi",)
_TESTS = ("tests/", "_tests/")

# By distribution, in .gitignore's words: what was looked at, and is used by nobody at run time.
PRUNED: dict[str, tuple[str, ...]] = {
    "asyncpg": (*_SOURCES, *_STUBS, "_testbase/"),
    "cffi": ("*.h",),
    "cryptography": _STUBS,
    "greenlet": (*_SOURCES, "greenlet/tests/", "greenlet/platform/"),
    "lxml": (*_SOURCES, "lxml/includes/"),
    "msgspec": _STUBS,
    "numpy": (*_STUBS, *_SOURCES, *_TESTS, "*.a", "numpy/f2py/", "numpy/_pyinstaller/"),
    "orjson": _STUBS,
    "pandas": (*_STUBS, "pandas/tests/"),
    "pillow": (*_STUBS, *_SOURCES),
    "psycopg": ("psycopg/*.pyi",),
    "psycopg-binary": (*_STUBS, *_SOURCES),
    "pydantic-core": _STUBS,
    "pymongo": _SOURCES,
    "scipy": (*_STUBS, *_SOURCES, *_TESTS, "*.a"),
    "sqlalchemy": (*_SOURCES, "sqlalchemy/testing/"),
    "uvloop": (*_SOURCES, *_STUBS),
    "httptools": (*_SOURCES, *_STUBS),
}

# What an installer notes for itself: of use to nobody, and not the same each time.
_NOTES = frozenset(
    {"RECORD", "INSTALLER", "REQUESTED", "WHEEL", "direct_url.json", "uv_cache.json"}
)


def prune(folder: Path, keep: Iterable[str] = ()) -> None:
    """Take out what the list names, foreign bytecode, and debugging information."""
    kept = {canonicalize_name(each) for each in keep}
    whole: set[Path] = set()
    for info in sorted(folder.glob("*.dist-info")):
        distribution = Distribution.at(info)
        name = canonicalize_name(distribution.metadata["Name"] or "")
        files = [folder / str(file) for file in distribution.files or ()]
        if name in kept:
            whole.update(files)
        elif name in PRUNED:
            spec = GitIgnoreSpec.from_lines(PRUNED[name])
            for path in files:
                if path.is_file() and spec.match_file(path.relative_to(folder).as_posix()):
                    path.unlink()
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            if path.name == "__pycache__":
                shutil.rmtree(path)
            elif not any(path.iterdir()):
                path.rmdir()
        elif path.suffix in (".pyc", ".pyo") or _is_note(path):
            path.unlink()
        elif (path.suffix == ".so" or ".so." in path.name) and path not in whole:
            strip(path)


def _is_note(path: Path) -> bool:
    return path.parent.name.endswith(".dist-info") and path.name in _NOTES
