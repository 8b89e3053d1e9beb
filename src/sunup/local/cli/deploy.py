"""`sunup deploy`, `releases` and `rollback`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sunup.local import project
from sunup.local.aws import Arn, Aws
from sunup.local.cloud.deployment import Deployment, Options, Outcome, releases_of
from sunup.local.cloud.proof import Answer
from sunup.local.cloud.releases import Release
from sunup.local.cloud.rollback import Rollback
from sunup.local.cloud.shifting import Canary
from sunup.local.cloud.terraform import Terraform
from sunup.local.errors import CommandError

from .waiting import ERRORS, Terminal, end_cleanly, waiting

AppDir = Annotated[Path, typer.Argument(help="The app's folder.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="For scripts.")]


def deploy(
    app_dir: AppDir = Path(),
    *,
    yes: Yes = False,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Show what would be done, and do nothing.")
    ] = False,
    allow_destroy: Annotated[
        bool,
        typer.Option(
            "--allow-destroy", help="Also what destroys something or changes who may call."
        ),
    ] = False,
    migrate: Annotated[bool, typer.Option(help="Apply the migrations before the code.")] = True,
    canary: Annotated[
        str | None,
        typer.Option(help="Give the new release this part of the requests first: 10%."),
    ] = None,
    bake: Annotated[
        float,
        typer.Option(help="Seconds in which --canary has to do without an alarm.", min=1),
    ] = 600.0,
    as_json: Json = False,
) -> None:
    r"""Deploy the app: package, plan, ask, migrate, apply, publish a release, ask the API once.

    What is live is an alias that points to a published release; sunup moves it when all is ready.
    sunup releases lists them, sunup rollback goes back. Migrations go first: write them so that
    the running code still works with them. `sunup --stage prod deploy` is for
    \[tool.sunup.stages.prod]; \[tool.sunup] check = "/health" names the path that must answer.
    """
    end_cleanly()
    terminal = Terminal(errors_only=as_json)
    found = project.find(app_dir)
    options = Options(
        ask=not yes,
        migrate=migrate,
        allow_destroy=allow_destroy,
        plan_only=plan_only,
        canary=Canary.parse(canary, bake) if canary is not None else None,
    )
    outcome = Deployment(found, terminal, options).run()
    if as_json:
        typer.echo(json.dumps(_content(outcome)))
    if outcome.answer is not None:
        _judge(outcome.answer, terminal)


def releases(app_dir: AppDir = Path(), *, as_json: Json = False) -> None:
    """List the releases that are kept: number, share of the requests, commit, when, by whom."""
    found = project.find(app_dir)
    with waiting("Asking Lambda"):
        listed = releases_of(*_outputs(found)).listed()
    if as_json:
        typer.echo(json.dumps([each.content for each in listed]))
        return
    if not listed:
        typer.echo("There are no releases yet: sunup deploy")
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    for name in ("release", "live", "commit", "when", "by", "migrations", "runtime"):
        table.add_column(name, no_wrap=True)
    for each in listed:
        table.add_row(*_cells(each), style="bold" if each.share else None)
    Console(highlight=False, markup=False).print(table)


def rollback(
    number: Annotated[
        int | None,
        typer.Argument(help="The release.", show_default="the one before the live one", min=1),
    ] = None,
    app_dir: Annotated[Path, typer.Option("--app-dir", help="The app's folder.")] = Path(),
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Also where the database is too new for its code.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Go back to an earlier release, within seconds: nothing is built, the alias is moved.

    Refuses when a migration that was applied since does not go with that release's code. Ends a
    gradual shift (sunup deploy --canary) that is under way.
    """
    found = project.find(app_dir)
    terminal = Terminal()
    kept = releases_of(*_outputs(found))
    live = Rollback(found, kept, terminal, force=force, ask=not yes).run(number)
    terminal.done("Release", f"{live} is live")


def _outputs(found: project.Project) -> tuple[Aws, dict[str, object]]:
    terraform = Terraform(found)
    if not terraform.begun:
        terraform.init()
    outputs = terraform.outputs()
    arn = Arn.parse(str(outputs.get("lambda_function_arn", "")))
    return Aws(found.environ, None if arn is None else arn.region), outputs


def _cells(each: Release) -> list[str]:
    origin = each.origin
    share = "" if not each.share else "live" if each.share == 1 else f"{each.share:.0%}"
    commit = origin.commit + ("+" if origin.changed else "")
    at = each.at.partition(".")[0].replace("T", " ")
    return [
        str(each.number),
        share,
        commit,
        at,
        origin.by,
        " ".join(origin.heads),
        f"{each.runtime} {each.arch}",
    ]


def _content(outcome: Outcome) -> dict[str, object]:
    plan = outcome.plan
    return {
        "plan": {
            "create": plan.create,
            "change": plan.change,
            "destroy": plan.destroy,
            "warnings": plan.warnings,
            "dangers": plan.dangers,
        },
        "migrations": {"pending": outcome.pending, "applied": outcome.applied},
        "release": outcome.release,
        "answer": asdict(outcome.answer) if outcome.answer else None,
    }


def _judge(answer: Answer, terminal: Terminal) -> None:
    attempts = f", attempt {answer.attempts}" if answer.attempts > 1 else ""
    path = answer.url.partition("://")[2].partition("/")[2]
    terminal.done("Answer", f"GET /{path} {answer.status} in {answer.seconds:.2f} s{attempts}")
    if answer.status in (401, 403):
        ERRORS.print("Note: the gateway wants authorization; the function itself was not asked.")
    elif answer.status >= 400:
        text = " ".join(answer.body.split())[:200]
        raise CommandError(
            f"it is deployed, and answers {answer.status}: {text}",
            "sunup rollback goes back; sunup logs shows why. [tool.sunup] check names the path.",
        )
