"""Reads the text of a package's modules; nothing is executed."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sunup.local.errors import CommandError

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.ClassDef, ast.Lambda)


def locate(folder: Path, name: str) -> Path | None:
    """The file (or folder, for a namespace package) of a module."""
    path = folder.joinpath(*name.split("."))
    for candidate in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if candidate.is_file():
            return candidate
    native = sorted(path.parent.glob(f"{path.name}.*.so")) if path.parent.is_dir() else []
    if native:
        return native[0]
    if path.with_name(f"{path.name}.pyc").is_file():
        return path.with_name(f"{path.name}.pyc")
    return path if path.is_dir() else None


@dataclass(frozen=True)
class Modules:
    """The modules in a folder, for a Python: major.minor."""

    folder: Path
    python: str

    def locate(self, name: str) -> Path | None:
        """The file (or folder, for a namespace package) of a module."""
        return locate(self.folder, name)

    def tree(self, path: Path) -> ast.Module | None:
        """A module's syntax tree; None where this Python cannot tell what the target's reads.

        Raises `CommandError` for what is not Python.
        """
        try:
            return ast.parse(path.read_bytes())
        except (MemoryError, RecursionError):
            return None
        except (SyntaxError, ValueError) as error:
            if tuple(map(int, self.python.split("."))) > sys.version_info[:2]:
                return None  # may be its newer syntax
            line = getattr(error, "lineno", None)
            place = path.relative_to(self.folder).as_posix() + (f", line {line}" if line else "")
            raise CommandError(f"{place}: {getattr(error, 'msg', None) or error}") from None

    def defines(self, path: Path, name: str) -> bool:
        """Whether a module's top level binds a name, as far as its text shows.

        Raises `CommandError` for what is not Python.
        """
        tree = self.tree(path)
        if tree is None:
            return True
        return any(_binds(node, name) for node in _of_the_module(tree))

    def apps_named(self, path: Path) -> list[str]:
        """The texts, such as "app:app", that a module gives to sunup's `Handler`.

        Raises `CommandError` for what is not Python.
        """
        tree = self.tree(path)
        if tree is None:
            return []
        handlers, texts = _handlers(tree), _texts(tree)
        found = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _dotted(node.func) in handlers:
                given = [
                    *node.args[:1],
                    *(each.value for each in node.keywords if each.arg == "app"),
                ]
                for each in given:
                    if isinstance(each, ast.Constant) and isinstance(each.value, str):
                        found.append(each.value)
                    elif isinstance(each, ast.Name):
                        found += texts.get(each.id, [])
        return found


def _of_the_module(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes whose names are the module's: of functions and classes only themselves.

    And the names that functions declare to be global.
    """
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, _SCOPES):
            yield from (each for each in ast.walk(node) if isinstance(each, ast.Global))
        else:
            waiting += ast.iter_child_nodes(node)


def _binds(node: ast.AST, name: str) -> bool:
    match node:
        case ast.ImportFrom():
            return any((each.asname or each.name) in (name, "*") for each in node.names)
        case ast.Import():
            return any((each.asname or each.name.partition(".")[0]) == name for each in node.names)
        case ast.Name():
            return isinstance(node.ctx, ast.Store) and node.id == name
        case ast.FunctionDef():  # PEP 562: it may give any name
            return node.name in (name, "__getattr__")
        case ast.AsyncFunctionDef() | ast.ClassDef() | ast.MatchAs() | ast.MatchStar():
            return node.name == name
        case ast.Global():
            return name in node.names
    return False


def _handlers(tree: ast.Module) -> set[str]:
    """What sunup's `Handler` is called in a module, and nothing else is."""
    found: set[str] = set()
    others: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            of_sunup = not node.level and (node.module or "").split(".")[0] == "sunup"
            for each in node.names:
                if not of_sunup:
                    others.add(each.asname or each.name)
                elif each.name in ("Handler", "*"):
                    found.add(each.asname or "Handler")
        elif isinstance(node, ast.Import):
            for each in node.names:
                if each.name.split(".")[0] == "sunup":
                    found.add(f"{each.asname or each.name}.Handler")
        elif isinstance(node, ast.ClassDef):
            others.add(node.name)
    return found - others


def _texts(tree: ast.Module) -> dict[str, list[str]]:
    """The names that are only ever texts, each with these."""
    found: dict[str, list[str]] = {}
    stored: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            stored[node.id] = stored.get(node.id, 0) + 1
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for target in node.targets:
                if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                    found.setdefault(target.id, []).append(node.value.value)
    return {name: texts for name, texts in found.items() if len(texts) == stored[name]}


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
