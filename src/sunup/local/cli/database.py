"""`sunup database`: an Aurora cluster with express configuration, its database and roles."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sunup.local import project
from sunup.local.aws import Aws
from sunup.local.capacity import connection_limit
from sunup.local.cloud import database as making
from sunup.local.cloud.cluster import Cluster, Clusters, Wanted
from sunup.local.cloud.database import Names, cluster_name, sharing
from sunup.local.errors import CommandError

from .waiting import Terminal, waiting

app = typer.Typer(
    help="Create, show and delete the app's Aurora PostgreSQL cluster (express configuration: no "
    "VPC, IAM tokens, pauses at zero ACU).",
    no_args_is_help=True,
)

AppDir = Annotated[Path, typer.Argument(metavar="APP_DIR", help="The app's folder.")]
ClusterName = Annotated[
    str | None, typer.Option("--cluster", help="The cluster's name.", show_default="the app's name")
]
Region = Annotated[
    str | None,
    typer.Option(
        help="The AWS region, such as eu-central-1.", show_default="AWS_REGION, or the profile's"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@app.command()
def create(
    app_dir: AppDir = Path(),
    *,
    cluster: ClusterName = None,
    region: Region = None,
    min_acu: Annotated[
        float | None,
        typer.Option(
            help="Minimum ACUs; 0 lets the cluster pause.", min=0, max=256, show_default="0"
        ),
    ] = None,
    max_acu: Annotated[
        float | None,
        typer.Option(
            help="Maximum ACUs; each has about 2 GB of memory.", min=1, max=256, show_default="4"
        ),
    ] = None,
    pause_after: Annotated[
        int | None,
        typer.Option(
            help="Seconds without a connection before the cluster pauses.",
            min=300,
            max=86400,
            show_default="300",
        ),
    ] = None,
    deletion_protection: Annotated[
        bool | None,
        typer.Option(
            "--deletion-protection/--no-deletion-protection",
            help="Whether the cluster is protected against deletion.",
            show_default="on",
        ),
    ] = None,
    backup_days: Annotated[
        int | None,
        typer.Option(help="Days of point-in-time recovery.", min=1, max=35, show_default="7"),
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="The database's name.", show_default="the app's name")
    ] = None,
    as_json: Json = False,
) -> None:
    """Create the cluster, the app's database and two roles; write .env and terraform.tfvars.

    Safe to run again: it continues where it stopped, and changes an existing cluster only where an
    option says so. Both roles log in with IAM tokens: one owns the tables and runs the migrations,
    the app's can only read and write rows. While the cluster is paused, you pay for storage only.
    """
    found = project.find(app_dir)
    name, names = cluster_name(found, cluster), Names.of(found, database)
    clusters = Clusters(Aws(found.environ, region).client("rds"))
    wanted = Wanted(min_acu, max_acu, pause_after, deletion_protection, backup_days)
    terminal = Terminal(errors_only=as_json)
    made = making.create(found, clusters, name, names, wanted, terminal)
    if as_json:
        typer.echo(json.dumps({**_content(made), **vars(names)}))
    else:
        typer.echo("\nNext: sunup migrate up, or sunup deploy")


@app.command()
def show(
    app_dir: AppDir = Path(),
    *,
    cluster: ClusterName = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Show the cluster: endpoint, capacity, connections, protection and backups."""
    found = project.find(app_dir)
    aws = Aws(found.environ, region)
    described = Clusters(aws.client("rds")).get(cluster_name(found, cluster))
    if as_json:
        typer.echo(json.dumps(_content(described)))
        return
    pause = f"pauses after {described.pause_after} s" if described.pause_after else "never pauses"
    rows = [
        ("cluster", f"{described.name}, {described.status}, PostgreSQL {described.engine_version}"),
        ("endpoint", f"{described.host}:{described.port}"),
        ("resource id", described.resource_id),
        ("capacity", f"{described.min_acu:g} to {described.max_acu:g} ACU, {pause}"),
        ("connections", f"at most {connection_limit(described.max_acu)}"),
        ("express", "yes" if described.express else "no: this is a standard cluster"),
        ("protection", "on" if described.deletion_protection else "off: it can be deleted"),
        ("backups", f"{described.backup_days} days"),
    ]
    console = Console(highlight=False, markup=False)
    for title, value in rows:
        console.print(f"{title:<12} {value}", soft_wrap=True)


@app.command()
def delete(
    app_dir: AppDir = Path(),
    *,
    cluster: ClusterName = None,
    region: Region = None,
    confirm: Annotated[
        str | None, typer.Option(help="The cluster's name, to skip the prompt.")
    ] = None,
    skip_final_snapshot: Annotated[
        bool,
        typer.Option(
            "--skip-final-snapshot", help="Delete the data without keeping a final snapshot."
        ),
    ] = False,
    wait: Annotated[
        bool, typer.Option(help="Wait until the cluster is gone (5 to 11 minutes).")
    ] = True,
) -> None:
    """Delete the cluster and its data. Asks you to type its name first.

    Keeps a final snapshot, from which the cluster can be restored, unless --skip-final-snapshot is
    given.
    """
    found = project.find(app_dir)
    aws = Aws(found.environ, region)
    clusters = Clusters(aws.client("rds"))
    name = cluster_name(found, cluster)
    described = clusters.get(name)
    if described.deletion_protection:
        raise CommandError(
            f"the cluster {name} is protected against deletion",
            "Turn the protection off first: sunup database create --no-deletion-protection",
        )
    others = sharing(found, name)
    if found.stage is not None and others:
        raise CommandError(
            f"the cluster {name} is shared with {', '.join(others)}: it cannot be deleted for "
            f"{found.stage.name} alone",
            "Run without --stage to delete it for all of them. To delete only this database, use "
            "drop database in psql.",
        )
    also = f", including those of {', '.join(others)}" if others else ""
    typed = confirm or typer.prompt(
        f"This deletes the cluster {name} in {aws.region} and all its data{also}. Type its name "
        "to confirm",
        err=True,
    )
    if typed != name:
        raise CommandError(f"{typed!r} is not the cluster's name; nothing was deleted")
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    snapshot = None if skip_final_snapshot else f"{name}-final-{stamp}"
    clusters.delete(described, snapshot)
    typer.echo(f"Deleting {name}" + (f"; the snapshot {snapshot} is kept." if snapshot else "."))
    if wait:
        with waiting("Deleting (5 to 11 minutes; Ctrl-C stops only the waiting)") as tell:
            clusters.wait_until_gone(name, tell)
        typer.echo("Deleted.")


def _content(described: Cluster) -> dict[str, object]:
    limit = connection_limit(described.max_acu)
    return {**asdict(described), "region": described.region, "connection_limit": limit}
