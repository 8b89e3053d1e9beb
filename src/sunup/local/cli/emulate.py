"""`sunup emulate`: the app in an AWS on this machine, where it sleeps, freezes and fails."""

import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sunup.local import project, servers
from sunup.local.emulator import (
    Emulator,
    EmulatorOptions,
    FunctionOptions,
    GatewayOptions,
)
from sunup.local.emulator.options import EngineName, FrontName, HangAt
from sunup.local.errors import CommandError
from sunup.local.interrupts import Interrupts

from .databases import options_of
from .given import check_ports, command_of, variables_of, with_defaults_of
from .introducing import introduce
from .printing import EventPrinter

DEFAULTS = EmulatorOptions()

# Seconds for the last word.
_LAST_WORD = 1.0


def emulate(
    app_dir: Annotated[
        Path,
        typer.Argument(
            metavar="APP_DIR",
            help="The app's folder, or a deployment package (.zip).",
            is_eager=True,
            callback=with_defaults_of,
        ),
    ] = Path(),
    *,
    port: Annotated[int, typer.Option(help="The gateway's port.", min=1, max=65535)] = 3000,
    console_port: Annotated[
        int, typer.Option(help="The port of the console, which shows a timeline.", min=1, max=65535)
    ] = 3001,
    engine: Annotated[
        EngineName,
        typer.Option(
            help="The database: Aurora PostgreSQL, alone or behind an RDS Proxy, Aurora DSQL, or "
            "Neon, directly or through its pooler."
        ),
    ] = DEFAULTS.engine,
    aurora_port: Annotated[
        int | None,
        typer.Option(help="The database's port.", min=1, max=65535, show_default="a free one"),
    ] = None,
    memory: Annotated[
        int, typer.Option(help="An instance's memory in MB; it also sets the CPU share.", min=128)
    ] = DEFAULTS.memory,
    timeout: Annotated[
        float, typer.Option(help="The function's timeout in seconds.", min=1, max=900)
    ] = DEFAULTS.timeout,
    concurrency: Annotated[
        int,
        typer.Option(help="Reserved concurrency: the maximum number of instances.", min=1, max=200),
    ] = DEFAULTS.functions.concurrency,
    max_acu: Annotated[
        float, typer.Option(help="Aurora's maximum ACUs; they set max_connections.", min=1, max=256)
    ] = DEFAULTS.aurora.max_acu,
    resume_seconds: Annotated[
        float | None,
        typer.Option(
            help="Seconds that a paused Aurora, inactive DSQL or suspended Neon takes to wake.",
            min=0,
            show_default="15, Neon 0.5",
        ),
    ] = None,
    pause_after: Annotated[
        float,
        typer.Option(
            help="Seconds without a connection before Aurora pauses, or DSQL is inactive; without "
            "an active query before Neon is suspended.",
            min=0.1,
        ),
    ] = DEFAULTS.aurora.pause_after,
    sessions: Annotated[
        int | None,
        typer.Option(
            help="The most database sessions behind RDS Proxy or Neon's pooler.",
            min=1,
            show_default="all of max_connections, Neon 90 %",
        ),
    ] = None,
    borrow_timeout: Annotated[
        float, typer.Option(help="Seconds that a client waits for one of those.", min=0.1)
    ] = DEFAULTS.rds_proxy.borrow_timeout,
    conflicts: Annotated[
        float,
        typer.Option(help="The probability that a DSQL COMMIT conflicts: 0 to 1.", min=0, max=1),
    ] = DEFAULTS.dsql.conflicts,
    instance_idle: Annotated[
        float, typer.Option(help="Seconds before an idle instance is removed.", min=0.1)
    ] = DEFAULTS.functions.instance_idle,
    hang_at: Annotated[
        HangAt, typer.Option(help="The step at which a connection hangs while Aurora resumes.")
    ] = DEFAULTS.aurora.hang_at,
    front: Annotated[
        FrontName, typer.Option(help="What is in front of the function.")
    ] = DEFAULTS.gateway.front,
    payload: Annotated[
        str, typer.Option(help="The payload version of an HTTP API: 2.0 or 1.0.")
    ] = DEFAULTS.gateway.payload,
    authorization: Annotated[
        str,
        typer.Option(
            help="The gateway's authorization: NONE, JWT or AWS_IAM, as in terraform.tfvars."
        ),
    ] = DEFAULTS.gateway.authorization,
    binary_media_type: Annotated[
        list[str] | None,
        typer.Option(help="A binary media type of a REST API, such as image/*. Repeatable."),
    ] = None,
    multi_value_headers: Annotated[
        bool,
        typer.Option(
            "--multi-value-headers",
            help="Send multi-value headers, as a load balancer's target group can.",
        ),
    ] = False,
    jwt_issuer: Annotated[
        str | None,
        typer.Option(help="The issuer whose tokens are accepted.", show_default="the console"),
    ] = None,
    jwt_audience: Annotated[
        str, typer.Option(help="The audience that a token must have.")
    ] = DEFAULTS.gateway.jwt_audience[0],
    tracing: Annotated[
        bool,
        typer.Option(
            "--tracing", help="Record traces, as tracing = true in terraform.tfvars: see them here."
        ),
    ] = False,
    migrations: Annotated[
        Path | None, typer.Option(help="Alembic's folder.", show_default="next to the app")
    ] = None,
    bootstrap: Annotated[
        str | None,
        typer.Option(help="The command of a custom runtime, such as 'node bootstrap.mjs'."),
    ] = None,
    postgres: Annotated[
        str | None,
        typer.Option(
            envvar=servers.VARIABLE,
            help="Use another PostgreSQL: an installed version (17), or the folder of its initdb.",
            show_default="the embedded 18",
        ),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(help="Set an environment variable of the function: NAME=VALUE. Repeatable."),
    ] = None,
) -> None:
    r"""Run the app in an emulated AWS on this machine: gateway, instances, database, console.

    The real awslambdaric runs the app. Instances are frozen between requests. Aurora verifies IAM
    tokens, pauses when nobody is connected, and resumes for the next connection. With --engine dsql
    the database is Aurora DSQL: it refuses what DSQL refuses, and finds conflicts at COMMIT. Open
    the console to watch, and to drop or refuse connections, fail over, or rotate credentials.
    Ctrl-C stops everything and discards the data.

    Options can also be set in pyproject.toml, in the table \[tool.sunup.emulate] (memory = 512).
    """
    if payload not in ("2.0", "1.0"):
        raise CommandError(f"--payload {payload!r} is not supported", "Use 2.0 or 1.0.")
    authorization = authorization.upper()
    if authorization not in ("NONE", "JWT", "AWS_IAM"):
        raise CommandError(
            f"--authorization {authorization!r} is not supported", "Use NONE, JWT or AWS_IAM."
        )
    if jwt_issuer is not None and not jwt_issuer.startswith(("https://", "http://localhost")):
        raise CommandError(
            f"--jwt-issuer {jwt_issuer!r} is not an https:// URL",
            "Use a URL such as https://login.example.com/.",
        )
    console = Console(highlight=False)
    if migrations is not None and not migrations.is_dir():
        raise CommandError(f"there is no folder {migrations}", "Pass Alembic's folder.")
    command = command_of(bootstrap, app_dir)
    packaged = app_dir.is_file() and app_dir.suffix == ".zip"
    found = project.find(app_dir.parent if packaged else app_dir)
    if not packaged and command is None:
        found.check_app()
        found.check_handler()
    check_ports(port, console_port, aurora_port)
    binaries = servers.find(postgres)
    databases = options_of(
        engine,
        port=aurora_port or 0,
        pause_after=pause_after,
        resume_seconds=resume_seconds,
        hang_at=hang_at,
        max_acu=max_acu,
        conflicts=conflicts,
        sessions=sessions,
        borrow_timeout=borrow_timeout,
    )
    options = replace(
        databases,
        handler=found.handler,
        memory=memory,
        timeout=timeout,
        environ=variables_of(env or []),
        migrations=migrations,
        bootstrap=command,
        tracing=tracing,
        postgres=postgres,
        keep=found.folder / ".sunup" / "emulator",
        port=port,
        console_port=console_port,
        functions=FunctionOptions(concurrency=concurrency, instance_idle=instance_idle),
        gateway=GatewayOptions(
            front=front,
            binary_media_types=tuple(binary_media_type or ()),
            multi_value_headers=multi_value_headers,
            payload=payload,  # type: ignore[arg-type]  # checked above
            authorization=authorization,  # type: ignore[arg-type]
            jwt_issuer=jwt_issuer,
            jwt_audience=(jwt_audience,),
        ),
    )
    printer = EventPrinter(console)
    status = console.status("Starting PostgreSQL, applying migrations ...")
    app = app_dir if packaged else found.folder
    with (
        Interrupts() as interrupts,
        status,
        Emulator(app, options, listener=printer) as aws,
    ):
        interrupts.started()
        status.stop()
        introduce(console, aws, found.tries, binaries)
        printer.on = True
        interrupts.wait()
        printer.on = False
    last = threading.Thread(target=console.print, args=("\nStopped.",), daemon=True)
    last.start()
    last.join(_LAST_WORD)
    if last.is_alive():
        os._exit(0)  # everything has ended; the terminal stands still, and would hold us, too
