"""The apps that a project's sources define, found by reading them: nothing is imported."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .reading import Source, called, imports, sources

# What makes an app, and which driver it would take: an event loop wants asyncpg.
_MAKERS = {
    "FastAPI": "asyncpg",
    "Starlette": "asyncpg",
    "Quart": "asyncpg",
    "Litestar": "asyncpg",
    "Flask": "psycopg",
    "get_asgi_application": "django",
    "get_wsgi_application": "django",
}
# The same of what a module imports, the likelier first.
_FRAMEWORKS = {
    "django": "django",
    **dict.fromkeys(("fastapi", "starlette", "quart", "litestar"), "asyncpg"),
    **dict.fromkeys(("flask", "bottle", "pyramid"), "psycopg"),
}
_FACTORIES = ("create_app", "make_app", "get_app", "create_application")
_MODULES = ("main", "app", "wsgi")
_NAMES = ("app", "application")


@dataclass(frozen=True)
class Found:
    """An app: `name` is `module:attribute`, `kind` what made it, `driver` what suits it."""

    name: str
    kind: str
    driver: str


def apps(folder: Path) -> list[Found]:
    """The apps that the sources define; the likeliest first."""
    read = sources(folder)
    makers = {name: kind for each in read for name, kind in _functions(each.tree)}
    mounted = {place for each in read for place in _mounted(each)}
    found = [(each, app) for each in read for app in _in(each, makers)]

    def rank(pair: tuple[Source, Found]) -> tuple[bool | int | str, ...]:
        source, app = pair
        attribute = app.name.partition(":")[2]
        # Django has both; a factory beside an app is what makes it; main and app before others.
        return (
            app.kind == "get_asgi_application",
            attribute.endswith("()"),
            (source.last, attribute) in mounted,
            source.last not in _MODULES,
            source.module.count("."),
            attribute not in _NAMES,
            app.name,
        )

    return [app for _, app in sorted(found, key=rank)]


def driver(folder: Path, app: str) -> str:
    """What suits an app whose text does not show what made it: by what its module imports.

    Else by what the other modules do.
    """
    name = app.partition(":")[0]
    for source in sorted(sources(folder), key=lambda each: each.module != name):
        tops = {each.partition(".")[0] for each in imports(source.tree)}
        suits = next((driver for known, driver in _FRAMEWORKS.items() if known in tops), None)
        if suits is not None:
            return suits
    return "asyncpg"


def _in(source: Source, makers: dict[str, str]) -> Iterator[Found]:
    for node in source.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            maker = called(node.value)
            kind = maker if maker in _MAKERS else makers.get(maker)
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if kind and isinstance(target, ast.Name):
                    yield Found(f"{source.module}:{target.id}", kind, _MAKERS[kind])
        elif isinstance(node, ast.FunctionDef) and node.name in _FACTORIES:
            needed = len(node.args.args) - len(node.args.defaults)
            if not needed and (kind := _made(node)):
                yield Found(f"{source.module}:{node.name}()", kind, _MAKERS[kind])


def _functions(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The functions that make an app, each with what makes it; they may need arguments."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and (kind := _made(node)):
            yield node.name, kind


def _made(function: ast.FunctionDef) -> str:
    return next((name for each in ast.walk(function) if (name := called(each)) in _MAKERS), "")


def _mounted(source: Source) -> Iterator[tuple[str, str]]:
    """The apps that are part of another one: the end of the module's name, and the attribute."""
    imported = {
        each.asname or each.name: ((node.module or "").rpartition(".")[2], each.name)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom)
        for each in node.names
    }
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and called(node) in ("mount", "Mount"):
            for each in [*node.args[1:2], *(word.value for word in node.keywords)]:
                if isinstance(each, ast.Name):
                    yield imported.get(each.id, (source.last, each.id))
                elif isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
                    yield each.value.id, each.attr
