"""`sunup emulate`: the app in an AWS on this machine, where it sleeps, freezes and fails."""

import os
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sunup.local import project, servers
from sunup.local.emulator import (
    AuroraOptions,
    Emulator,
    EmulatorOptions,
    FunctionOptions,
    GatewayOptions,
)
from sunup.local.emulator.options import FrontName, HangAt
from sunup.local.errors import CommandError
from sunup.local.interrupts import Interrupts

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
            help="The app's folder, or a deployment package (.zip).",
            is_eager=True,
            callback=with_defaults_of,
        ),
    ] = Path(),
    *,
    port: Annotated[int, typer.Option(help="Of the gateway.", min=1, max=65535)] = 3000,
    console_port: Annotated[
        int, typer.Option(help="Of the page with the timeline.", min=1, max=65535)
    ] = 3001,
    aurora_port: Annotated[
        int | None,
        typer.Option(help="Of Aurora.", min=1, max=65535, show_default="a free one"),
    ] = None,
    memory: Annotated[
        int, typer.Option(help="Of an instance, in MB; decides its processor share.", min=128)
    ] = DEFAULTS.memory,
    timeout: Annotated[
        float, typer.Option(help="Of the function, in seconds.", min=1, max=900)
    ] = DEFAULTS.timeout,
    concurrency: Annotated[
        int, typer.Option(help="Reserved concurrency: the most instances.", min=1, max=200)
    ] = DEFAULTS.functions.concurrency,
    max_acu: Annotated[
        float, typer.Option(help="Of Aurora; decides max_connections.", min=1, max=256)
    ] = DEFAULTS.aurora.max_acu,
    resume_seconds: Annotated[
        float, typer.Option(help="Until a paused Aurora is awake.", min=0)
    ] = DEFAULTS.aurora.resume_seconds,
    pause_after: Annotated[
        float, typer.Option(help="Seconds without a connection until Aurora pauses.", min=0.1)
    ] = DEFAULTS.aurora.pause_after,
    instance_idle: Annotated[
        float, typer.Option(help="Seconds until an idle instance is reaped.", min=0.1)
    ] = DEFAULTS.functions.instance_idle,
    hang_at: Annotated[
        HangAt, typer.Option(help="Where a connect hangs while Aurora resumes.")
    ] = DEFAULTS.aurora.hang_at,
    front: Annotated[
        FrontName, typer.Option(help="What stands in front of the function.")
    ] = DEFAULTS.gateway.front,
    payload: Annotated[
        str, typer.Option(help="Of an HTTP API's events: 2.0 or 1.0.")
    ] = DEFAULTS.gateway.payload,
    authorization: Annotated[
        str, typer.Option(help="Of the gateway: NONE, JWT or AWS_IAM, as in terraform.tfvars.")
    ] = DEFAULTS.gateway.authorization,
    binary_media_type: Annotated[
        list[str] | None, typer.Option(help="Of a REST API, such as image/*; repeat it.")
    ] = None,
    multi_value_headers: Annotated[
        bool, typer.Option("--multi-value-headers", help="Of a load balancer's target group.")
    ] = False,
    jwt_issuer: Annotated[
        str | None,
        typer.Option(help="Whose tokens are accepted.", show_default="the console's own"),
    ] = None,
    jwt_audience: Annotated[
        str, typer.Option(help="Which a token must be for.")
    ] = DEFAULTS.gateway.jwt_audience[0],
    migrations: Annotated[
        Path | None, typer.Option(help="Alembic's folder.", show_default="beside the app")
    ] = None,
    bootstrap: Annotated[
        str | None,
        typer.Option(help="The command of a custom runtime, such as 'node bootstrap.mjs'."),
    ] = None,
    postgres: Annotated[
        str | None,
        typer.Option(
            envvar=servers.VARIABLE,
            help="Another PostgreSQL: a version that is installed (17), or its folder.",
            show_default="the embedded 18",
        ),
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the function; repeat it.")
    ] = None,
) -> None:
    r"""Run the app in an AWS on this machine: gateway, Lambda instances, Aurora, console.

    The real awslambdaric runs the app; instances are frozen between requests; Aurora verifies IAM
    tokens, pauses when nobody is connected and resumes when somebody comes. Open the console to
    see it, and to drop, refuse, fail over, rotate. Ctrl-C ends everything and throws the data away.

    Options may stand in pyproject.toml, in the table \[tool.sunup.emulate] (memory = 512).
    """
    interrupts = Interrupts()
    interrupts.install()
    if payload not in ("2.0", "1.0"):
        raise CommandError(f"--payload is {payload!r}", "It is 2.0 or 1.0.")
    authorization = authorization.upper()
    if authorization not in ("NONE", "JWT", "AWS_IAM"):
        raise CommandError(f"--authorization is {authorization!r}", "It is NONE, JWT or AWS_IAM.")
    if jwt_issuer is not None and not jwt_issuer.startswith(("https://", "http://localhost")):
        raise CommandError(
            f"--jwt-issuer is {jwt_issuer!r}", "It is a URL, such as https://login.example.com/."
        )
    console = Console(highlight=False)
    if migrations is not None and not migrations.is_dir():
        raise CommandError(f"there is no folder {migrations}", "Name Alembic's folder.")
    command = command_of(bootstrap, app_dir)
    packaged = app_dir.is_file() and app_dir.suffix == ".zip"
    found = project.find(app_dir.parent if packaged else app_dir)
    if not packaged and command is None:
        found.check_app()
        found.check_handler()
    check_ports(port, console_port, aurora_port)
    binaries = servers.find(postgres)
    options = EmulatorOptions(
        handler=found.handler,
        memory=memory,
        timeout=timeout,
        environ=variables_of(env or []),
        migrations=migrations,
        bootstrap=command,
        postgres=postgres,
        keep=found.folder / ".sunup" / "emulator",
        port=port,
        console_port=console_port,
        aurora=AuroraOptions(
            port=aurora_port or 0,
            pause_after=pause_after,
            resume_seconds=resume_seconds,
            deep_resume_seconds=max(DEFAULTS.aurora.deep_resume_seconds, 2 * resume_seconds),
            hang_at=hang_at,
            max_acu=max_acu,
        ),
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
    with status, Emulator(app_dir if packaged else found.folder, options, listener=printer) as aws:
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
