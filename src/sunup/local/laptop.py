"""One database for all that works on an app on this machine: `sunup dev`'s, or one meanwhile."""

import atexit
import difflib
import json
import os
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from sunup.nearby import NOTE, noted

from . import postgres, servers
from .errors import CommandError
from .project import Project

_lock = threading.Lock()
# Kept here: were it collected in a forked process, what it holds would end for all.
_started = ExitStack()

DATA = Path(".sunup") / "postgres"


@contextmanager
def database(
    project: Project, tell: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[Project, bool]]:
    """The project with a database, and whether the block is what it runs for.

    That of its settings; else that of the running `sunup dev`; else the embedded one, until the
    block ends. Raises `CommandError` and `PostgresFailed`.
    """
    check_names(project)
    if project.environ.get("DB_HOST") or project.stage is not None:
        yield project, False
        return
    found = noted(str(project.folder))
    if found:
        yield with_variables(project, found), False
        return
    # In CI a DB_HOST is missing by mistake, and a database that nobody keeps would be migrated.
    of_ci = bool(os.environ.get("CI")) and not (project.folder / DATA).is_dir()
    if of_ci or not servers.installed():
        yield project, False  # which says that DB_HOST is not set
        return
    tell(f"DB_HOST is not set: using the embedded PostgreSQL, in {project.folder / '.sunup'}")
    with embedded(project.folder, project.environ.get("DB_NAME")) as variables:
        yield with_variables(project, variables), True


@contextmanager
def embedded(folder: Path, name: str | None) -> Iterator[dict[str, str]]:
    """The embedded server on the app's data, which others find while it runs."""
    data = folder / DATA
    version = data / "PG_VERSION"
    wanted = version.read_text().strip() if version.is_file() else None
    with (
        postgres.running(
            data, database=name or "postgres", binaries=servers.find(wanted)
        ) as variables,
        note(folder, variables),
    ):
        yield variables


@contextmanager
def note(folder: Path, variables: Mapping[str, str]) -> Iterator[None]:
    """Let others find the server while the block runs; git is told to pass the folder over."""
    path = folder / NOTE
    path.parent.mkdir(exist_ok=True)
    ignore = path.parent / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(json.dumps({"pid": os.getpid(), "variables": dict(variables)}))
    part.replace(path)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def with_variables(project: Project, variables: Mapping[str, str]) -> Project:
    """The project whose settings lead to this database."""
    return replace(project, environ={**project.environ, **variables})


def check_names(project: Project) -> None:
    """Raise `CommandError` where `.env` has DB_HSOT: the embedded database would be used."""
    if project.environ.get("DB_HOST"):
        return
    close = difflib.get_close_matches("DB_HOST", project.dotenv, n=1, cutoff=0.8)
    if close:
        raise CommandError(
            f"{project.env_file.name} has {close[0]}, but no DB_HOST",
            "Did you mean DB_HOST? Rename it, or remove it to use the embedded PostgreSQL.",
        )


def _end(owner: int) -> None:
    """Not in a forked process: multiprocessing's run the exit functions, too."""
    if os.getpid() == owner:
        _started.close()


def start(here: Path) -> dict[str, str]:
    """Start the embedded server until this process ends; nothing in a folder that is no app's.

    The entry point `sunup.local:database`, for `sunup.nearby`.
    """
    for folder in (here, *here.parents):
        with suppress(OSError, ValueError):
            content = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
            if "sunup" in content.get("tool", {}):
                break
    else:
        return {}
    if not servers.installed():
        return {}
    with _lock:
        found = noted(str(folder))  # of another thread
        if found:
            return found
        variables = _started.enter_context(embedded(folder, os.environ.get("DB_NAME")))
        atexit.register(_end, os.getpid())
    sys.stderr.write(f"sunup: PostgreSQL runs in {folder / '.sunup'} for this process\n")
    return variables
