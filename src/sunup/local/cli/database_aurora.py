"""`sunup database` on Aurora, with express configuration."""

import json
import time
from dataclasses import asdict

import typer
from rich.console import Console

from sunup.local.aws import Aws
from sunup.local.capacity import connection_limit
from sunup.local.cloud import database as making
from sunup.local.cloud.cluster import Cluster, Clusters, Wanted
from sunup.local.cloud.database import Names, cluster_name, sharing
from sunup.local.errors import CommandError
from sunup.local.project import Project

from .waiting import Terminal, waiting


def create(
    found: Project,
    region: str | None,
    cluster: str | None,
    database: str | None,
    wanted: Wanted,
    *,
    as_json: bool,
) -> None:
    """Make what is missing, and say what comes next. Raises `CommandError`."""
    name, names = cluster_name(found, cluster), Names.of(found, database)
    clusters = Clusters(Aws(found.environ, region).client("rds"))
    terminal = Terminal(errors_only=as_json)
    made = making.create(found, clusters, name, names, wanted, terminal)
    if as_json:
        typer.echo(json.dumps({**_content(made), **vars(names)}))
    else:
        typer.echo("\nNext: sunup migrate up, or sunup deploy")


def show(found: Project, region: str | None, cluster: str | None, *, as_json: bool) -> None:
    """Print it. Raises `CommandError`."""
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


def delete(
    found: Project,
    region: str | None,
    cluster: str | None,
    *,
    confirm: str | None,
    snapshot: bool,
    wait: bool,
) -> None:
    """Delete it, once its name was typed, with a last snapshot. Raises `CommandError`."""
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
    kept = f"{name}-final-{stamp}" if snapshot else None
    clusters.delete(described, kept)
    typer.echo(f"Deleting {name}" + (f"; the snapshot {kept} is kept." if kept else "."))
    if wait:
        with waiting("Deleting (5 to 11 minutes; Ctrl-C stops only the waiting)") as tell:
            clusters.wait_until_gone(name, tell)
        typer.echo("Deleted.")


def _content(described: Cluster) -> dict[str, object]:
    limit = connection_limit(described.max_acu)
    return {**asdict(described), "region": described.region, "connection_limit": limit}
