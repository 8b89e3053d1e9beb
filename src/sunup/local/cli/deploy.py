"""`sunup deploy`: package, migrations, Terraform or the code alone, and a request to prove it."""

from pathlib import Path
from typing import Annotated

import typer

from sunup.local import project
from sunup.local.cloud.deployment import Deployment
from sunup.local.cloud.function import Answer
from sunup.local.errors import CommandError

from .waiting import ERRORS, Terminal


def deploy(
    app_dir: Annotated[Path, typer.Argument(help="The app's folder.")] = Path(),
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before applying.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Run Terraform even where only the code changed.")
    ] = False,
    migrate: Annotated[bool, typer.Option(help="Apply the migrations before the code.")] = True,
) -> None:
    """Deploy the app: make the package, plan, ask, migrate, apply, and ask the API once.

    When nothing but the code changed since the last deployment, the code alone is updated, which
    takes seconds. Migrations go first: write them so that the running code still works with them.
    [tool.sunup] check = "/health" names the path that must answer.
    """
    terminal = Terminal()
    found = project.find(app_dir)
    _judge(Deployment(found, terminal, full=full, ask=not yes, migrate=migrate).run(), terminal)


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
            "sunup logs shows why, sunup doctor what is wrong; [tool.sunup] check names the path.",
        )
