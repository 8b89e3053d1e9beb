"""The database of this machine, where no setting names one: that of `sunup dev`, or one of its own.

So a script, a shell or `manage.py` works as it is. On Lambda nothing of this happens, nor is what
it needs imported.
"""

import os
from collections.abc import Mapping

from .settings import Settings, on_lambda

# Beside the embedded server's data: where it listens, while it runs.
NOTE = ".sunup/database.json"

# What leads to a database, and as whom. Beside a database of this machine's none of it counts:
# with the rest of another's (a port, a role) it would lead nowhere.
LEADING = (
    *("DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_SSLMODE", "DB_SSLROOTCERT"),
    *("DB_MIGRATION_USER", "DB_MIGRATION_PASSWORD"),
)

# The locks by which this process uses servers: they end with the last who does.
_held: dict[str, int] = {}


def settings() -> Settings:
    """The environment's settings; without DB_HOST those of this machine's database.

    Raises `SettingsError`.
    """
    found = Settings.from_environment()
    if found.host or on_lambda():
        return found
    return Settings.from_environment(leading_to(variables(), os.environ))


def leading_to(variables: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """An environment that leads to one database, and has nothing of another's."""
    rest = {name: value for name, value in environ.items() if name not in LEADING}
    return {**rest, **variables}


def variables() -> dict[str, str]:
    """The `DB_*` variables of the server that runs for this folder's app, else of one that starts.

    It runs as long as this process, at least. One is started in a folder whose pyproject.toml has
    `[tool.sunup]`, where `sunup[dev]` is installed; else there is nothing.
    """
    from importlib.metadata import entry_points
    from pathlib import Path

    folder = app_folder(str(Path.cwd()))
    if folder is None:
        return {}
    note = used(folder)
    found = variables_of(note)
    name = os.environ.get("DB_NAME", "").strip()
    # Of a server of ours, a database of another name may have to be made first.
    if found and (name in ("", found.get("DB_NAME")) or "users" not in note):
        return {**found, "DB_NAME": name} if name else found
    for each in entry_points(group="sunup.local", name="database"):
        return dict(each.load()(Path(folder)))
    return found


def app_folder(here: str) -> str | None:
    """The app's folder, at or above another: the nearest with `[tool.sunup]`, or with a server."""
    from pathlib import Path

    for folder in (Path(here), *Path(here).parents):
        if is_app(str(folder)) or read(str(folder)):
            return str(folder)
    return None


def is_app(folder: str) -> bool:
    """Whether its pyproject.toml has `[tool.sunup]`."""
    import tomllib

    try:
        with open(f"{folder}/pyproject.toml", encoding="utf-8") as file:  # noqa: PTH123
            text = file.read()
    except (OSError, ValueError):
        return False
    try:
        tool = tomllib.loads(text).get("tool")
        return isinstance(tool, dict) and "sunup" in tool
    except ValueError:
        return "tool.sunup" in text  # half written: the app above is another all the same


def read(folder: str) -> dict[str, object]:
    """What the folder's note says: `variables`, and for a server of ours `data` and `users`.

    Nothing unless what it is about lives, and it was written for this folder: not for the one that
    this is a copy of.
    """
    import json

    try:
        with open(f"{folder}/{NOTE}", encoding="utf-8") as file:  # noqa: PTH123
            content = json.load(file)
        ours = os.path.samefile(content["folder"], folder)  # noqa: PTH121
        if ours and content["variables"]["DB_HOST"] and _is_locked(content["lock"]):
            return dict(content)
    except (OSError, ValueError, LookupError, TypeError):
        pass
    return {}


def noted(folder: str) -> dict[str, str]:
    """The `DB_*` variables of the server that runs for a folder, if one does."""
    return variables_of(read(folder))


def used(folder: str) -> dict[str, object]:
    """What `read` says, of a server that then runs as long as this process."""
    users = read(folder).get("users")
    if isinstance(users, str) and not _hold(users):
        return {}  # it is about to end
    return read(folder)


def variables_of(note: Mapping[str, object]) -> dict[str, str]:
    """The `DB_*` variables that a note has."""
    found = note.get("variables")
    return dict(found) if isinstance(found, dict) else {}


def _hold(path: str) -> bool:
    import fcntl

    try:
        held = _held.get(path)
        if held is not None and os.path.samestat(os.fstat(held), os.stat(path)):  # noqa: PTH116
            return True
        file = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise
    except OSError:
        return False
    _held[path] = file
    return True


def _is_locked(path: str) -> bool:
    """Whether a process holds the file: it is what the note is about, or runs it."""
    import fcntl

    file = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
