"""`sunup migrate`: Alembic, safe when two run at once, patient with a sleeping database."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from sunup.engines import DSQL
from sunup.local import project
from sunup.local.cloud.dsql import deploying as dsql
from sunup.local.errors import CommandError
from sunup.local.migrations import of_project
from sunup.local.migrations import running as migrations
from sunup.local.migrations import writing as migration_new
from sunup.local.migrations.dsql import marking
from sunup.local.opening import waking
from sunup.settings import Settings

from .migrate_check import before_up, is_for_dsql, tell_of
from .migrate_check import check as check_command
from .migrate_waiting import another_runs, interruptible
from .waiting import ERRORS, confirm, end_cleanly, waiting
from .with_database import with_database

app = typer.Typer(
    help="Apply, write, list and undo migrations (Alembic, in APP_DIR/migrations).\n\nConnects "
    "as DB_MIGRATION_USER (the role that owns the tables) if it is set, otherwise as "
    "DB_USER, and waits for a sleeping database. Without DB_HOST, it uses the PostgreSQL of "
    "sunup dev. Two runs at the same time are safe: one waits for the other.",
    no_args_is_help=True,
)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
AppDir = Annotated[Path, typer.Argument(metavar="APP_DIR", help="The app's folder.")]

app.command("check")(check_command)

_STYLES = {
    "applied": "green",
    "pending": "yellow",
    "changed": "red",
    "begun": "red",
    "undoing": "red",
}


@app.command()
def up(
    context: typer.Context,
    app_dir: AppDir = Path(),
    *,
    to: Annotated[str, typer.Option(help="Stop at this revision.")] = "head",
    accept: Annotated[
        list[str] | None,
        typer.Option(help="Accept the edited file of this (half) applied revision. Repeatable."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check",
            help="For Aurora DSQL: check the statements with dsql-lint first, if it is installed.",
        ),
    ] = True,
    yes: Yes = False,
) -> None:
    """Apply the pending migrations.

    Asks first if the database is on another machine. Refuses if the file of an applied migration
    was changed, because databases would then differ unnoticed.
    """
    end_cleanly()
    found = with_database(context, app_dir)
    settings = found.migration_settings
    if project.is_remote(settings) and not yes:
        confirm(f"Migrate {settings.database} on {settings.host}?")
    if of_project.is_django(found):
        with waiting(waking(settings.user)) as tell:
            applied = of_project.upgrade(found, on_retry=tell)
        typer.echo(f"Applied {', '.join(applied)}." if applied else "Nothing to do.")
        _let_the_app_use_it(found)
        return
    if check and settings.engine is DSQL:
        with waiting(waking(settings.user)):
            pending = of_project.status(found)
        states = ("pending", "begun")
        before_up(found.migrations, [each.revision for each in pending if each.state in states])
    with interruptible(), waiting(waking(settings.user)) as tell:
        applied = migrations.upgrade(
            settings,
            found.migrations,
            to=to,
            accept=accept or (),
            credentials=found.credentials,
            on_wait=lambda: another_runs(settings, tell),
            on_retry=tell,
        )
    typer.echo(f"Applied {', '.join(applied)}." if applied else "Nothing to do.")
    _let_the_app_use_it(found)


def _let_the_app_use_it(found: project.Project) -> None:
    """On Aurora DSQL nothing does so by itself, as default privileges do on Aurora."""
    granted = dsql.rights(found)
    if granted:
        typer.echo(f"Granted {found.settings.user} its rights on {', '.join(granted)}.")


def _by_alembic(app_dir: Path, instead: str) -> None:
    """Raise `CommandError` for a Django project, whose manage.py does it."""
    if of_project.is_django(project.find(app_dir)):
        raise CommandError("this project's migrations are Django's", f"python manage.py {instead}.")


@app.command()
def down(
    context: typer.Context,
    app_dir: AppDir = Path(),
    *,
    to: Annotated[
        str,
        typer.Option(
            help="Undo what came after this revision; -1 undoes the last one, base everything."
        ),
    ] = "-1",
    yes: Yes = False,
) -> None:
    """Undo the last migration, or several. Asks first: what `downgrade` drops is lost."""
    end_cleanly()
    _by_alembic(app_dir, "migrate APP NAME goes back to the migration NAME, or zero")
    found = with_database(context, app_dir)
    settings = found.migration_settings
    seen = None
    if not yes:
        where = f"{settings.database} on {settings.host}"
        with waiting(waking(settings.user)):
            states = migrations.status(settings, found.migrations, credentials=found.credentials)
        seen = {each.revision for each in states if each.state not in ("pending", "begun")}
        if not seen:
            typer.echo("Nothing to undo.")
            return
        confirm(f"Undo migrations of {where}, and lose the data that they drop?")
    with interruptible(), waiting(waking(settings.user)) as tell:
        undone = migrations.downgrade(
            settings,
            found.migrations,
            to=to,
            seen=seen,
            credentials=found.credentials,
            on_wait=lambda: another_runs(settings, tell),
            on_retry=tell,
        )
    typer.echo(f"Undone: {', '.join(undone)}." if undone else "Nothing to undo.")


@app.command()
def status(
    context: typer.Context,
    app_dir: AppDir = Path(),
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """List the migrations: applied, pending, or changed after they were applied.

    Exits with status 1 if one was changed.
    """
    found = with_database(context, app_dir)
    settings = found.migration_settings
    with waiting(waking(settings.user)):
        states = of_project.status(found)
    if as_json:
        typer.echo(json.dumps([vars(each) for each in states]))
    else:
        console = Console(highlight=False)
        for each in states:
            state = (f"{each.state:<9}", _STYLES[each.state])
            console.print(Text.assemble(state, f"{each.file}  {each.title}"), soft_wrap=True)
        if not states:
            console.print("There are no migrations yet. To write one: sunup migrate new MESSAGE")
    if any(each.state == "changed" for each in states):
        raise typer.Exit(1)


@app.command()
def sql(
    context: typer.Context,
    app_dir: AppDir = Path(),
    *,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Start from the first migration, on a temporary PostgreSQL."),
    ] = False,
) -> None:
    """Print the SQL that `up` would execute, without executing it."""
    _by_alembic(app_dir, "sqlmigrate APP NAME prints one's statements")
    if everything:
        found = project.find(app_dir)
        with waiting("Reading the migrations"), migration_new.scratch() as scratch:
            text = migrations.sql(scratch, found.migrations, everything=True)
    else:
        found = with_database(context, app_dir)
        settings: Settings = found.migration_settings
        with waiting(waking(settings.user)):
            text = migrations.sql(settings, found.migrations, credentials=found.credentials)
    typer.echo(text.strip() or "-- Nothing to do.")


@app.command()
def new(
    message: Annotated[str, typer.Argument(help='What the migration does, such as "add orders".')],
    app_dir: AppDir = Path(),
) -> None:
    """Write the next migration.

    If migrations/env.py gives Alembic a `target_metadata`, the migration contains the differences
    between the models and the earlier migrations. They are compared on a temporary PostgreSQL,
    not on your database. Review the file before you apply it.
    """
    _by_alembic(app_dir, "makemigrations writes what differs from the models")
    found = project.find(app_dir)
    if not message.strip():
        raise CommandError(
            "the message is empty", 'Say what the migration does, such as "add orders".'
        )
    with waiting("Comparing models and migrations"):
        written = migration_new.write(found.migrations, message)
    for_dsql = is_for_dsql(found)
    if for_dsql:
        marking.mark(written.path)
    typer.echo(written.path)
    if not written.compared:
        ERRORS.print("The migration is empty: env.py has no target_metadata to compare with.")
    elif not written.changes:
        ERRORS.print("The migration is empty: the models and the migrations already match.")
    elif for_dsql:
        tell_of(found.migrations, written.path)


@app.command()
def merge(
    app_dir: AppDir = Path(),
    *,
    message: Annotated[str, typer.Option(help="The message of the merge migration.")] = "merge",
) -> None:
    """Join two heads: migrations that were written side by side, on two branches."""
    _by_alembic(app_dir, "makemigrations --merge joins them")
    typer.echo(migration_new.merge(project.find(app_dir).migrations, message))


@app.command()
def receipts(app_dir: AppDir = Path()) -> None:
    """Write the migration that adds the table for `sunup.exactly_once`.

    The app's role needs to select, insert, update and delete there, as in the app's own tables.
    """
    _by_alembic(app_dir, "migrate adds it, with sunup.integrations.django in INSTALLED_APPS")
    typer.echo(migration_new.write_receipts(project.find(app_dir).migrations))
