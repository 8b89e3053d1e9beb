"""Parts of a wheel that Lambda needs only if somebody imports them: looked for in all the code.

An import within `try: ... except ImportError:` asks whether a part is there: where nothing else
imports it, the answer may be no, for the packages that are named here. Read for each: what they do
without it.
"""

import ast
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_ABSENCE = frozenset({"ImportError", "ModuleNotFoundError"})


@dataclass(frozen=True)
class Part:
    """A subpackage of a distribution; `asked_by` are packages that only ask whether it is there.

    Who has something of the name `needed_for` needs it without importing it.
    """

    distribution: str
    module: str
    asked_by: tuple[str, ...]
    needed_for: bytes


# FastAPI 0.165, _compat/shared.py: without pydantic.v1 no model is one of its own, which is so
# where nobody imports it. Pydantic 2.14, _generate_schema.py, imports it for types that have the
# deprecated `__get_validators__` and nothing newer (FastAPI's own have both). It takes 15 of some
# 580 ms of INIT.
PARTS = (Part("pydantic", "pydantic.v1", ("fastapi",), b"__get_validators__"),)


def remove(folder: Path, keep: Iterable[str] = ()) -> list[str]:
    """Take out the parts that nobody imports; returns their modules."""
    kept = set(keep)
    removed = []
    for part in PARTS:
        place = folder.joinpath(*part.module.split("."))
        if place.is_dir() and part.distribution not in kept and not _is_used(folder, part):
            shutil.rmtree(place)
            removed.append(part.module)
    return removed


def _is_used(folder: Path, part: Part) -> bool:
    top = part.module.partition(".")[0]
    for path in folder.rglob("*.py"):
        if path.is_relative_to(folder / top):
            continue  # its own: read, and in `needed_for`
        content = path.read_bytes()
        inner = path.relative_to(folder)
        asks = inner.parts[0].removesuffix(".py") in part.asked_by
        if part.needed_for in content and not asks:
            return True
        if top.encode() in content and _imports(content, part, asks=asks):
            return True
    return False


def _imports(content: bytes, part: Part, *, asks: bool) -> bool:
    """Whether a file needs the part; also one that cannot be read, or names it in a text."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return True
    questions = {id(each) for each in _questions(tree)} if asks else set()
    for node in ast.walk(tree):
        if id(node) in questions:
            continue
        if isinstance(node, ast.Import | ast.ImportFrom) and _names(node, part.module):
            return True
        text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if text and not asks and _is_in(node.value, part.module):  # type: ignore[attr-defined]
            return True
    return False


def _questions(tree: ast.Module) -> Iterable[ast.AST]:
    """What stands in a `try` whose `except` takes an absence as an answer."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(
            isinstance(each.type, ast.Name) and each.type.id in _ABSENCE for each in node.handlers
        ):
            for statement in node.body:
                yield from ast.walk(statement)


def _names(node: ast.Import | ast.ImportFrom, module: str) -> bool:
    if isinstance(node, ast.Import):
        return any(_is_in(each.name, module) for each in node.names)
    if node.level:
        return False  # within another distribution
    inner = node.module or ""
    return _is_in(inner, module) or any(
        _is_in(f"{inner}.{each.name}", module) for each in node.names
    )


def _is_in(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")
