"""`sunup doctor`: which link of the chain is broken, and what to do."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from sunup.local import project
from sunup.local.aws import Aws
from sunup.local.cloud.terraform import Terraform
from sunup.local.doctor import CHECKS, Examination, Finding
from sunup.local.errors import CommandError
from sunup.local.project import Project

from .waiting import waiting

_STYLES = {"ok": "green", "warning": "yellow", "failure": "bold red", "skipped": "dim"}


def doctor(
    app_dir: Annotated[Path, typer.Argument(metavar="APP_DIR", help="The app's folder.")] = Path(),
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Check each link between the app and its database, and report what is broken.

    Settings, DNS, TLS, clock, credentials, IAM policies, login, role and privileges, idle timeout,
    migrations, connections against concurrency; of Aurora DSQL the cluster's state and who may be
    the app's role. Changes nothing, but wakes a sleeping database.

    Exits with status 1 if something is broken.
    """
    found = project.find(app_dir)
    console = Console(highlight=False, soft_wrap=True)
    examination = Examination(found, Aws(found.environ, impatient=True), outputs=_outputs(found))
    findings: list[Finding] = []
    with examination.stack:
        for what, check in CHECKS:
            with waiting(f"Checking {what}"):
                new = list(check(examination))
            findings += new
            if not as_json:
                for each in new:
                    console.print(_row(each))
    broken = [each for each in findings if each.status == "failure"]
    if as_json:
        typer.echo(json.dumps([vars(each) for each in findings]))
    else:
        unsure = [each for each in findings if each.status == "warning"]
        console.print(f"\n{_count(broken, 'failure')}, {_count(unsure, 'warning')}.")
    if broken:
        raise typer.Exit(1)


def _outputs(found: Project) -> dict[str, object]:
    """What Terraform made, where it was applied from here."""
    try:
        terraform = Terraform(found)
        return terraform.outputs() if terraform.begun else {}
    except CommandError:
        return {}


def _row(each: Finding) -> Text:
    text = Text.assemble(
        (f"{each.status:<8}", _STYLES[each.status]), f"{each.link:<13}", each.detail
    )
    if each.cure and each.status in ("warning", "failure"):
        text.append(f"\n{'':<21}{each.cure}", "cyan")
    return text


def _count(findings: list[Finding], word: str) -> str:
    return f"{len(findings)} {word}{'' if len(findings) == 1 else 's'}"
