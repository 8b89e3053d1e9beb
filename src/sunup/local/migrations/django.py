"""Django's migrations: by the project's own manage.py, as the role that owns the tables."""

import re
from collections.abc import Callable
from pathlib import Path

from sunup.local.project import Project

from . import django_databases
from .manage_py import manage

_APPLIED = re.compile(r"^\s*Applying (\S+)\.\.\. ", re.MULTILINE)
_PLANNED = re.compile(r"^\[([X ])\]\s+(\S+)", re.MULTILINE)


def has_django(folder: Path) -> bool:
    """Whether the folder is a Django project's."""
    path = folder / "manage.py"
    return path.is_file() and b"django" in path.read_bytes()


def upgrade(
    project: Project,
    tell: Callable[[str], None] = lambda _: None,
    on_made: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """`manage.py migrate` for each database that is the app's; what was applied.

    On a server of this machine the databases that DATABASES names are made first; `on_made` is
    called with each that was. Raises `CommandError`, also where the settings lead to another
    database than the environment.
    """
    tell("manage.py migrate")
    databases = django_databases.ask(project)
    settings = project.migration_settings
    if settings.host.startswith("/"):
        names = [each.name for each in databases if each.name]
        for name in django_databases.create_missing(settings, names):
            on_made(name)
    applied = []
    for each in databases:
        output = manage(project, "migrate", "--noinput", "--database", each.alias)
        where = "" if each.alias == "default" else f" ({each.alias})"
        applied += [f"{name}{where}" for name in _APPLIED.findall(output)]
    return applied


def pending(project: Project) -> list[str]:
    """Those that are not applied, in their order. Raises `CommandError`."""
    return [name for name, applied in status(project) if not applied]


def status(project: Project) -> list[tuple[str, bool]]:
    """Each migration of the default database, and whether it is applied. Raises `CommandError`."""
    django_databases.ask(project)
    output = manage(project, "showmigrations", "--plan")
    return [(name, mark == "X") for mark, name in _PLANNED.findall(output)]
