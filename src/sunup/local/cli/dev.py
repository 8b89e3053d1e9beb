"""`sunup dev`: the app on this machine, with its own PostgreSQL, reloaded on change."""

import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
import uvicorn
from rich.console import Console

from sunup import nearby
from sunup.local import laptop, notes, project, servers
from sunup.local.database_url import database_variables
from sunup.local.migrations import of_project
from sunup.settings import Settings

from . import ports, watching


def dev(
    app_dir: Annotated[Path, typer.Argument(metavar="APP_DIR", help="The app's folder.")] = Path(),
    *,
    port: Annotated[int, typer.Option(help="The port to listen on.", min=1, max=65535)] = 3000,
    data: Annotated[
        Path | None,
        typer.Option(help="Where the embedded PostgreSQL keeps its data.", show_default=".sunup/"),
    ] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Use the embedded PostgreSQL even if DB_HOST is set.")
    ] = False,
    postgres_wanted: Annotated[
        str | None,
        typer.Option(
            "--postgres",
            envvar=servers.VARIABLE,
            help="Use another PostgreSQL: an installed version (17), or the folder of its initdb.",
            show_default="the embedded 18",
        ),
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar="DATABASE_URL",
            help="Use another server: postgresql://user:password@host:port/name?sslmode=disable.",
        ),
    ] = None,
) -> None:
    """Run the app in APP_DIR on this machine: http://localhost:3000.

    Starts an embedded PostgreSQL 18 (data in APP_DIR/.sunup), applies the migrations in
    APP_DIR/migrations, serves the app and reloads it when a file changes. Ctrl-C stops everything
    and keeps the data. If DB_HOST is set in the environment or in APP_DIR/.env, or --database-url
    is given, that server is used instead; migrations are applied only if it is on this machine.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)
    console = Console(highlight=False)
    found = project.find(app_dir)
    found.check_app()
    if not (embedded or database_url):
        laptop.check_names(found)
    ports.check(port)
    here = Path.cwd()
    wanted = servers.find(postgres_wanted) if postgres_wanted else None
    place = (data or found.folder / laptop.DATA).resolve()
    # As on Lambda, and as after `cd`: what the app and its migrations open by a relative path.
    os.chdir(found.folder)
    where = ""
    with ExitStack() as stack:
        if database_url and not embedded:
            given = {name: text for name, text in database_variables(database_url).items() if text}
            found = laptop.with_variables(found, given)
            stack.enter_context(notes.told(found.folder, given))
        elif embedded or not laptop.names_host(found.environ):
            server = laptop.embedded(found, data=place, binaries=wanted, first=True)
            with console.status("Starting PostgreSQL ..."):
                found = laptop.with_variables(found, stack.enter_context(server))
            version = (place / "PG_VERSION").read_text().strip()
            where = f"PostgreSQL {version} in {_short(place, here)}"
        settings = Settings.from_environment(found.environ)
        settings.check_database()
        where = where or f"{settings.database} on {settings.host}"
        console.print(f"Database    {where}", soft_wrap=True)
        if of_project.has_any(found):
            remote = project.is_remote(found.migration_settings)
            with console.status("Checking migrations (a sleeping database takes a while) ..."):
                done = _pending(found) if remote else _applied(found)
            console.print(f"Migrations  {done}", soft_wrap=True)
        url = f"http://localhost:{port}"
        console.print(f"App         {url}  ({found.app}; Ctrl-C stops it)\n")
        for line in found.tries:
            console.print(line.format(url=url), soft_wrap=True, markup=False)
        console.print()
        sys.stdout.flush()
        state = watching.state(found, port)
        _serve(found, {**found.environ, "SUNUP_APP": found.app, watching.STATE: state}, port)
    console.print("\nStopped. The data is kept.")


def _applied(found: project.Project) -> str:
    undone: list[str] = []
    applied = ", ".join(of_project.upgrade_here(found, undone.extend)) or "nothing to do"
    return (
        f"undone {', '.join(undone)}, with its data: the file has changed; {applied}"
        if undone
        else applied
    )


def _pending(found: project.Project) -> str:
    """A database that others use is not migrated in passing."""
    count = len(of_project.pending(found))
    if not count:
        return "nothing to do"
    host = found.migration_settings.host
    return f"{count} pending on {host}, not applied. To apply: sunup migrate up"


def _serve(found: project.Project, environ: dict[str, str], port: int) -> None:
    os.environ.update(environ)
    for name in os.environ.keys() & nearby.LEADING - environ.keys():
        del os.environ[name]
    if found.code != found.folder:
        sys.path.insert(0, str(found.code))
    hidden = [found.folder / ".sunup", *_environments(found.folder)]
    uvicorn.run(
        "sunup.local.cli.served:app",
        factory=True,
        app_dir=str(found.folder),
        host=ports.HOST,
        port=port,
        reload=True,
        reload_dirs=[str(found.folder)],
        reload_includes=["pyproject.toml"],
        reload_delay=0,  # before the app is ready the watch has begun: no save is missed
        # uvicorn takes an absolute folder only when it exists.
        reload_excludes=[str(each) for each in hidden if each.is_dir()],
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=3,
    )


def _environments(folder: Path) -> list[Path]:
    """Virtual environments: what pip does in them is no change of the app's."""
    return [each.parent for depth in ("*", "*/*") for each in folder.glob(f"{depth}/pyvenv.cfg")]


def _terminate(number: int, _: FrameType | None) -> None:
    """End by way of the clean-up: a closed terminal (SIGHUP) must not leave PostgreSQL behind."""
    if number == signal.SIGHUP and signal.getsignal(signal.SIGTERM) is not _terminate:
        os.kill(os.getpid(), signal.SIGTERM)  # uvicorn is in charge, and stops on this one
    else:
        raise SystemExit(128 + number)


def _short(path: Path, here: Path) -> str:
    try:
        return str(path.relative_to(here))
    except ValueError:
        return str(path)
