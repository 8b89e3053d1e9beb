"""`sunup logs`: the function's requests as rows."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from sunup.local import project
from sunup.local.aws import Arn, Aws
from sunup.local.cloud import logs as reading
from sunup.local.cloud.terraform import Terraform
from sunup.local.errors import CommandError
from sunup.local.project import Project

_HEAD = (
    f"{'time':<8}  {'':>3}  {'took ms':>8}  {'cold ms':>7}  {'wake ms':>8}  {'query ms':>8}"
    f"  {'MB':>4}  request"
)


def logs(
    app_dir: Annotated[Path, typer.Argument(metavar="APP_DIR", help="The app's folder.")] = Path(),
    *,
    since: Annotated[str, typer.Option(help="How far back: 90s, 15m, 2h, 1d.")] = "1h",
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", "-f", help="Keep following until Ctrl-C; lines arrive seconds late."
        ),
    ] = False,
    errors: Annotated[
        bool, typer.Option("--errors", help="Show only failed requests, with the reason.")
    ] = False,
    group: Annotated[
        str | None,
        typer.Option(help="The CloudWatch log group.", show_default="the deployed function's"),
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="The AWS region, such as eu-central-1.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Print the log lines unchanged.")] = False,
    access: Annotated[
        bool,
        typer.Option(
            "--access",
            help="Show the gateway's log, with requests that never reached the function.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per request.")
    ] = False,
) -> None:
    """Show the requests that the function answered.

    One row each: time, status, duration, cold start (INIT), wait for a sleeping database, query
    time and memory used. Below the row: what the app logged.
    """
    found = project.find(app_dir)
    back = reading.seconds_of(since)
    output = "access_log_group_name" if access else "lambda_log_group_name"
    group, region = _group(found, group, region, output)
    client = Aws(found.environ, region).client("logs")
    console = Console(highlight=False, soft_wrap=True)
    if raw or access:
        for event in reading.events(client, group, time.time() - back, follow=follow):
            line = event.get("message", "").rstrip()
            if line and not (errors and access and not reading.is_refusal(line)):
                typer.echo(line if raw or as_json else _access_row(line))
        return
    reader = reading.Reader()
    shown = False

    def show(each: reading.Request | str) -> None:
        nonlocal shown
        if as_json:
            if isinstance(each, reading.Request) and (each.failed or not errors):
                typer.echo(json.dumps(asdict(each)))
            return
        if isinstance(each, str):
            console.print(Text(each, "red"))
            return
        if errors and not each.failed:
            return
        if not shown:
            console.print(Text(_HEAD, "bold"))
        shown = True
        console.print(_row(each))

    for event in reading.events(client, group, time.time() - back, follow=follow):
        if event:
            for each in reader.read(event["timestamp"] / 1000, event["message"]):
                show(each)
    for each in reader.rest():
        show(each)
    if not shown and not as_json:
        console.print(f"No request{' that failed' if errors else ''} in the last {since}.")


def _access_row(line: str) -> str:
    """A line of the gateway's log; the function's own words where it failed."""
    try:
        content = json.loads(line)
    except ValueError:
        return line
    at = int(content.get("time") or 0) / 1000
    reasons = [content.get(name) for name in ("integrationError", "authorizerError")]
    told = "  ".join(each for each in reasons if each and each != "-")
    return (
        f"{time.strftime('%H:%M:%S', time.localtime(at))}  {content.get('status', ''):>3}  "
        f"{content.get('latency', ''):>8}  {content.get('method', '')} {content.get('path', '')}"
        f"  {told}"
    ).rstrip()


def _group(
    found: Project, group: str | None, region: str | None, output: str
) -> tuple[str, str | None]:
    """The log's name and region: those given, else what Terraform made."""
    if group is not None:
        return group, region
    try:
        outputs = Terraform(found).outputs()
    except CommandError:
        outputs = {}
    arn = Arn.parse(str(outputs.get("lambda_function_arn", "")))
    prefix = "/aws/lambda" if output.startswith("lambda") else "/aws/vendedlogs/apigateway"
    name = outputs.get(output) or f"{prefix}/{found.name}"
    return str(name), region or (None if arn is None else arn.region)


def _row(each: reading.Request) -> Text:
    status = str(each.status or "")
    style = (
        "green" if (each.status or 500) < 400 else "yellow" if (each.status or 500) < 500 else "red"
    )
    if each.outcome not in ("", "success"):
        status, style = status or each.outcome[:3], "red"
    text = Text.assemble(
        (time.strftime("%H:%M:%S", time.localtime(each.at)), "dim"),
        "  ",
        (f"{status:>3}", style),
        f"  {_ms(each.duration_ms):>8}  ",
        (f"{_ms(each.init_ms) or ('yes' if each.cold else ''):>7}", "cyan"),
        "  ",
        (f"{_ms(each.resume_ms):>8}", "blue"),
        f"  {_ms(each.query_ms):>8}  {each.memory_mb or '':>4}  {each.method} {each.path}",
    )
    if each.receipt:
        text.append(f"  receipt {each.receipt}", "cyan")
    again = max(each.retries, each.runs - 1)
    if again > 0:
        text.append(f"  {again} {'retry' if again == 1 else 'retries'}", "cyan")
    if each.code:
        text.append(f"  {each.code}", "magenta")
    if each.outcome not in ("", "success"):
        text.append(f"  {each.outcome}", "red")
    for line in each.own:
        text.append("\n          " + line.replace("\n", "\n          "), "dim")
    for line in each.lines:
        text.append("\n          " + line.replace("\n", "\n          "), "red")
    if each.cause and (each.status or 0) >= 500:
        text.append(f"\n          {each.cause}", "dim")
    return text


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.1f}"
