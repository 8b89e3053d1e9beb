"""`sunup migrate check`: whether Aurora DSQL takes the migrations, before it is asked."""

import json
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from sunup.engines import DSQL
from sunup.local import project
from sunup.local.errors import CommandError
from sunup.local.migrations import of_project
from sunup.local.migrations.dsql import linting
from sunup.local.migrations.folder import open_folder
from sunup.local.project import Project
from sunup.settings import Settings, SettingsError

from .waiting import ERRORS, waiting

_INSTALL = "Install it: pip install dsql-lint."

# Of the findings in an error.
_MOST = 5


def check(
    app_dir: Annotated[Path, typer.Argument(metavar="APP_DIR", help="The app's folder.")] = Path(),
    *,
    engine: Annotated[str, typer.Option(help="The engine to check for: dsql.")] = "dsql",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Check whether Aurora DSQL takes the migrations, with dsql-lint; no database is asked.

    For who plans to move there. Exits with status 1 if it would refuse a statement.
    """
    if engine != "dsql":
        raise CommandError(f"--engine {engine}: there is only dsql to check for")
    found = project.find(app_dir)
    if of_project.is_django(found):
        raise CommandError(
            "this project's migrations are Django's",
            "python manage.py sqlmigrate APP NAME | dsql-lint - checks one.",
        )
    lint = linting.program()
    if lint is None:
        raise CommandError("dsql-lint is not installed", _INSTALL)
    _, script = open_folder(found.migrations)
    with waiting("Checking the migrations"):
        told = linting.findings(lint, script, [each.revision for each in script.walk_revisions()])
    if as_json:
        typer.echo(json.dumps([vars(each) for each in told]))
    else:
        for each in told:
            typer.echo(str(each))
        if not told:
            typer.echo("Aurora DSQL takes all of them, as far as dsql-lint knows.")
    if any(each.refused for each in told):
        raise typer.Exit(1)


def before_up(migrations: Path, pending: Collection[str]) -> None:
    """Tell what Aurora DSQL would refuse of these revisions. Raises `CommandError` then."""
    lint = linting.program()
    if lint is None:
        ERRORS.print(
            "dsql-lint is not installed: the statements are not checked before they are "
            f"executed. {_INSTALL}",
            soft_wrap=True,
            markup=False,
        )
        return
    _, script = open_folder(migrations)
    told = linting.findings(lint, script, pending)
    for each in told:
        if not each.refused:
            ERRORS.print(str(each), soft_wrap=True, markup=False)
    refused = [each for each in told if each.refused]
    if refused:
        more = f" (and {len(refused) - _MOST} more)" if len(refused) > _MOST else ""
        raise CommandError(
            "Aurora DSQL would refuse, and nothing was executed: "
            + "; ".join(map(str, refused[:_MOST]))
            + more,
            "Write it otherwise, or pass --no-check to go on.",
        )


def tell_of(migrations: Path, file: Path) -> None:
    """Tell what Aurora DSQL would refuse of a new migration, where dsql-lint is installed."""
    lint = linting.program()
    if lint is None:
        return
    _, script = open_folder(migrations)
    revisions = [each.revision for each in script.walk_revisions() if Path(each.path) == file]
    for each in linting.findings(lint, script, revisions):
        ERRORS.print(str(each), soft_wrap=True, markup=False)


def is_for_dsql(found: Project) -> bool:
    """Whether the app's engine is Aurora DSQL; not where its settings are wrong, or for others."""
    with suppress(SettingsError):
        return Settings.from_environment(found.environ).engine is DSQL
    return False
