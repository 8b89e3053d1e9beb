"""Follows the handler's imports through the package without executing anything.

A package for another processor cannot be tried here; what it forgot to bring can still be found.
"""

import ast
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .modules import Modules, locate

# Lambda's managed runtimes bring these: boto3 with what it requires, and the runtime's own.
OF_THE_RUNTIME = frozenset(
    {
        *("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3"),
        *("awslambdaric", "snapshot_restore_py"),
    }
)

# What a version no longer has, and what it was the first to have ("What's New in Python 3.X").
_REMOVED = {
    "3.12": {"asynchat", "asyncore", "distutils", "imp", "smtpd"},
    "3.13": {
        *("aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "lib2to3", "mailcap"),
        *("msilib", "nis", "nntplib", "ossaudiodev", "pipes", "sndhdr", "spwd", "sunau"),
        *("telnetlib", "uu", "xdrlib"),
    },
}
_ADDED = {"3.14": {"annotationlib", "compression"}}


@dataclass(frozen=True)
class Followed:
    """`missing`: modules, each with the file that asks for it; `read`: the files looked into."""

    missing: list[tuple[str, str]]
    read: set[str]


@dataclass(frozen=True)
class _Import:
    """Of `from module import names`, or of `import module`."""

    module: str
    names: list[str] = field(default_factory=list)


def follow(
    modules: Modules, starts: Iterable[str], own: set[str], folders: Iterable[Path] = ()
) -> Followed:
    """Find the imports that nothing in the package satisfies.

    Only what is imported in any case, at the top level of modules of the packages in `own`.
    `folders` are those that the app was copied from. Raises `CommandError` for a module that is
    not Python.
    """
    missing: set[tuple[str, str]] = set()
    standard = standard_library(modules.python)
    seen: set[str] = set()
    read: set[str] = set()
    waiting = [each for name in starts for each in _with_parents(name)]
    while waiting:
        name = waiting.pop()
        path = modules.locate(name)
        if path is None or name in seen or path.suffix != ".py":
            continue
        seen.add(name)
        where = path.relative_to(modules.folder).as_posix()
        read.add(where)
        for wanted in _imports(modules, path, name):
            top = wanted.module.partition(".")[0]
            if top in standard:
                continue
            if not top or (modules.locate(top) is None and top not in OF_THE_RUNTIME):
                missing.add((top or wanted.module, where))
            elif top in own:
                missing.update((each, where) for each in _absent(modules, wanted, folders))
                waiting += _with_parents(wanted.module)
                waiting += [f"{wanted.module}.{each}" for each in wanted.names]
    return Followed(sorted(missing), read)


def standard_library(python: str) -> set[str]:
    """The top-level names of a Python's standard library."""
    names = set(sys.stdlib_module_names).union(*_REMOVED.values(), *_ADDED.values())
    for version, removed in _REMOVED.items():
        if _number(python) >= _number(version):
            names -= removed
    for version, added in _ADDED.items():
        if _number(python) < _number(version):
            names -= added
    return names


def without(python: str, module: str) -> bool:
    """Whether another Python's standard library has a module, and this one's has not."""
    others = set().union(*_REMOVED.values(), *_ADDED.values())
    return module in others - standard_library(python)


def _absent(modules: Modules, wanted: _Import, folders: Iterable[Path]) -> list[str]:
    """Which submodules are not there; of names those that the app has as modules elsewhere."""
    for name in _with_parents(wanted.module):
        if modules.locate(name) is None:
            return [name] if _can_tell(modules, name) else []
    place = modules.locate(wanted.module)
    found = []
    for each in wanted.names:
        name = f"{wanted.module}.{each}"
        sources = [locate(folder, name) for folder in folders]
        if modules.locate(name) is None and any(path and path.is_file() for path in sources):
            if place is None or not _can_tell(modules, name):
                continue
            if place.is_dir() or not modules.defines(place, each):
                found.append(name)
    return found


def _can_tell(modules: Modules, name: str) -> bool:
    """Whether none of the packages around a module makes modules itself, as six does."""
    for parent in _with_parents(name)[:-1]:
        path = modules.locate(parent)
        if path is None or path.is_dir():
            continue
        text = path.read_bytes() if path.suffix == ".py" else None
        if text is None or b"sys.modules" in text or b"__path__" in text:
            return False
    return True


def _imports(modules: Modules, path: Path, module: str) -> list[_Import]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    parts = package.split(".") if package else []
    found: list[_Import] = []
    tree = modules.tree(path)
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.Import):
            found += [_Import(each.name) for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level > len(parts):
                base = f"{'.' * node.level}{base}"  # outside of any package
            elif node.level:
                above = ".".join(parts[: len(parts) - node.level + 1])
                base = f"{above}.{base}" if base else above
            found.append(_Import(base, [each.name for each in node.names]))
    return found


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _number(python: str) -> tuple[int, ...]:
    return tuple(map(int, python.split(".")))
