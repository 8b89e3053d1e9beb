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

AppDir = Annotated[Path, typer.Argument(metavar="APP_DIR", help="The app's folder.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def deploy(
    app_dir: AppDir = Path(),
    *,
    yes: Yes = False,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Show the plan and change nothing.")
    ] = False,
    allow_destroy: Annotated[
        bool,
        typer.Option(
            "--allow-destroy",
            help="Apply a plan that destroys resources or changes who may call the app.",
        ),
    ] = False,
    migrate: Annotated[
        bool, typer.Option(help="Apply pending migrations before the code goes live.")
    ] = True,
    canary: Annotated[
        str | None,
        typer.Option(help="Send this share of the requests to the new release first, such as 10%."),
    ] = None,
    bake: Annotated[
        float,
        typer.Option(help="Seconds that --canary must pass without an alarm.", min=1),
    ] = 600.0,
    as_json: Json = False,
) -> None:
    r"""Deploy the app: package, plan, ask, migrate, apply, publish a release, check the URL once.

    The live release is a published Lambda version that an alias points to; sunup moves the alias
    when everything is ready. sunup releases lists the releases, sunup rollback goes back.

    Migrations run first: write them so that the running code still works with them. On Aurora DSQL
    the function's IAM role is let into the database before the release.

    `sunup --stage prod deploy` deploys \[tool.sunup.stages.prod]; \[tool.sunup] check = "/health"
    sets the path that must answer.
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
    with waiting("Listing the releases"):
        listed = releases_of(*_outputs(found)).listed()
    if as_json:
        typer.echo(json.dumps([each.content for each in listed]))
        return
    if not listed:
        typer.echo("There are no releases yet. Run sunup deploy.")
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
        typer.Argument(
            help="The release to go back to.", show_default="the one before the live one", min=1
        ),
    ] = None,
    app_dir: Annotated[Path, typer.Option("--app-dir", help="The app's folder.")] = Path(),
    *,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Go back even if the release's code may not work with the database."
        ),
    ] = False,
    yes: Yes = False,
) -> None:
    """Go back to an earlier release within seconds: only the alias moves, nothing is built.

    Refuses if a migration applied since then does not work with that release's code. Also ends a
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
        ERRORS.print(
            "Note: the gateway requires authorization, so the function itself was not checked."
        )
    elif answer.status >= 400:
        text = " ".join(answer.body.split())[:200]
        raise CommandError(
            f"the release is live, but GET /{path} answers {answer.status}: {text}",
            "sunup logs shows why; sunup rollback goes back. [tool.sunup] check sets the path to "
            "check.",
        )
