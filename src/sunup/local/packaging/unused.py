"""Parts of a wheel that Lambda needs only if somebody imports them: looked for in all the code.

An import within `try: ... except ImportError:` asks whether a part is there: where nothing else
could need it, the answer may be no, for the packages that are named here. Read for each: what they
do without it. In all other files a mere mention keeps it.
"""

import ast
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_ABSENCE = frozenset({"ImportError", "ModuleNotFoundError"})


@dataclass(frozen=True)
class Part:
    """A subpackage of a distribution; `asked_by` are packages that only ask whether it is there.

    A file that has both `top` (the distribution's own name) and a `mention` may need it, and one
    that has `needs`. `own` are the packages that belong to it.
    """

    distribution: str
    module: str
    asked_by: tuple[str, ...]
    own: tuple[str, ...]
    top: bytes
    mention: re.Pattern[bytes]
    needs: bytes


# FastAPI 0.165, _compat/shared.py: without pydantic.v1 no model is one of its own, which is so
# where nobody imports it. Pydantic 2.14 imports it for types that have the deprecated
# `__get_validators__` and nothing newer (FastAPI's own have both), and for what was once in
# `pydantic.utils` (_migration.py). It takes 15 of some 580 ms of INIT.
PARTS = (
    Part(
        "pydantic",
        "pydantic.v1",
        ("fastapi",),
        ("pydantic", "pydantic_core"),
        b"pydantic",
        re.compile(
            rb"\bv1\b|pydantic\.utils|pydantic\s+import[^\n]*\butils\b"
            rb"|pydantic\s+import\s*\([^)]*\butils\b|pydantic\.[{%'\"]"
        ),
        b"__get_validators__",
    ),
)


def remove(folder: Path, keep: Iterable[str] = ()) -> list[str]:
    """Take out the parts that nobody can need; returns their modules."""
    kept = set(keep)
    removed = []
    for part in PARTS:
        place = folder.joinpath(*part.module.split("."))
        if place.is_dir() and part.distribution not in kept and not _is_needed(folder, part):
            shutil.rmtree(place)
            removed.append(part.module)
    return removed


def _is_needed(folder: Path, part: Part) -> bool:
    return any(
        _may_need(path, path.relative_to(folder).parts[0], part)
        for path in folder.rglob("*")
        if path.is_file()
    )


def _may_need(path: Path, owner: str, part: Part) -> bool:
    # Its own; and what installers and authors say of a distribution.
    if owner in part.own or (owner.endswith(".dist-info") and path.name != "entry_points.txt"):
        return False
    content = path.read_bytes()
    if part.needs in content and owner not in part.asked_by:
        return True
    if part.top not in content or part.mention.search(content) is None:
        return False
    return owner not in part.asked_by or path.suffix != ".py" or _imports(content, part.module)


def _imports(content: bytes, module: str) -> bool:
    """Whether a file needs it, instead of asking only; also one that cannot be read."""
    try:
        tree = ast.parse(content)
        questions = {id(each) for each in _questions(tree)}
        return any(
            isinstance(node, ast.Import | ast.ImportFrom)
            and id(node) not in questions
            and _names(node, module)
            for node in ast.walk(tree)
        )
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True


def _questions(tree: ast.Module) -> Iterable[ast.AST]:
    """What stands in a `try` whose `except` takes an absence as an answer, and goes on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(
            isinstance(each.type, ast.Name)
            and each.type.id in _ABSENCE
            and not any(isinstance(inner, ast.Raise) for inner in ast.walk(each))
            for each in node.handlers
        ):
            for statement in node.body:
                yield from ast.walk(statement)


def _names(node: ast.Import | ast.ImportFrom, module: str) -> bool:
    if isinstance(node, ast.Import):
        return any(_is_in(each.name, module) for each in node.names)
    inner = node.module or ""
    return not node.level and (
        _is_in(inner, module) or any(_is_in(f"{inner}.{each.name}", module) for each in node.names)
    )


def _is_in(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")
