"""How the app uses what it imports: not at all, within functions only, or while it is imported."""

import ast
from pathlib import Path
from typing import Literal

Use = Literal["unused", "later", "at import"]


def use_of(file: Path, module: str) -> tuple[Use, int] | None:
    """How a file uses a module, and the line that imports it; None where it does not say.

    Of a module that is imported within a function, or for its effects, nothing is said.
    """
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None
    exported = _exported(tree)
    for statement in tree.body:
        names = _bound(statement, module)
        if names is None:
            continue
        if not names or names & exported or file.name == "__init__.py":
            return None
        loads = _loads(tree)
        places = [where for name, where in loads if name in names]
        if not places:
            return "unused", statement.lineno
        return ("later" if all(places) else "at import"), statement.lineno
    return None


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
                if each.name != "*":
                    names.add(each.asname or each.name)
    return names if found else None


def _loads(tree: ast.Module) -> list[tuple[str, bool]]:
    """Each name that is read, and whether that happens within a function only."""
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, *, later: bool) -> None:
        if isinstance(node, ast.Name):
            found.append((node.id, later))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # Decorators, defaults and annotations are evaluated with the module.
            for each in node.decorator_list:
                visit(each, later=later)
            visit(node.args, later=later)
            if node.returns is not None:
                visit(node.returns, later=later)
            for statement in node.body:
                visit(statement, later=True)
            return
        elif isinstance(node, ast.Lambda):
            visit(node.args, later=later)
            visit(node.body, later=True)
            return
        for child in ast.iter_child_nodes(node):
            visit(child, later=later)

    visit(tree, later=False)
    return found


def _exported(tree: ast.Module) -> set[str]:
    """What `__all__` names."""
    names: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and any(
            isinstance(each, ast.Name) and each.id == "__all__" for each in statement.targets
        ):
            names |= {
                each.value
                for each in ast.walk(statement.value)
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            }
    return names
