"""A Django project's settings, found by reading: nothing is imported."""

import ast
from collections.abc import Iterator
from pathlib import Path

from .layout import SRC, module_file

ENGINE = "sunup.integrations.django"
_VARIABLE = "DJANGO_SETTINGS_MODULE"


def home(folder: Path, app: str) -> Path:
    """Where manage.py is, at or above the app's module; `folder` where there is none."""
    file = _file(folder, app.partition(":")[0])
    for place in file.parents if file is not None else ():
        if place == folder:
            break
        if (place / "manage.py").is_file():
            return place
    return folder


def module(folder: Path, app: str) -> str | None:
    """The settings that the app takes unless the environment names others.

    What its own module says, else manage.py. None where the app's module finds them itself.
    """
    for path in (_file(folder, app.partition(":")[0]), folder / "manage.py"):
        said = list(_said(path)) if path is not None else []
        if said:
            return next((each for each in said if each is not None), None)
    return f"{app.partition(':')[0].partition('.')[0]}.settings"


def on_other_databases(folder: Path, app: str) -> list[str]:
    """The files in which DATABASES has to be changed: sunup's engine is in none that they import.

    The app's settings, and those of manage.py, which may be others.
    """
    manage = next((each for each in _said(folder / "manage.py") if each), None)
    found = []
    for name in dict.fromkeys((module(folder, app), manage)):
        start = _file(folder, name) if name else None
        read = _with_imported(folder, start) if start is not None else {}
        if start is not None and not any(_has_engine(tree) for tree in read.values()):
            place = next((path for path, tree in read.items() if _sets_databases(tree)), start)
            found.append(place.relative_to(folder).as_posix())
    return list(dict.fromkeys(found))


def _file(folder: Path, name: str) -> Path | None:
    return module_file(folder, name) or module_file(folder / SRC, name)


def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def _said(path: Path) -> Iterator[str | None]:
    """What a file sets DJANGO_SETTINGS_MODULE to; None for what is no text."""
    for node in ast.walk(_tree(path)):
        name = value = None
        if isinstance(node, ast.Call) and len(node.args) == 2:
            name, value = node.args
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            name, value = node.targets[0].slice, node.value
        if isinstance(name, ast.Constant) and name.value == _VARIABLE:
            said = value.value if isinstance(value, ast.Constant) else None
            yield said if isinstance(said, str) else None


def _with_imported(folder: Path, start: Path) -> dict[Path, ast.Module]:
    """A file, and those of the project that it imports from, in their order."""
    read: dict[Path, ast.Module] = {}
    waiting = [start]
    while waiting:
        path = waiting.pop(0)
        if path not in read:
            read[path] = _tree(path)
            waiting += _imported(folder, path, read[path])
    return read


def _imported(folder: Path, path: Path, tree: ast.Module) -> Iterator[Path]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            name = node.module or ""
            # One dot is the file's own folder, whether it is a module of it or its __init__.
            above = path.parents[: node.level]
            place = above[-1] if above else folder
            names = [name, *(f"{name}.{each.name}".strip(".") for each in node.names)]
            files = (_file(place, each) for each in names if each)
            yield from (each for each in files if each is not None)


def _has_engine(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.Constant) and node.value == ENGINE for node in ast.walk(tree))


def _sets_databases(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id == "DATABASES" and isinstance(node.ctx, ast.Store)
        for node in ast.walk(tree)
    )
