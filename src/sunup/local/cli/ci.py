"""`sunup ci github`: deploy from GitHub's jobs, without keys."""

from pathlib import Path
from typing import Annotated

import typer

from sunup.local import project
from sunup.local.cloud import ci as making

app = typer.Typer(
    help="Write what a CI needs to deploy: a workflow, roles without keys, a shared state.",
    no_args_is_help=True,
)


@app.command()
def github(
    app_dir: Annotated[Path, typer.Argument(help="The app's folder.")] = Path(),
    *,
    repository: Annotated[
        str | None, typer.Option(help="OWNER/NAME.", show_default="git's origin")
    ] = None,
    repository_id: Annotated[
        str | None, typer.Option(help="Its number: gh api repos/OWNER/NAME --jq .id")
    ] = None,
    owner_id: Annotated[
        str | None, typer.Option(help="The owner's: gh api repos/OWNER/NAME --jq .owner.id")
    ] = None,
    environment: Annotated[str, typer.Option(help="The environment that deploys.")] = "production",
    branch: Annotated[str, typer.Option(help="The branch that is deployed.")] = "main",
    bucket: Annotated[
        str | None, typer.Option(help="For the state.", show_default="<name>-state-<owner id>")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write anew what is there.")] = False,
) -> None:
    """Write a workflow that plans on pull requests and deploys on main.

    Jobs sign in by OIDC: there is no key to be kept or lost. One role reads, for plans; the other
    may change what begins with the app's name. The roles trust the repository by its number.
    """
    found = project.find(app_dir)
    chosen = making.Repository.of(found.folder, repository, repository_id, owner_id)
    written = making.write(
        found, chosen, environment=environment, branch=branch, bucket=bucket, force=force
    )
    for path in written:
        typer.echo(f"Written     {path}")
    ci = f"{found.terraform.name}/ci"
    typer.echo("\nNext, once, with an administrator's credentials:\n")
    if not (chosen.id and chosen.owner_id):
        typer.echo(f"  gh api repos/{chosen.name} --jq '.id, .owner.id'   # into {ci}/main.tf")
    output = f"$(terraform -chdir={ci} output -raw"
    steps = [f"terraform -chdir={ci} init && terraform -chdir={ci} apply"]
    steps.append(f"gh variable set AWS_PLAN_ROLE --body {output} AWS_PLAN_ROLE)")
    steps.append(
        f"gh variable set AWS_DEPLOY_ROLE --env {environment} --body {output} AWS_DEPLOY_ROLE)"
    )
    steps.append(
        f"terraform -chdir={found.terraform.name} init -migrate-state   # if you deployed before"
    )
    for line in steps:
        typer.echo(f"  {line}")
    typer.echo(
        "\nThe jobs have no .env and no terraform.tfvars. Settings are no secrets: commit them in"
        "\n[tool.sunup.stages.<name>.environment] (DB_HOST, DB_NAME, DB_USER, DB_MIGRATION_USER,"
        "\nDB_CLUSTER_RESOURCE_ID, AWS_REGION), with --stage <name> for this command too."
    )
