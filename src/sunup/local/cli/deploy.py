"""`sunup deploy`: package, migrations, Terraform or the code alone, and a request to prove it."""

import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sunup.local import project
from sunup.local.aws import Aws
from sunup.local.cloud.function import Answer, Function, Memory, prove
from sunup.local.cloud.terraform import Plan, Terraform
from sunup.local.errors import CommandError
from sunup.local.migrations import running as migrations
from sunup.local.packaging.build import Package, build
from sunup.local.packaging.target import choose
from sunup.local.project import Project

from .waiting import ERRORS, waiting, waking


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
    console = Console(highlight=False, markup=False, soft_wrap=True)
    found = project.find(app_dir)
    terraform = Terraform(found.terraform, found.environ)
    if not list(found.terraform.glob("*.tfvars*")) or not _has_values(found):
        raise CommandError(
            f"there is no terraform.tfvars in {found.terraform}",
            "sunup database create writes it; or copy terraform.tfvars.example and edit it.",
        )
    target = choose(found.text("python"), found.text("arch"))
    with waiting("Packaging") as tell:
        package = build(found, target, found.folder / "lambda.zip", tell)
    console.print(f"Package     lambda.zip, {package.zipped / 1e6:.2f} MB, {target}")
    for note in package.notes:
        ERRORS.print(f"Note: {note}", style="yellow", soft_wrap=True, markup=False)
    variables = {
        "lambda_zip": str(package.path),
        "lambda_runtime": target.runtime,
        "lambda_architecture": target.arch,
        "lambda_handler": found.handler,
    }
    memory = Memory(found.terraform)
    fingerprint = terraform.fingerprint(variables)
    if not full and memory.fingerprint() == fingerprint:
        outputs = terraform.outputs()
        _migrate(found, console, wanted=migrate)
        _update_code(found, outputs, package, console)
    else:
        outputs = _apply(found, terraform, variables, console, yes=yes, migrate=migrate)
        # init may have written the lock file.
        memory.remember(terraform.fingerprint(variables))
    url = str(outputs.get("api_url", ""))
    if not url:
        raise CommandError("Terraform has no output api_url", "Add it to outputs.tf.")
    console.print(f"URL         {url}")
    with waiting("Asking it") as tell:
        answer = prove(url, found.text("check") or "/", tell)
    _judge(answer, console)


def _has_values(found: Project) -> bool:
    names = ("terraform.tfvars", "terraform.tfvars.json")
    return any((found.terraform / name).is_file() for name in names) or bool(
        list(found.terraform.glob("*.auto.tfvars*"))
    )


def _apply(
    found: Project,
    terraform: Terraform,
    variables: dict[str, str],
    console: Console,
    *,
    yes: bool,
    migrate: bool,
) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="sunup-plan-") as folder:
        file = Path(folder) / "plan"
        with waiting("terraform init") as tell:
            terraform.init()
            tell("terraform plan")
            plan = terraform.plan(variables, file)
        console.print(f"Plan        {plan}")
        _show(plan, console)
        if not plan.empty and not yes:
            if not sys.stdin.isatty():
                raise CommandError(
                    "nobody can be asked here whether to apply this", "--yes applies it."
                )
            typer.confirm("Apply this?", abort=True, err=True)
        _migrate(found, console, wanted=migrate)
        if not plan.empty:
            Memory(found.terraform).forget()
            began = time.monotonic()
            with waiting("terraform apply (a minute or so)"):
                terraform.apply(file)
            console.print(f"Apply       done in {time.monotonic() - began:.0f} s")
    return terraform.outputs()


def _show(plan: Plan, console: Console) -> None:
    for sign, addresses in (("+", plan.create), ("~", plan.change), ("-", plan.destroy)):
        for address in addresses:
            console.print(f"              {sign} {address}")
    for warning in plan.warnings:
        ERRORS.print(f"Warning: {warning}", style="yellow", soft_wrap=True, markup=False)


def _migrate(found: Project, console: Console, *, wanted: bool) -> None:
    if not wanted or not (found.migrations / "env.py").is_file():
        return
    settings = found.migration_settings
    with waiting(waking(settings.user)) as tell:
        applied = migrations.upgrade(
            settings,
            found.migrations,
            credentials=found.credentials,
            on_wait=lambda: tell("Another run is migrating; waiting for it"),
        )
    console.print(f"Migrations  {', '.join(applied) or 'nothing to do'}")


def _update_code(
    found: Project, outputs: dict[str, object], package: Package, console: Console
) -> None:
    name, arn = outputs.get("lambda_function_name"), str(outputs.get("lambda_function_arn", ""))
    if not name:
        raise CommandError("Terraform has no output lambda_function_name", "Use --full once.")
    alias = outputs.get("lambda_alias")
    aws = Aws(found.environ, arn.split(":")[3] if arn.count(":") >= 6 else None)
    function = Function(aws.client("lambda"), str(name), str(alias) if alias else None)
    began = time.monotonic()
    with waiting(f"Updating the code of {name}"):
        changed = function.update_code(package.path)
    took = f"updated in {time.monotonic() - began:.0f} s" if changed else "live already"
    console.print(f"Code        {took}; nothing else changed")


def _judge(answer: Answer, console: Console) -> None:
    attempts = f", attempt {answer.attempts}" if answer.attempts > 1 else ""
    path = answer.url.partition("://")[2].partition("/")[2]
    console.print(f"Answer      GET /{path} {answer.status} in {answer.seconds:.2f} s{attempts}")
    if answer.status in (401, 403):
        ERRORS.print("Note: the gateway wants authorization; the function itself was not asked.")
    elif answer.status >= 400:
        text = " ".join(answer.body.split())[:200]
        raise CommandError(
            f"it is deployed, and answers {answer.status}: {text}",
            "sunup logs shows why, sunup doctor what is wrong; [tool.sunup] check names the path.",
        )
