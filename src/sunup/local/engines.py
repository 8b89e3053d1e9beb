"""SQLAlchemy engines that an app makes itself: they connect elsewhere, and without sunup."""

import ast
from collections.abc import Iterator
from pathlib import Path

from .reading import Source, imports, sources

_LIBRARIES = ("sqlalchemy", "sqlmodel")
_MAKERS = ("create_engine", "create_async_engine")
# With these an engine is given its connections.
_GIVEN = {"creator", "async_creator"}
_FLASK, _SUNUP = "flask_sqlalchemy", "sunup.integrations.sqlalchemy"


def to_change(folder: Path) -> list[str]:
    """What to write instead, a line for each file and engine."""
    found = {}
    for source in sources(folder):
        for maker in _made(source):
            found[source.file, maker] = (
                f"{source.file}: {maker}(...) has a database of its own; with sunup's it is "
                f"{maker}(db), from {_SUNUP}"
            )
        imported = set(imports(source.tree))
        if _FLASK in imported and _SUNUP not in imported:
            found[source.file, _FLASK] = (
                f"{source.file}: Flask-SQLAlchemy has a database of its own; a subclass with "
                f"_make_engine() that returns create_engine(db), from {_SUNUP}, has sunup's"
            )
    return list(found.values())


def _made(source: Source) -> Iterator[str]:
    names: dict[str, str] = {}
    modules: set[str] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            if (node.module or "").partition(".")[0] in _LIBRARIES:
                names |= {e.asname or e.name: e.name for e in node.names if e.name in _MAKERS}
        elif isinstance(node, ast.Import):
            modules |= {e.asname or e.name for e in node.names if e.name in _LIBRARIES}
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call) or _GIVEN & {word.arg for word in node.keywords}:
            continue
        match node.func:
            case ast.Name(name) if name in names:
                yield names[name]
            case ast.Attribute(ast.Name(name), maker) if name in modules and maker in _MAKERS:
                yield maker
