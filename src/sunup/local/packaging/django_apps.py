"""What Django imports by names in its settings: no import statement shows that it is missing."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from sunup.local.errors import CommandError

from .modules import Modules

_LISTS = {"INSTALLED_APPS", "MIDDLEWARE"}
# Settings of a laptop, which Lambda does not read.
_ELSEWHERE = {"dev", "develop", "development", "local", "test", "testing"}


def missing(modules: Modules, folder: Path, names: Iterable[str]) -> list[str]:
    """Notes on apps and middleware that settings name and the package does not have.

    `names` are the app's files. What is added under a condition, such as DEBUG, is passed over.
    """
    notes = []
    for name in sorted(names):
        path = Path(name)
        if path.suffix != ".py" or path.stem in _ELSEWHERE:
            continue
        if path.stem != "settings" and path.parent.name != "settings":
            continue
        try:
            tree = modules.tree(folder / name)
        except CommandError:  # no Python: a template, which another check is for
            continue
        wanted = {each.partition(".")[0] for each in _listed(tree)} if tree is not None else set()
        gone = sorted(each for each in wanted if modules.locate(each) is None)
        if gone:
            notes.append(
                f"{name} names {', '.join(gone)}, which the package does not have: Django would "
                "not start. Add it to the dependencies."
            )
    return notes


def _listed(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        call = node.value if isinstance(node, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            target = call.func.value  # MIDDLEWARE.insert(1, "...")
        if isinstance(target, ast.Name) and target.id in _LISTS:
            for each in ast.walk(node):
                if isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value:
                    yield each.value
