"""Follows the handler's imports through the package without executing anything.

A package for another processor cannot be tried here; what it forgot to bring can still be found.
"""

import ast
import sys
from pathlib import Path

# Lambda's managed runtimes bring these.
_OF_THE_RUNTIME = {"boto3", "botocore", "s3transfer", "awslambdaric", "snapshot_restore_py"}

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def missing(folder: Path, modules: list[str], own: set[str]) -> list[tuple[str, str]]:
    """The imports that nothing in the folder satisfies: the module, and the file that asks for it.

    Only what is imported in any case, at the top level of modules of the packages in `own`.
    """
    found: list[tuple[str, str]] = []
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = locate(folder, name)
        if path is None or name in seen or path.suffix != ".py":
            continue
        seen.add(name)
        for wanted in _imports(path, name):
            top = wanted.partition(".")[0]
            if top in sys.stdlib_module_names or top in _OF_THE_RUNTIME:
                continue
            if locate(folder, top) is None:
                found.append((top, path.relative_to(folder).as_posix()))
            elif top in own:
                waiting.append(wanted)
    return sorted(set(found))


def locate(folder: Path, name: str) -> Path | None:
    """The file (or folder, for a namespace package) of a module."""
    path = folder.joinpath(*name.split("."))
    for candidate in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if candidate.is_file():
            return candidate
    native = sorted(path.parent.glob(f"{path.name}.*.so")) if path.parent.is_dir() else []
    if native:
        return native[0]
    return path if path.is_dir() else None


def defines(path: Path, name: str) -> bool:
    """Whether a module's top level binds a name, as far as its text shows."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and any(each.name == "*" for each in node.names):
            return True
        if isinstance(node, ast.Import | ast.ImportFrom):
            if any((each.asname or each.name) == name for each in node.names):
                return True
        elif isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Store) and node.id == name:
                return True
        elif isinstance(node, _DEFINITIONS) and node.name == name:
            return True
    return False


def apps_named(path: Path) -> list[str]:
    """The texts, such as "app:app", that a module gives to sunup's `Handler`."""
    found = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if not isinstance(node, ast.Call):
            continue
        called = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        given = [*node.args[:1], *(each.value for each in node.keywords if each.arg == "app")]
        if called == "Handler":
            texts = (each.value for each in given if isinstance(each, ast.Constant))
            found += [each for each in texts if isinstance(each, str)]
    return found


def _imports(path: Path, module: str) -> list[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = []
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return []
    for node in tree.body:
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                above = parts[: len(parts) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            found += [base, *(f"{base}.{each.name}" for each in node.names)]
    return [name for name in found if name]
