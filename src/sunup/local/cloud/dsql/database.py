"""An app's database on Aurora DSQL: cluster, role, rights, and what this machine keeps of them.

Everything can be run again: it goes on where it stopped.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from sunup.engines import DSQL, recognised
from sunup.failures import DatabaseUnavailable, plain_text
from sunup.local.cloud import database as aurora
from sunup.local.cloud import files
from sunup.local.cloud.github import variables
from sunup.local.errors import CommandError
from sunup.local.progress import Progress
from sunup.local.project import MIGRATION_USER, Project
from sunup.settings import Settings

from . import roles
from .cluster import ADMIN, DATABASE, PORT, Cluster, Clusters
from .host import is_used, of_host

_LONGEST_FIRST_LOGIN = 60.0


@dataclass(frozen=True)
class Wanted:
    """What is asked for; None: as it is, or the default where it is new.

    `identifier` is that of a cluster which is there. `also` are ARNs of IAM roles and users that
    may be the app's role, besides the function's.
    """

    identifier: str | None = None
    deletion_protection: bool | None = None
    also: Sequence[str] = ()


def identifier(project: Project, asked: str | None) -> str | None:
    """The one that was asked for, the stage's, or that of DB_HOST. Raises `CommandError`."""
    own = project.text("cluster") if project.stage else None
    found = asked or own or of_host(project.environ.get("DB_HOST", ""))
    if found is not None and not re.fullmatch(r"[a-z0-9]{26}", found):
        raise CommandError(
            f"{found!r} is not the identifier of an Aurora DSQL cluster",
            "It has 26 lower-case letters and digits, the first part of the endpoint: AWS chooses "
            "it. To make a new cluster leave out --cluster.",
        )
    return found


def app_user(project: Project) -> str:
    """The app's role: the stage's, that of `.env`, or one of the app's name. `CommandError`."""
    asked = project.text("app_user") if project.stage else None
    there = project.environ.get("DB_USER") if is_used(project.environ) else None
    user = asked or there or f"{aurora.identifier(project.name, '_')}_app"
    aurora.check_name(user, "a role", 63)
    if user == ADMIN:
        raise CommandError(
            "the app's role would be admin, which may do everything",
            "Set DB_USER to another name: sunup database create makes the role.",
        )
    return user


def existing(project: Project, clusters: Clusters, asked: str | None) -> Cluster | None:
    """The app's cluster; None where it has none. Raises `CommandError` for one that is asked for.

    A stage has a cluster of its own, unless it names one: there is one database in each.
    """
    named = identifier(project, asked)
    explicit = asked or (project.text("cluster") if project.stage else None)
    if named is None:
        return clusters.of_app(project.name)
    # That of DB_HOST may be gone: it was deleted, and another is wanted.
    found = clusters.get(named) if explicit else clusters.find(named)
    return found or clusters.of_app(project.name)


def create(project: Project, clusters: Clusters, wanted: Wanted, progress: Progress) -> Cluster:
    """Make what is missing, and write `.env` and `terraform.tfvars`.

    Raises `CommandError` and `DatabaseUnavailable`.
    """
    user = app_user(project)
    begun = _begin(project, clusters, wanted, progress)
    with progress.waiting("Waiting for the cluster (about half a minute)") as tell:
        made = clusters.wait(begun.identifier, tell)
        tell(f"Waiting for {made.host} in DNS")
        aurora.wait_for_dns(made.host)
        tell("Creating the role")
        log = _prepare(project, made, user, wanted.also, progress)
    progress.done("Database", f"{DATABASE}: {', '.join(log) or 'nothing to do'}")
    progress.done("Written", ", ".join(str(path) for path in _write(project, made, user)))
    return made


def _begin(project: Project, clusters: Clusters, wanted: Wanted, progress: Progress) -> Cluster:
    found = existing(project, clusters, wanted.identifier)
    if found is None:
        protection = wanted.deletion_protection is not False
        found = clusters.create(project.name, deletion_protection=protection)
        told = "creation started"
    elif wanted.deletion_protection in (None, found.deletion_protection):
        told = "exists"
    elif found.is_terraform_s:
        raise CommandError(
            f"the cluster {found.identifier} is Terraform's",
            "Set dsql_deletion_protection in the Terraform variables, and apply.",
        )
    else:
        clusters.protect(found, on=bool(wanted.deletion_protection))
        told = f"deletion protection {'on' if wanted.deletion_protection else 'off'}"
    progress.done("Cluster", f"{found.identifier} in {clusters.region}: {told}")
    return found


def admin_of(project: Project, host: str, region: str) -> Settings:
    """The settings of the cluster's admin. Raises `SettingsError`."""
    kept = {k: v for k, v in project.environ.items() if k == "DB_SSLROOTCERT"}
    return Settings.from_environment(
        {
            **kept,
            "DB_HOST": host,
            "DB_ENGINE": DSQL.name,
            "DB_PORT": str(PORT),
            "DB_USER": ADMIN,
            "DB_NAME": DATABASE,
            "AWS_REGION": region,
        }
    )


def function_role(project: Project, made: Cluster) -> str:
    """The ARN of the function's IAM role, as Terraform names it (iam.tf), made or not yet."""
    return f"arn:{made.partition}:iam::{made.account}:role/{variables.name(project)}-function"


def _prepare(
    project: Project, made: Cluster, user: str, also: Sequence[str], progress: Progress
) -> list[str]:
    admin = admin_of(project, made.host, made.region)
    end = time.monotonic() + _LONGEST_FIRST_LOGIN
    while True:
        try:
            with roles.connected(admin, project.credentials) as connection:
                return _made(connection, user, [function_role(project, made), *also], progress)
        except DatabaseUnavailable:
            if time.monotonic() > end:
                raise
            time.sleep(3)


def _made(
    connection: roles.Connection, user: str, arns: Sequence[str], progress: Progress
) -> list[str]:
    log = [f"role {user}"] if roles.create(connection, user) else []
    for number, arn in enumerate(arns):
        name = arn.rpartition("/")[2]
        try:
            if roles.allow(connection, user, arn):
                log.append(f"{name} may be {user}")
        except psycopg.Error as error:
            if number:
                raise
            # The function's, before Terraform has made it.
            why = plain_text(error)
            progress.warn(f"Note: {name} cannot be {user} yet ({why}); sunup deploy sees to it")
    granted = roles.grant(connection, user)
    return log + ([f"rights on {', '.join(granted)}"] if granted else [])


def _write(project: Project, made: Cluster, user: str) -> list[Path]:
    """Write what was made; returns the files, as seen from the project's folder."""
    known = recognised(made.host) is not None
    files.write_env(
        project.env_file,
        {
            "DB_HOST": made.host,
            # Only where it is needed, or says something else.
            **({} if known and "DB_ENGINE" not in project.dotenv else {"DB_ENGINE": DSQL.name}),
            **({} if known and "DB_PORT" not in project.dotenv else {"DB_PORT": str(PORT)}),
            "DB_NAME": DATABASE,
            "DB_USER": user,
            MIGRATION_USER: ADMIN,
            "AWS_REGION": made.region,
        },
    )
    written = [Path(project.env_file.name)]
    if project.terraform.is_dir():
        values = {"db_engine": DSQL.name, "db_host": made.host, "db_user": user}
        files.write_tfvars(project.tfvars, {"region": made.region, **values})
        written.append(Path(project.terraform.name, project.tfvars.name))
    return written
