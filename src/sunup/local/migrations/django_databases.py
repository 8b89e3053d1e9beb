"""Where a Django project's databases are: not always where the environment says."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import psycopg
from psycopg import sql

from sunup.local.errors import CommandError
from sunup.local.project import MIGRATION_USER, Project
from sunup.settings import Settings

from .asking_django import MARK
from .manage_py import run


@dataclass(frozen=True)
class Database:
    """One of DATABASES. `ours`: its backend is sunup's. What is empty follows the environment."""

    alias: str
    ours: bool
    engine: str
    host: str
    user: str
    name: str


def ask(project: Project) -> list[Database]:
    """Those that are to be migrated, the default first. Raises `CommandError`.

    Also where the default is another database than the project's environment says: what is
    announced would not be what is migrated.
    """
    output = run(project, "-m", "sunup.local.migrations.asking_django")
    line = next(line for line in output.splitlines() if line.startswith(MARK))
    found = [Database(**each) for each in json.loads(line.removeprefix(MARK))]
    default = next(each for each in found if each.alias == "default")
    _check(project, default)
    # One with a host of its own is no database of this app's: a replica, another server.
    others = [each for each in found if each.ours and not each.host and each.name]
    names = {default.name or project.migration_settings.database}
    return [default, *(each for each in others if each.name not in names)]


def _check(project: Project, default: Database) -> None:
    settings, owner = project.migration_settings, project.environ.get(MIGRATION_USER)
    if not default.ours:
        raise CommandError(
            f"the default database in Django's settings is {default.engine or 'not set'}: "
            "sunup would not reach it",
            'Set DATABASES = {"default": {"ENGINE": "sunup.integrations.django"}}.',
        )
    if default.host not in ("", settings.host):
        raise CommandError(
            f"Django's settings name the host {default.host}, and DB_HOST is {settings.host}",
            "Leave HOST out of DATABASES.",
        )
    if owner and default.user not in ("", owner):
        raise CommandError(
            f"Django's settings name the role {default.user}, and {MIGRATION_USER} is {owner}",
            "Leave USER out of DATABASES.",
        )


def create_missing(settings: Settings, names: Iterable[str]) -> list[str]:
    """Make the databases that are not there, on a server of this machine; returns their names.

    Raises `CommandError`.
    """
    try:
        with psycopg.connect(
            host=settings.host, port=settings.port, user=settings.user, dbname="postgres",
            autocommit=True,
        ) as connection:  # fmt: skip
            there = {name for (name,) in connection.execute("select datname from pg_database")}
            made = sorted(set(names) - there)
            for name in made:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise CommandError(f"a database of Django's settings cannot be made: {error}") from None
    return made
