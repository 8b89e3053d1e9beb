"""`sunup psql`, `sunup token` and `sunup env`: the app's way to the database, for other tools."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sunup.connecting.waking import password_for
from sunup.local import laptop, project
from sunup.local.environment import listed
from sunup.local.errors import CommandError
from sunup.local.opening import waking
from sunup.local.psql import environment, variables, wake
from sunup.settings import Settings

from .waiting import ERRORS, waiting

# A token is checked when a session begins (Aurora User Guide, "IAM database authentication").
TOKEN_SECONDS = 900

User = Annotated[str | None, typer.Option(help="The role to connect as.", show_default="DB_USER")]


def psql(
    context: typer.Context,
    app_dir: Annotated[Path, typer.Option(help="The app's folder.")] = Path(),
    *,
    user: User = None,
) -> None:
    r"""Open psql on the app's database; arguments after -- are passed to psql.

    Wakes a sleeping database first, signs an IAM token and verifies the server's certificate. New
    sessions (\c) work for 15 minutes, until the token expires.

    On Aurora DSQL your IAM role has to be let in as the app's role (sunup database create --grant);
    --user admin needs dsql:DbConnectAdmin only.

    For example: sunup psql -- -c 'select count(*) from users'
    """
    program = shutil.which("psql")
    if program is None:
        raise CommandError(
            "psql is not on PATH",
            "Install it. Debian: apt install postgresql-client. macOS: brew install libpq, then "
            "add it to PATH.",
        )

    def tell(text: str) -> None:
        ERRORS.print(text, soft_wrap=True, markup=False)

    with laptop.database(project.find(app_dir), tell) as (found, shared):
        settings = found.as_user(user)
        with waiting(waking(settings.user)):
            wake(settings, found.credentials)
        child = environment(os.environ, variables(settings, found.credentials))
        sys.stdout.flush()
        if shared:  # the server may end with the block
            raise typer.Exit(_run([program, *context.args], child))
        os.execve(program, [program, *context.args], child)  # noqa: S606  # no shell is meant


def _run(command: list[str], environ: dict[str, str]) -> int:
    """Its exit status, as a shell has it. What should end us ends it first; Ctrl-C is its own."""
    running: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        if not running:
            raise SystemExit(128 + number)
        running[0].send_signal(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    signal.signal(signal.SIGINT, lambda *_: None)
    running.append(subprocess.Popen(command, env=environ))  # noqa: S603
    status = running[0].wait()
    return status if status >= 0 else 128 - status


def token(
    app_dir: Annotated[Path, typer.Argument(metavar="APP_DIR", help="The app's folder.")] = Path(),
    *,
    user: User = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON with host, port, user, database and expiry, too."),
    ] = False,
) -> None:
    """Print an IAM token: a database password for other tools, valid for 15 minutes.

    Anyone who has it can log in. Pass it in an environment variable or a pipe, never as an
    argument: PGPASSWORD=$(sunup token) pg_dump ...
    """
    found = project.find(app_dir)
    settings = found.as_user(user)
    if not settings.uses_token:
        raise CommandError(
            "this database does not use IAM tokens (DB_PASSWORD is set, or DB_HOST is a socket)",
            "Remove DB_PASSWORD from .env to use Aurora with IAM.",
        )
    credentials = found.credentials.find()
    end = time.time() + TOKEN_SECONDS
    if credentials.expires is not None:
        end = min(end, credentials.expires)
    value = password_for(settings, credentials)
    if as_json:
        content = {
            "token": value,
            "host": settings.host,
            "port": settings.port,
            "user": settings.user,
            "database": settings.database,
            "expires": round(end),
        }
        typer.echo(json.dumps(content))
        return
    typer.echo(value)
    if sys.stdout.isatty():
        ERRORS.print(
            f"Valid for {settings.user} until {time.strftime('%H:%M', time.localtime(end))}."
        )


def env(
    app_dir: Annotated[Path, typer.Argument(metavar="APP_DIR", help="The app's folder.")] = Path(),
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Show the settings that the app would see here, and where each comes from.

    Secrets are hidden. Exits with status 1 if a setting is wrong.
    """
    found = project.find(app_dir)
    rows = listed(found)
    if as_json:
        typer.echo(json.dumps([vars(each) for each in rows]))
    else:
        table = Table(box=None, pad_edge=False, show_edge=False)
        for name in ("variable", "value", "from"):
            table.add_column(name, overflow="fold", no_wrap=not sys.stdout.isatty())
        for each in rows:
            table.add_row(each.name, each.value, each.origin)
        width = None if sys.stdout.isatty() else 1000
        Console(highlight=False, markup=False, width=width).print(table)
    Settings.from_environment(found.environ)
