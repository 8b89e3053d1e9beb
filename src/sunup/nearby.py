"""The database of this machine, where no setting names one: that of `sunup dev`, or one of its own.

So a script, a shell or `manage.py` works as it is. On Lambda nothing of this happens, nor is what
it needs imported.
"""

import os

from .settings import Settings, on_lambda

# Beside the embedded server's data: where it listens, while it runs.
NOTE = ".sunup/database.json"


def settings() -> Settings:
    """The environment's settings; without DB_HOST those of this machine's database.

    Raises `SettingsError`.
    """
    found = Settings.from_environment()
    if found.host or on_lambda():
        return found
    return Settings.from_environment({**os.environ, **variables()})


def variables() -> dict[str, str]:
    """The `DB_*` variables of the server that runs for this folder, else of one that is started.

    Started for the time of this process, in a folder whose pyproject.toml has `[tool.sunup]`, where
    `sunup[dev]` is installed; else nothing.
    """
    from importlib.metadata import entry_points
    from pathlib import Path

    here = Path.cwd()
    for folder in (here, *here.parents):
        found = noted(str(folder))
        if found:
            return found
    for each in entry_points(group="sunup.local", name="database"):
        return dict(each.load()(here))
    return {}


def noted(folder: str) -> dict[str, str]:
    """What the folder's note says, if the server that wrote it lives."""
    import json

    try:
        with open(f"{folder}/{NOTE}", encoding="utf-8") as file:  # noqa: PTH123
            content = json.load(file)
        os.kill(int(content["pid"]), 0)
        found = dict(content["variables"])
        alive = os.path.exists(f"{found['DB_HOST']}/.s.PGSQL.5432")  # noqa: PTH110
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return found if alive else {}
