"""`sunup ci github`: deploy from GitHub's jobs, without keys."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from sunup.local import project
from sunup.local.cloud import ci as making
from sunup.local.cloud.github.repository import Repository

app = typer.Typer(
    help="Write what CI needs to deploy: a workflow, IAM roles without access keys, a shared "
    "Terraform state.",
    no_args_is_help=True,
)


@app.command()
def github(
    app_dir: Annotated[Path, typer.Argument(metavar="APP_DIR", help="The app's folder.")] = Path(),
    *,
    repository: Annotated[
        str | None, typer.Option(help="The repository, as OWNER/NAME.", show_default="git's origin")
    ] = None,
    repository_id: Annotated[
        str | None,
        typer.Option(help="The repository's numeric ID: gh api repos/OWNER/NAME --jq .id"),
    ] = None,
    owner_id: Annotated[
        str | None,
        typer.Option(help="The owner's numeric ID: gh api repos/OWNER/NAME --jq .owner.id"),
    ] = None,
    environment: Annotated[
        str, typer.Option(help="The GitHub environment that deploys.")
    ] = "production",
    branch: Annotated[str, typer.Option(help="The branch to deploy.")] = "main",
    bucket: Annotated[
        str | None,
        typer.Option(
            help="The S3 bucket for the Terraform state.", show_default="<app>-state-<owner id>"
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite files that already exist.")
    ] = False,
) -> None:
    """Write a workflow that plans on pull requests and deploys on main.

    Jobs sign in with OIDC: there is no access key to store or to leak. One role can only read, for
    plans. The other can change only what begins with the function's name. Both trust the
    repository by its numeric ID. Another app or stage in the same repository gets files of its
    own: deploy-<name>.yml, ci-<name>.
    """
    found = project.find(app_dir)
    chosen = Repository.of(found.folder, repository, repository_id, owner_id)
    written = making.write(
        found, chosen, environment=environment, branch=branch, bucket=bucket, force=force
    )
    for path in written.paths:
        typer.echo(f"Written     {path}")
    for note in _notes(found, written):
        typer.echo(f"Note        {note}")
    typer.echo("\nNext, run these once, with an administrator's credentials:\n")
    for line in _steps(found, chosen, written, environment):
        typer.echo(f"  {line}")
    typer.echo(
        "\nThe jobs have no .env and no terraform.tfvars. These settings are not secret: commit "
        "them in\n[tool.sunup.stages.<name>.environment] (DB_HOST, DB_NAME, DB_USER, "
        "DB_MIGRATION_USER,\nof Aurora DB_CLUSTER_RESOURCE_ID, AWS_REGION), and run this command "
        "with --stage <name>, too."
    )


def _notes(found: project.Project, written: making.Written) -> list[str]:
    notes = []
    main = _quoted(written.ci / "main.tf")
    if not written.makes_bucket:
        notes.append(
            f"{_quoted(found.terraform)} already configures a backend, so create_bucket in "
            f"{main} is false. If that backend uses a KMS key or a DynamoDB lock table, add the "
            f"permissions for it to {main}."
        )
    if not written.makes_provider:
        notes.append(
            f"create_provider in {main} is false, because another deployment of this repository "
            "creates GitHub's OIDC provider. Set it to true if this one goes to another AWS "
            "account."
        )
    return notes


def _steps(
    found: project.Project, chosen: Repository, written: making.Written, environment: str
) -> list[str]:
    terraform = f"terraform -chdir={_quoted(written.ci)}"
    steps = []
    if written.wheel is not None:
        wheel = _quoted(written.wheel)
        steps.append(f"git add -f {wheel}   # the jobs install this wheel: copy it there first")
    if not (chosen.id and chosen.owner_id):
        main = _quoted(written.ci / "main.tf")
        steps.append(f"gh api repos/{chosen.name} --jq '.id, .owner.id'   # write both into {main}")
    steps.append(f"{terraform} init && {terraform} apply")
    for variable, output, option in (
        (written.plan_role, "AWS_PLAN_ROLE", ""),
        (written.deploy_role, "AWS_DEPLOY_ROLE", f" --env {shlex.quote(environment)}"),
    ):
        body = f'"$({terraform} output -raw {output})"'
        steps.append(f"gh variable set {variable}{option} --body {body}")
    data = f"TF_DATA_DIR=.terraform/stages/{found.stage.name} " if found.stage else ""
    again = f"{data}terraform -chdir={_quoted(found.terraform)} init -migrate-state"
    return [*steps, f"{again}   # only if you have deployed before"]


def _quoted(path: Path) -> str:
    """For a shell, seen from where it is."""
    return shlex.quote(os.path.relpath(path))
