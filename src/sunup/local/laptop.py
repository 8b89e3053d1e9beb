"""One database for all that works on an app on this machine: `sunup dev`'s, or one meanwhile."""

import atexit
import difflib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from sunup import nearby
from sunup.nearby import NOTE

from . import notes, postgres, project, servers
from .errors import CommandError
from .postgres.folder import anew, version_of
from .postgres.sharing import Place
from .project import Project
from .servers import Binaries

_lock = threading.Lock()
# Kept here: it is held as long as the process lives.
_started = ExitStack()
_names: set[tuple[str, str]] = set()

DATA = Path(".sunup") / "postgres"


@contextmanager
def database(
    found: Project, tell: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[Project, bool]]:
    """The project with a database, and whether that runs on this machine for its users only.

    That of its settings; else that of the running `sunup dev`; else the embedded one, until the
    last who uses it has ended. Raises `CommandError` and `PostgresFailed`.
    """
    check_names(found)
    if names_host(found.environ) or found.stage is not None:
        yield found, False
        return
    note = nearby.read(str(found.folder))
    if note and not note.get("users"):  # another server, which dev was told of
        variables = nearby.variables_of(note)
        yield with_variables(found, {**variables, "DB_NAME": _name(variables, {})}), False
        return
    # In CI a DB_HOST is missing by mistake, and a database that nobody keeps would be migrated.
    of_ci = bool(os.environ.get("CI")) and not (found.folder / DATA).is_dir()
    if not note and (of_ci or not servers.installed()):
        yield with_variables(found, {}), False  # which says that DB_HOST is not set
        return
    if not note:
        _check_app(found)
        tell(f"DB_HOST is not set: using the embedded PostgreSQL, in {found.folder / '.sunup'}")
    with embedded(found) as variables:
        yield with_variables(found, variables), True


@contextmanager
def embedded(
    found: Project,
    *,
    data: Path | None = None,
    binaries: Binaries | None = None,
    first: bool = False,
) -> Iterator[dict[str, str]]:
    """Use the embedded server of an app until the block ends; others find it while it runs.

    `data` is another place for its data. `first`: others find what we use, whatever they found
    before. Raises `CommandError` and `PostgresFailed`.
    """
    folder = str(found.folder)
    note = {} if first else nearby.read(folder)
    place = Place((data or Path(str(note.get("data") or found.folder / DATA))).resolve())
    name = _name(nearby.variables_of(note), found.environ)
    if binaries is None and not note:
        binaries = _suitable(place.data)
    with postgres.running(
        place.data, database=name, binaries=binaries, note=found.folder / NOTE
    ) as variables:
        if first or not nearby.read(folder):
            beside = {"data": place.data, "users": place.users, "lock": place.lock}
            notes.write(found.folder, variables, beside).close()
        yield variables


def _suitable(data: Path) -> Binaries:
    """The server of this machine's choice, but for data that only another one can take."""
    default, found = servers.find(), version_of(data)
    if found in (None, default.version):
        return default
    try:
        return servers.find(found)
    except CommandError as error:
        raise CommandError(
            f"{data} is from PostgreSQL {found}: {error.what}", f"{error.cure} {anew(data)}"
        ) from None


def _name(noted: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """Which database: the shell's word, else what runs (dev had its own), else .env's."""
    for each in (os.environ, noted, environ):
        name = each.get("DB_NAME", "").strip()
        if name:
            return name
    return "postgres"


def names_host(environ: Mapping[str, str]) -> bool:
    """Whether the settings name a server; an empty variable counts as not set."""
    return bool(environ.get("DB_HOST", "").strip())


def with_variables(found: Project, variables: Mapping[str, str]) -> Project:
    """The project whose settings lead to this database, and have nothing of another."""
    return replace(found, environ=nearby.leading_to(variables, found.environ))


def check_names(found: Project) -> None:
    """Raise `CommandError` where `.env` has DB_HSOT: the embedded database would be used."""
    if names_host(found.environ) or "DB_HOST" in found.dotenv:
        return
    names = {name.upper(): name for name in found.dotenv}
    close = difflib.get_close_matches("DB_HOST", names, n=1, cutoff=0.8)
    if close:
        raise CommandError(
            f"{found.env_file.name} has {names[close[0]]}, but no DB_HOST",
            "Did you mean DB_HOST? Rename it, or remove it to use the embedded PostgreSQL.",
        )


def _check_app(found: Project) -> None:
    """Raise `CommandError` in a folder that is no app's: a database there was not meant."""
    marks = (found.migrations / "env.py", found.folder / "manage.py")
    if nearby.is_app(str(found.folder)) or any(each.is_file() for each in marks):
        return
    try:
        found.check_app()
    except CommandError:
        raise CommandError(
            f"there is no app in {found.folder}, so there is no database for it",
            "Go to the app's folder, or name it. sunup new makes an app, sunup init takes yours.",
        ) from None


def start(folder: Path) -> dict[str, str]:
    """Use the embedded server of an app until this process ends; nothing where none is installed.

    The entry point `sunup.local:database`, for `sunup.nearby`. Raises `CommandError` and
    `PostgresFailed`.
    """
    if not servers.installed():
        return {}
    with _lock:
        found = project.find(folder)
        noted = nearby.noted(str(folder))
        name = _name(noted, found.environ)
        if noted and (str(folder), name) in _names:
            return {**noted, "DB_NAME": name}
        variables = _started.enter_context(embedded(found))
        _names.add((str(folder), name))
        atexit.register(_started.close)
    if not noted:
        sys.stderr.write(f"sunup: PostgreSQL runs in {folder / '.sunup'} for this process\n")
    return variables
