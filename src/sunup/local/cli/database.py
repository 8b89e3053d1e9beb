"""`sunup database`: an Aurora cluster with express configuration, its database and roles."""

import json
import re
import socket
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sunup.failures import DatabaseUnavailable
from sunup.local import project
from sunup.local.aws import Aws
from sunup.local.capacity import connection_limit
from sunup.local.cloud import files, roles
from sunup.local.cloud.cluster import ADMIN, ADMIN_DATABASE, Cluster, Clusters, Wanted
from sunup.local.errors import CommandError
from sunup.local.project import MIGRATION_USER, Project
from sunup.settings import Settings

from .waiting import waiting

app = typer.Typer(
    help="Make, show and delete the app's Aurora PostgreSQL cluster (express configuration: no VPC,"
    " IAM tokens, pauses at zero).",
    no_args_is_help=True,
)

# The DNS name of a new cluster lags behind; the database may refuse its first clients.
_LONGEST_DNS = 180.0
_LONGEST_FIRST_LOGIN = 60.0

AppDir = Annotated[Path, typer.Argument(help="The app's folder.")]
ClusterName = Annotated[
    str | None, typer.Option("--cluster", help="Its name.", show_default="the app's name")
]
Region = Annotated[
    str | None, typer.Option(help="Such as eu-central-1.", show_default="AWS_REGION, the profile's")
]
Json = Annotated[bool, typer.Option("--json", help="For scripts.")]


@app.command()
def create(
    app_dir: AppDir = Path(),
    *,
    cluster: ClusterName = None,
    region: Region = None,
    min_acu: Annotated[
        float | None,
        typer.Option(help="Least capacity; 0 lets it pause.", min=0, max=256, show_default="0"),
    ] = None,
    max_acu: Annotated[
        float | None,
        typer.Option(help="Most capacity, about 2 GB each.", min=1, max=256, show_default="4"),
    ] = None,
    pause_after: Annotated[
        int | None,
        typer.Option(
            help="Seconds without a connection until it pauses.",
            min=300,
            max=86400,
            show_default="300",
        ),
    ] = None,
    deletion_protection: Annotated[
        bool | None,
        typer.Option("--deletion-protection/--no-deletion-protection", show_default="on"),
    ] = None,
    backup_days: Annotated[
        int | None,
        typer.Option(help="Days of point-in-time recovery.", min=1, max=35, show_default="7"),
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="The database.", show_default="the app's name")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make the cluster, the app's database and two roles; write .env and terraform.tfvars.

    Can be run again: it goes on where it stopped, and changes an existing cluster only where an
    option says so. The roles log in with IAM tokens: one owns the tables (for migrations), the
    app's may read and write rows and nothing else. Costs nothing while it is paused but storage.
    """
    found = project.find(app_dir)
    name = _checked(cluster or _identifier(found.name, "-"))
    names = _names(found, database)
    aws = Aws(found.environ, region)
    clusters = Clusters(aws.client("rds"))
    wanted = Wanted(min_acu, max_acu, pause_after, deletion_protection, backup_days)
    console = Console(highlight=False, markup=False, soft_wrap=True, stderr=as_json)
    existing = clusters.find(name)
    if existing is None:
        clusters.create(name, wanted)
        wanted = wanted.or_defaults()
        console.print(f"Cluster   {name} in {aws.region}: begun")
    else:
        if not existing.express:
            raise CommandError(
                f"the cluster {name} exists and has no express configuration",
                "--cluster names another.",
            )
        changed = clusters.change(existing, wanted)
        console.print(f"Cluster   {name} in {aws.region}: {'; '.join(changed) or 'exists'}")
    with waiting("Waiting for the cluster (about half a minute)") as tell:
        made = clusters.wait(name, tell, wanted)
        tell(f"Waiting for {made.host} in DNS")
        _wait_for_dns(made.host)
        tell("Making the database and its roles")
        log = _prepare(found, made, names)
    console.print(f"Database  {names['database']}: {', '.join(log) or 'nothing to do'}")
    files.write_env(
        found.folder / ".env",
        {
            "DB_HOST": made.host,
            **({} if made.port == 5432 else {"DB_PORT": str(made.port)}),
            "DB_NAME": names["database"],
            "DB_USER": names["app_user"],
            MIGRATION_USER: names["migration_user"],
            "AWS_REGION": made.region,
        },
    )
    written = [".env"]
    if found.terraform.is_dir():
        files.write_tfvars(
            found.terraform / "terraform.tfvars",
            {
                "region": made.region,
                "db_host": made.host,
                "db_cluster_resource_id": made.resource_id,
                "db_name": names["database"],
                "db_user": names["app_user"],
                "max_acu": made.max_acu,
            },
        )
        written.append(f"{found.terraform.name}/terraform.tfvars")
    console.print(f"Written   {', '.join(written)}")
    if as_json:
        typer.echo(json.dumps({**_content(made), **names}))
    else:
        console.print("\nNext: sunup migrate up, or sunup deploy")


@app.command()
def show(
    app_dir: AppDir = Path(),
    *,
    cluster: ClusterName = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Tell what the cluster is like."""
    found = project.find(app_dir)
    aws = Aws(found.environ, region)
    described = Clusters(aws.client("rds")).get(cluster or _identifier(found.name, "-"))
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
        ("express", "yes" if described.express else "no: it is an ordinary cluster"),
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
        str | None, typer.Option(help="The cluster's name, instead of being asked for it.")
    ] = None,
    skip_final_snapshot: Annotated[
        bool, typer.Option("--skip-final-snapshot", help="Keep nothing of the data.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Wait for its end: 5 to 11 minutes.")] = True,
) -> None:
    """Delete the cluster and its data, after asking for its name.

    A last snapshot is kept, from which it can be restored, unless --skip-final-snapshot.
    """
    found = project.find(app_dir)
    aws = Aws(found.environ, region)
    clusters = Clusters(aws.client("rds"))
    name = cluster or _identifier(found.name, "-")
    described = clusters.get(name)
    if described.deletion_protection:
        raise CommandError(
            f"the cluster {name} is protected against deletion",
            "First: sunup database create --no-deletion-protection",
        )
    typed = confirm or typer.prompt(
        f"This deletes {name} in {aws.region} with all its data. Type its name", err=True
    )
    if typed != name:
        raise CommandError(f"{typed!r} is not its name; nothing was deleted")
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    snapshot = None if skip_final_snapshot else f"{name}-final-{stamp}"
    clusters.delete(described, snapshot)
    typer.echo(f"Deleting {name}" + (f"; the snapshot {snapshot} stays." if snapshot else "."))
    if wait:
        with waiting("Deleting (5 to 11 minutes; Ctrl-C does not stop it)") as tell:
            clusters.wait_until_gone(name, tell)
        typer.echo("Deleted.")


def _prepare(found: Project, made: Cluster, names: dict[str, str]) -> list[str]:
    base = Settings.from_environment(
        {
            **{k: v for k, v in found.environ.items() if k == "DB_SSLROOTCERT"},
            "DB_HOST": made.host,
            "DB_PORT": str(made.port),
            "DB_USER": ADMIN,
            "DB_NAME": ADMIN_DATABASE,
            "AWS_REGION": made.region,
        }
    )
    admin = replace(base, idle_session_timeout=600)
    end = time.monotonic() + _LONGEST_FIRST_LOGIN
    while True:
        try:
            return roles.prepare(admin, found.credentials, **names)
        except DatabaseUnavailable:
            if time.monotonic() > end:
                raise
            time.sleep(3)


def _names(found: Project, database: str | None) -> dict[str, str]:
    database = database or found.environ.get("DB_NAME") or _identifier(found.name, "_")
    if database == ADMIN_DATABASE:
        database = _identifier(found.name, "_")
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,50}", database):
        raise CommandError(
            f"{database!r} is not a name for a database",
            "--database takes lower-case letters, digits and underscores, at most 51.",
        )
    return {
        "database": database,
        "app_user": f"{database}_app",
        "migration_user": f"{database}_migrate",
    }


def _identifier(name: str, joiner: str) -> str:
    return re.sub(r"[^a-z0-9]+", joiner, name.lower()).strip(joiner)


def _checked(name: str) -> str:
    if not re.fullmatch(r"[a-z](-?[a-z0-9]){0,62}", name):
        raise CommandError(
            f"{name!r} is not a name for a cluster",
            "--cluster takes letters, digits and single hyphens, beginning with a letter.",
        )
    return name


def _wait_for_dns(host: str) -> None:
    end = time.monotonic() + _LONGEST_DNS
    while True:
        try:
            socket.getaddrinfo(host, None)
        except socket.gaierror:
            if time.monotonic() > end:
                raise CommandError(
                    f"{host} is not in DNS after 3 minutes", "Run the command again later."
                ) from None
            time.sleep(3)
        else:
            return


def _content(described: Cluster) -> dict[str, object]:
    limit = connection_limit(described.max_acu)
    return {**asdict(described), "region": described.region, "connection_limit": limit}
