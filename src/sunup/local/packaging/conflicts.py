"""Whether the app's files and the installed ones can lie in one folder, each found as its own."""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from sunup.local.errors import CommandError

_CURE = "Rename it, or leave it out: [tool.sunup] exclude = [...]."


def check(
    app: Iterable[str], installed: Iterable[str], owners: Mapping[str, tuple[str, str]]
) -> None:
    """Raise `CommandError` where one replaces or hides another: an import would find the wrong one.

    `owners` are the installed top-level names, each with its distribution and version.
    """
    files: dict[str, bool] = dict.fromkeys(installed, False)
    files.update(dict.fromkeys(_parents(installed), True))
    modules = _modules(installed)
    for path in sorted(app):
        if path in files or any(files.get(each) is False for each in _parents([path])):
            raise CommandError(
                f"{path} of the app would replace the same file of {_owner(path, owners)}", _CURE
            )
    own = _modules(app)
    for name, path in sorted(own.items()):
        other = modules.get(name)
        if other is None and _hides(path):
            other = next((modules[each] for each in modules if each.startswith(f"{name}/")), None)
        if other is None:
            above = (modules[each] for each in _parents([name]) if each in modules)
            other = next((each for each in above if _hides(each)), None)
        if other is not None:
            raise CommandError(
                f"{path} of the app and {other} of {_owner(other, owners)} have the same import "
                "name, so only one of them can be imported",
                _CURE,
            )


def _modules(paths: Iterable[str]) -> dict[str, str]:
    """The names of modules, with `/`, and the file of each."""
    found = {}
    for text in sorted(paths):
        path = PurePosixPath(text)
        if path.name == "__init__.py":
            found[path.parent.as_posix()] = text
        elif path.suffix in (".py", ".so"):
            found.setdefault(path.with_name(path.name.split(".")[0]).as_posix(), text)
    return found


def _hides(path: str) -> bool:
    """Whether it is a single file: a folder of its name without `__init__.py` is not seen then."""
    return PurePosixPath(path).name != "__init__.py"


def _parents(paths: Iterable[str]) -> set[str]:
    return {each.as_posix() for path in paths for each in PurePosixPath(path).parents} - {"."}


def _owner(path: str, owners: Mapping[str, tuple[str, str]]) -> str:
    top = path.split("/")[0]
    return owners.get(top, ("sunup" if top == "sunup" else "a dependency", ""))[0]
