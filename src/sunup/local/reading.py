"""A project's own sources, read and not imported."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .layout import SRC

_ELSEWHERE = {"tests", "test", "migrations", "alembic", "node_modules", "venv", "build", "dist"}
_DEEPEST = 4


@dataclass(frozen=True)
class Source:
    """`file` is a path in the project's folder, `module` what it is imported as."""

    file: str
    module: str
    tree: ast.Module

    @property
    def last(self) -> str:
        """The end of its name, by which other modules mostly know it."""
        return self.module.rpartition(".")[2]


def sources(folder: Path) -> list[Source]:
    """Those that may be of the app: not its tests, nor its migrations."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        hidden = any(part.startswith(".") or part in _ELSEWHERE for part in parts[:-1])
        if len(parts) <= _DEEPEST and not hidden and not parts[-1].startswith("test_"):
            try:
                found.append((path, parts, ast.parse(path.read_bytes())))
            except (OSError, SyntaxError, ValueError):
                continue  # no app that could be started
    at_top = not any(_in_package_src(parts, tree) for _, parts, tree in found)
    return [
        Source(path.relative_to(folder).as_posix(), _module(parts, src_at_top=at_top), tree)
        for path, parts, tree in found
    ]


def _module(parts: tuple[str, ...], *, src_at_top: bool) -> str:
    if src_at_top and parts[0] == SRC and len(parts) > 1:
        parts = parts[1:]
    return ".".join(parts).removesuffix(".__init__")


def _in_package_src(parts: tuple[str, ...], tree: ast.Module) -> bool:
    """Whether a file shows that `src` is a package: its `__init__`, or an import by that name."""
    if parts[0] != SRC:
        return False
    if parts == (SRC, "__init__"):
        return True
    if any(name.partition(".")[0] == SRC for name in imports(tree)):
        return True
    dots = (node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return any(level >= len(parts) - 1 > 0 for level in dots)


def imports(tree: ast.Module) -> Iterator[str]:
    """The modules that are imported by their whole names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def called(node: ast.AST) -> str:
    """The last name of what is called; empty for what is no call."""
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "id", "") or getattr(node.func, "attr", "")
