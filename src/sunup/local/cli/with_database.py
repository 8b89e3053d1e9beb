"""The app and its database, for the time of one command."""

from pathlib import Path

import typer

from sunup.local import laptop, project
from sunup.local.project import Project

from .waiting import ERRORS


def with_database(context: typer.Context, app_dir: Path) -> Project:
    """The project in a folder; without DB_HOST with the PostgreSQL of `sunup dev`, or the embedded.

    What is started ends with the command. Raises `CommandError` and `PostgresFailed`.
    """
    opened = laptop.database(
        project.find(app_dir), lambda text: ERRORS.print(text, soft_wrap=True, markup=False)
    )
    found, _ = context.with_resource(opened)
    return found
