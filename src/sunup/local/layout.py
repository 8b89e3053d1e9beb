"""Where an app's modules lie: in its folder, or in `src`."""

import re
from pathlib import Path

SRC = "src"


def module_file(folder: Path, name: str) -> Path | None:
    """A module's file, or that of the package that it is."""
    path = folder.joinpath(*name.replace("/", ".").split("."))
    if path.with_name(f"{path.name}.py").is_file():
        return path.with_name(f"{path.name}.py")
    if (path / "__init__.py").is_file():
        return path / "__init__.py"
    return None


def has_module(folder: Path, name: str) -> bool:
    """Whether a module is there; the packages above it may lack their `__init__.py`."""
    top = name.replace("/", ".").partition(".")[0]
    return any(module_file(folder, each) is not None for each in (top, name))


def code_folder(folder: Path, app: str, handler: str) -> Path:
    """`src`, if a module that starts the app is found only there; else the folder.

    `app` is `module:name`, `handler` `module.name`. An app that is called `src.main:app` says that
    `src` is a package, as `src/__init__.py` does: such a package lies in the folder.
    """
    source = folder / SRC
    start = app.partition(":")[0]
    is_package = start.partition(".")[0] == SRC or (source / "__init__.py").is_file()
    if is_package or not source.is_dir():
        return folder
    entry = handler.rpartition(".")[0]
    names = {start, entry}
    file = module_file(folder, entry)
    if file is not None:
        text = file.read_text(encoding="utf-8", errors="replace")
        names.update(re.findall(r"^\s*(?:from|import)\s+(\w[\w.]*)", text, re.MULTILINE))
    inside = any(has_module(source, name) and not has_module(folder, name) for name in names)
    return source if inside else folder
