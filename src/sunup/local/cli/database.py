"""`sunup database`: an Aurora cluster with express configuration, or Aurora DSQL, and its roles."""

from pathlib import Path
from typing import Annotated

import typer

from sunup.local import project
from sunup.local.cloud.cluster import Wanted
from sunup.local.cloud.dsql.host import is_used
from sunup.local.errors import CommandError
from sunup.local.project import Project

from . import database_aurora as on_aurora
from . import database_dsql as on_dsql
from .database_options import AppDir, Chosen, ClusterName, Json, Region, Which

app = typer.Typer(
    help="Create, show and delete the app's cluster: Aurora PostgreSQL (express configuration: no "
    "VPC, IAM tokens, pauses at zero ACU), or Aurora DSQL.",
    no_args_is_help=True,
)


@app.command()
def create(
    app_dir: AppDir = Path(),
    *,
    engine: Chosen = None,
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
    grant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARN",
            help="Of Aurora DSQL: another IAM role or user that may connect as the app's role, "
            "such as yours. Repeatable.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Create the cluster, the app's database and two roles; write .env and terraform.tfvars.

    Safe to run again: it continues where it stopped, and changes an existing cluster only where an
    option says so. Both roles log in with IAM tokens: one owns the tables and runs the migrations,
    the app's can only read and write rows. While the cluster is paused, you pay for storage only.

    On Aurora DSQL (--engine dsql) there is one database, postgres, and its admin runs the
    migrations; the function's IAM role is let in as the app's role. Nothing is paid while nobody
    uses it.
    """
    found = project.find(app_dir)
    if _is_dsql(found, engine):
        on_dsql.refuse(
            {
                "--min-acu": min_acu,
                "--max-acu": max_acu,
                "--pause-after": pause_after,
                "--backup-days": backup_days,
                "--database": database,
            }
        )
        on_dsql.create(
            found,
            region,
            cluster,
            deletion_protection=deletion_protection,
            also=grant or (),
            as_json=as_json,
        )
        return
    if grant:
        raise CommandError(
            "--grant is for Aurora DSQL: on Aurora, an IAM policy says who may connect",
            "Allow rds-db:connect in that role's policy.",
        )
    wanted = Wanted(min_acu, max_acu, pause_after, deletion_protection, backup_days)
    on_aurora.create(found, region, cluster, database, wanted, as_json=as_json)


@app.command()
def show(
    app_dir: AppDir = Path(),
    *,
    engine: Chosen = None,
    cluster: ClusterName = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Show the cluster: endpoint, capacity, connections, protection and backups.

    Of Aurora DSQL: status, endpoint, protection, regions and tags.
    """
    found = project.find(app_dir)
    if _is_dsql(found, engine):
        on_dsql.show(found, region, cluster, as_json=as_json)
        return
    on_aurora.show(found, region, cluster, as_json=as_json)


@app.command()
def delete(
    app_dir: AppDir = Path(),
    *,
    engine: Chosen = None,
    cluster: ClusterName = None,
    region: Region = None,
    confirm: Annotated[
        str | None, typer.Option(help="The cluster's name or identifier, to skip the prompt.")
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
    given. Of Aurora DSQL nothing is kept.
    """
    found = project.find(app_dir)
    if _is_dsql(found, engine):
        on_dsql.refuse({"--skip-final-snapshot": skip_final_snapshot})
        on_dsql.delete(found, region, cluster, confirm=confirm, wait=wait)
        return
    on_aurora.delete(
        found, region, cluster, confirm=confirm, snapshot=not skip_final_snapshot, wait=wait
    )


def _is_dsql(found: Project, engine: Which | None) -> bool:
    """As it was asked for; else what is used here."""
    if engine is not None:
        return engine is Which.dsql
    return is_used(found.environ)
