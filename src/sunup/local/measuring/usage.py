"""How the app uses what it imports: not at all, within functions only, or while it is imported.

What is in doubt counts as used at import: advice that breaks an app is worse than none.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Use = Literal["unused", "later", "at import"]


@dataclass(frozen=True)
class Source:
    """A module of the app, parsed."""

    path: Path
    text: str
    tree: ast.Module

    @classmethod
    def read(cls, path: Path) -> "Source | None":
        """None for one that cannot be read."""
        try:
            text = path.read_text(encoding="utf-8")
            return cls(path, text, ast.parse(text))
        except (OSError, SyntaxError, ValueError, RecursionError):
            return None

    @property
    def called(self) -> set[str]:
        """The names of functions that are called while it is imported, here or elsewhere."""
        return {
            node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            for node in _at_import(self.tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
        }


def use_of(
    source: Source, module: str, others: Iterable[Source] = (), factories: Iterable[str] = ()
) -> tuple[Use, int] | None:
    """How a file uses a module, and the line that imports it; None where it does not say.

    `others` are the app's other files, `factories` functions that are called from outside. Of a
    module that is imported within a function, or for its effects, nothing is said.
    """
    statements = [
        (statement, names)
        for statement in source.tree.body
        if (names := _bound(statement, module)) is not None
    ]
    if not statements or source.path.name == "__init__.py":
        return None
    lines = source.text.splitlines()
    names = {name for _, bound in statements for name in bound}
    line = statements[0][0].lineno
    if any(not bound for _, bound in statements) or any(
        "noqa" in lines[statement.lineno - 1] for statement, _ in statements
    ):
        return None
    rest = [each for each in others if each.path != source.path]
    if names & _exported(source.tree) or any(_mentions(each, names) for each in rest):
        return None
    executed = set(factories).union(source.called, *(each.called for each in rest))
    places = [where for name, where in _loads(source.tree, names, executed) if name in names]
    if not places:
        return "unused", line
    return ("later" if all(places) else "at import"), line


def _bound(statement: ast.stmt, module: str) -> set[str] | None:
    """The names that an import statement gives to a module, or to what is in it."""
    names: set[str] = set()
    found = False
    if isinstance(statement, ast.Import):
        for each in statement.names:
            if each.name == module or each.name.startswith(f"{module}."):
                found = True
                names.add(each.asname or each.name.partition(".")[0])
    elif isinstance(statement, ast.ImportFrom) and not statement.level:
        inner = statement.module or ""
        for each in statement.names:
            whole = f"{inner}.{each.name}"
            if inner == module or inner.startswith(f"{module}.") or whole == module:
                found = True
                if each.name == "*":
                    return set()
                names.add(each.asname or each.name)
    return names if found else None


def _loads(tree: ast.Module, names: set[str], executed: set[str]) -> list[tuple[str, bool]]:
    """Each name that is read, and whether that happens within a function only.

    A function that is called while the app is imported does not make it later; a text with such a
    name may be an annotation, or looked up.
    """
    found: list[tuple[str, bool]] = []
    pattern = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in sorted(names)))

    def visit(node: ast.AST, *, later: bool) -> None:
        if isinstance(node, ast.Name):
            found.append((node.id, later))
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                found.extend((name, False) for name in pattern.findall(node.value))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # Decorators, defaults and annotations are evaluated with the module.
            outer = [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]
            for each in outer:
                visit(each, later=later)
            for statement in node.body:
                visit(statement, later=node.name not in executed or later)
            return
        elif isinstance(node, ast.Lambda):
            visit(node.args, later=later)
            visit(node.body, later=True)
            return
        for child in ast.iter_child_nodes(node):
            visit(child, later=later)

    visit(tree, later=False)
    return found


def _at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """What is executed with the module: not what functions do."""
    for child in ast.iter_child_nodes(tree):
        yield child
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            for each in child.decorator_list:
                yield from ast.walk(each)
        elif not isinstance(child, ast.Lambda):
            yield from _at_import(child)


def _exported(tree: ast.Module) -> set[str]:
    """What `__all__` names."""
    names: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
            targets = [statement.target]
        else:
            continue
        if statement.value and any(
            isinstance(each, ast.Name) and each.id == "__all__" for each in targets
        ):
            names |= {
                each.value
                for each in ast.walk(statement.value)
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            }
    return names


def _mentions(source: Source, names: set[str]) -> bool:
    """Whether another file may take one of these names from this one: `from compat import x`."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr in names)
        or (isinstance(node, ast.ImportFrom) and any(each.name in names for each in node.names))
        for node in ast.walk(source.tree)
    )
