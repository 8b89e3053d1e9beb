"""`sunup init`: an existing project, made ready for sunup."""

import difflib
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from sunup.local import apps, django_settings, existing, project
from sunup.local.errors import CommandError

from .waiting import confirm

_DRIVERS = ("asyncpg", "psycopg", "django")
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def init(
    app_dir: Annotated[
        Path, typer.Argument(metavar="APP_DIR", help="The project's folder.")
    ] = Path(),
    *,
    app: Annotated[
        str | None,
        typer.Option(help="The app, as module:name or module:create_app().", show_default="found"),
    ] = None,
    driver: Annotated[
        str | None,
        typer.Option(
            help="The database driver: asyncpg, psycopg or django.",
            show_default="chosen for the app",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    r"""Prepare an existing project for sunup: find its app, show the changes, ask, and write them.

    Adds database.py, lambda_function.py, the table \[tool.sunup], lines in .gitignore and the
    Terraform. Existing code stays as it is; an alembic/ folder or manage.py is found and used.
    """
    folder = app_dir.resolve()
    if not folder.is_dir():
        raise CommandError(f"there is no folder {folder}", "Pass the folder of your project.")
    if driver not in (None, *_DRIVERS):
        raise CommandError(
            f"--driver {driver!r} is not supported", f"Use one of {', '.join(_DRIVERS)}."
        )
    said = project.find(folder)
    if app is not None:
        replace(said, app=app).check_app()
    if "app" in said.table:  # asked for before, and not changed here
        if app not in (None, said.app):
            raise CommandError(
                f"pyproject.toml already sets app = {said.app!r}",
                f"To use {app!r}, change it there.",
            )
        app = said.app
    found = apps.apps(folder)
    chosen = _chosen(app_dir, app, found)
    driver = driver or chosen.driver
    console = Console(highlight=False, markup=False, soft_wrap=True)
    kind = f" ({'Django' if chosen.driver == 'django' else chosen.kind})" if chosen.kind else ""
    console.print(f"App         {chosen.name}{kind}, with {driver}")
    others = [each.name for each in found if each.name != chosen.name]
    if others:
        console.print(f"Others      {', '.join(others)} (--app chooses one)")
    files = existing.files(folder, chosen.name, driver)
    by_hand = existing.by_hand(folder, chosen.name, driver)
    if not files:
        console.print(f"Nothing to {'write' if by_hand else 'do'}: everything is in place.")
    for file, text in files.items():
        _show(console, folder, file, text)
    if files:
        if not yes:
            confirm("Write these changes?")
        existing.write(folder, files)
        following = "what is below, then sunup dev" if by_hand else "sunup dev"
        console.print(f"\nWritten. Next: {following}")
    for each in by_hand:
        console.print(f"By hand     {each}")


def _chosen(app_dir: Path, app: str | None, found: list[apps.Found]) -> apps.Found:
    """The app that is asked for, or the likeliest. Raises `CommandError` where there is none."""
    folder = app_dir.resolve()
    if app is not None:
        known = (each for each in found if each.name == app)
        return next(known, apps.Found(app, "", apps.driver(folder, app)))
    if not found:
        raise CommandError(
            f"no app was found in {folder}",
            "Pass --app module:name, and --driver if it is not asyncpg.",
        )
    home = django_settings.home(folder, found[0].name)
    if found[0].driver == "django" and home != folder:
        place = app_dir / home.relative_to(folder)
        raise CommandError(
            f"the app that was found is Django's in {place}, where manage.py is",
            f"Make that folder ready: sunup init {place}. Or --app names another app.",
        )
    return found[0]


def _show(console: Console, folder: Path, file: str, text: str) -> None:
    """The difference; of Terraform's files, which are long and new, the names."""
    if file.startswith("terraform/"):
        console.print(f"New         {file}, {len(text.splitlines())} lines")
        return
    path = folder / file
    before = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    console.print()
    start = file if before else "/dev/null"
    for line in difflib.unified_diff(before, text.splitlines(), start, file, lineterm=""):
        console.print(Text(line, style=_COLOURS.get(line[:1], "")))
