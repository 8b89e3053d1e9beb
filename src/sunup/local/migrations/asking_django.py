"""Prints what a project's settings say of its databases; run in the project's folder.

python -m sunup.local.migrations.asking_django

Its own manage.py runs, which finds the settings, and is stopped where it would execute a command.
"""

import json
import runpy
import sys
from typing import Any, NoReturn

# Before what is printed: settings may print, too.
MARK = "sunup.databases "


def main() -> None:
    """Run manage.py. Raises what it raises."""
    from django.core import management

    management.execute_from_command_line = _tell
    sys.argv = ["manage.py", "check"]
    runpy.run_path("manage.py", run_name="__main__")


def _tell(argv: list[str] | None = None) -> NoReturn:
    del argv
    from django.db import connections

    databases = [_told(connections, alias) for alias in connections]
    print(MARK + json.dumps(databases))  # noqa: T201
    sys.exit()


def _told(connections: Any, alias: str) -> dict[str, object]:
    from django.core.exceptions import ImproperlyConfigured

    from sunup.integrations.django.base import DatabaseWrapper

    settings = connections.settings[alias]
    try:
        ours = isinstance(connections[alias], DatabaseWrapper)
    except ImproperlyConfigured:  # of another database, whose driver is not installed
        ours = False
    named = {name.lower(): str(settings[name] or "") for name in ("ENGINE", "HOST", "USER", "NAME")}
    return {"alias": alias, "ours": ours, **named}


if __name__ == "__main__":
    main()
