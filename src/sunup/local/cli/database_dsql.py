"""`sunup database` on Aurora DSQL."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import typer
from rich.console import Console

from sunup.local.aws import Aws
from sunup.local.cloud.dsql import database as making
from sunup.local.cloud.dsql.cluster import PORT, Cluster, Clusters
from sunup.local.cloud.terraform import Terraform
from sunup.local.errors import CommandError
from sunup.local.project import Project

from .waiting import ERRORS, Terminal, waiting

_WHY = {
    "--min-acu": "it has no capacity to set: it is paid by what statements use",
    "--max-acu": "it has no capacity to set: it is paid by what statements use",
    "--pause-after": "it costs nothing while nobody uses it, and needs no pause",
    "--backup-days": "it has no point-in-time recovery: AWS Backup makes its backups",
    "--database": "it has one database, postgres",
    "--skip-final-snapshot": "it keeps none: AWS Backup makes its backups",
}


def refuse(given: Mapping[str, object]) -> None:
    """Raise `CommandError` for the first option that was given and means nothing here."""
    for option, value in given.items():
        if value is not None and value is not False:
            raise CommandError(
                f"{option} is not for Aurora DSQL: {_WHY[option]}", f"Leave out {option}."
            )


def create(
    found: Project,
    region: str | None,
    cluster: str | None,
    *,
    deletion_protection: bool | None,
    also: Sequence[str],
    as_json: bool,
) -> None:
    """Make what is missing, and say what comes next. Raises `CommandError`."""
    for arn in also:
        if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:(role|user)/.+", arn):
            raise CommandError(
                f"--grant {arn!r} is not the ARN of an IAM role or user",
                "For example arn:aws:iam::123456789012:role/developers. A session's own ARN "
                "(assumed-role) is not meant.",
            )
    if list(found.terraform.glob("*.tf")) and "db_engine" not in Terraform(found).declared:
        ERRORS.print(
            f"Note: the Terraform in {found.terraform} knows no Aurora DSQL yet: take over what a "
            "project made by sunup new has.",
            style="yellow", soft_wrap=True, markup=False,
        )  # fmt: skip
    wanted = making.Wanted(cluster, deletion_protection, also)
    clusters = Clusters(Aws(found.environ, region).client("dsql"))
    made = making.create(found, clusters, wanted, Terminal(errors_only=as_json))
    if as_json:
        names = {"database": "postgres", "app_user": making.app_user(found)}
        typer.echo(json.dumps({**_content(made), **names, "migration_user": "admin"}))
    else:
        typer.echo("\nNext: sunup migrate up, or sunup deploy")


def show(found: Project, region: str | None, cluster: str | None, *, as_json: bool) -> None:
    """Print it. Raises `CommandError`."""
    described = _existing(found, Clusters(Aws(found.environ, region).client("dsql")), cluster)
    if as_json:
        typer.echo(json.dumps(_content(described)))
        return
    tags = ", ".join(f"{key}={value}" for key, value in sorted(described.tags.items()))
    regions = f"with {', '.join(described.peers) or 'no peer yet'}, {described.witness_region}"
    rows = [
        ("cluster", f"{described.identifier}, {described.status}, Aurora DSQL"),
        ("endpoint", f"{described.host}:{PORT}"),
        ("arn", described.arn),
        ("protection", "on" if described.deletion_protection else "off: it can be deleted"),
        *([("regions", f"{regions} as the witness")] if described.witness_region else []),
        ("tags", tags or "none"),
    ]
    console = Console(highlight=False, markup=False)
    for title, value in rows:
        console.print(f"{title:<12} {value}", soft_wrap=True)


def delete(
    found: Project, region: str | None, cluster: str | None, *, confirm: str | None, wait: bool
) -> None:
    """Delete it, once its identifier was typed. Raises `CommandError`."""
    clusters = Clusters(Aws(found.environ, region).client("dsql"))
    described = _existing(found, clusters, cluster)
    name = described.identifier
    if described.is_terraform_s:
        raise CommandError(
            f"the cluster {name} is Terraform's",
            "Set dsql_deletion_protection = false and apply; then take it out of the Terraform, "
            "or destroy that.",
        )
    if described.deletion_protection:
        raise CommandError(
            f"the cluster {name} is protected against deletion",
            "Turn the protection off first: sunup database create --engine dsql "
            "--no-deletion-protection",
        )
    typed = confirm or typer.prompt(
        f"This deletes the cluster {name} in {clusters.region} and all its data; nothing is kept. "
        "Type its identifier to confirm",
        err=True,
    )
    if typed != name:
        raise CommandError(f"{typed!r} is not the cluster's identifier; nothing was deleted")
    clusters.delete(described)
    typer.echo(f"Deleting {name}.")
    if wait:
        with waiting("Deleting (about 2 minutes; Ctrl-C stops only the waiting)") as tell:
            clusters.wait_until_gone(name, tell)
        typer.echo("Deleted.")


def _existing(found: Project, clusters: Clusters, cluster: str | None) -> Cluster:
    described = making.existing(found, clusters, cluster)
    if described is None:
        raise CommandError(
            f"{found.name} has no Aurora DSQL cluster in this account and {clusters.region}",
            "Create one: sunup database create --engine dsql. Or pass --cluster or --region.",
        )
    return described


def _content(described: Cluster) -> dict[str, object]:
    return {"engine": "dsql", **asdict(described), "region": described.region, "port": PORT}
