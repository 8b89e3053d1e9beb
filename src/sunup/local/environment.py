"""The settings that an app would see on this machine, each with its origin, secrets hidden."""

import os
import re
from dataclasses import dataclass

from sunup.settings import VARIABLES, Settings, SettingsError, region_of

from .project import MIGRATION_USER, Project

_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|PRIVATE|CREDENTIAL|API_?KEY|_KEY$|(^|_)DSN$|_URL$")
# A URL with a password in it, whatever the variable is called.
_USERINFO = re.compile(r"://[^/@]*@")

_ALSO = (MIGRATION_USER, "AWS_PROFILE", "AWS_ACCESS_KEY_ID")


@dataclass(frozen=True)
class Variable:
    """One line of `sunup env`."""

    name: str
    value: str
    origin: str


def listed(project: Project) -> list[Variable]:
    """Each setting, those of `.env` that sunup does not know, and how AWS would be asked."""
    try:
        settings: Settings | None = Settings.from_environment(project.environ)
    except SettingsError:
        settings = None
    rows = [_row(project, each.name, settings, each.field) for each in VARIABLES]
    shown = {*_ALSO, *(each.name for each in VARIABLES)}
    others = [*_ALSO, *(name for name in project.dotenv if name not in shown)]
    rows += [_row(project, name, None) for name in others if project.environ.get(name)]
    return rows


def hidden(name: str, value: str) -> str:
    """The value, or stars for what looks like a secret."""
    secret = _SECRET.search(name) or _USERINFO.search(value)
    return "********" if value and secret else value


def _file(project: Project, name: str, value: str) -> str:
    table = project.stage.environment if project.stage is not None else {}
    return "pyproject.toml" if table.get(name) == value else project.env_file.name


def _row(project: Project, name: str, settings: Settings | None, field: str = "") -> Variable:
    value = project.environ.get(name, "")
    if value.strip():
        origin = "shell" if name in os.environ else _file(project, name, value)
        if name == "AWS_REGION" and settings and settings.region != value:
            return Variable(name, settings.region or "", "DB_HOST")
        return Variable(name, hidden(name, value), origin)
    if settings is None:
        return Variable(name, "", "")
    found = getattr(settings, field)
    if name == "DB_ENGINE" and project.environ.get("DB_HOST"):
        return Variable(name, settings.engine.name, "DB_HOST")
    if name == "AWS_REGION" and found:
        origin = "DB_HOST" if region_of(settings.host) else "AWS_DEFAULT_REGION"
        return Variable(name, str(found), origin)
    if isinstance(found, float):
        found = f"{found:g}"
    return Variable(name, "" if found is None else str(found), "default")
