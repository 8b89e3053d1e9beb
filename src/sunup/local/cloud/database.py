"""An app's database on AWS: cluster, database, roles, and what this machine keeps of them.

Everything can be run again: it goes on where it stopped.
"""

import re
import socket
import time
from dataclasses import dataclass, replace
from pathlib import Path

from sunup.failures import DatabaseUnavailable
from sunup.local.errors import CommandError
from sunup.local.progress import Progress
from sunup.local.project import MIGRATION_USER, Project
from sunup.settings import Settings

from . import files, roles
from .cluster import ADMIN, ADMIN_DATABASE, Cluster, Clusters, Wanted

# The DNS name of a new cluster lags behind; the database may refuse its first clients.
_LONGEST_DNS = 180.0
_LONGEST_FIRST_LOGIN = 60.0

# Pseudo-roles and keywords of PostgreSQL (CREATE ROLE), Aurora's own roles and databases.
_RESERVED = frozenset(
    {
        *("public", "none", "postgres", "template0", "template1"),
        *("current_user", "current_role", "session_user", "user"),
    }
)


@dataclass(frozen=True)
class Names:
    """Of the database and of its two roles."""

    database: str
    app_user: str
    migration_user: str

    @classmethod
    def of(cls, project: Project, database: str | None) -> "Names":
        """From the name that was asked for, DB_NAME, or the app's. Raises `CommandError`."""
        own = project.text("database") if project.stage else None
        database = database or own or project.environ.get("DB_NAME")
        if not database or database == ADMIN_DATABASE:
            database = identifier(project.name, "_")
        check_name(database, "a database", 51)
        users = [
            (project.text(key) if project.stage else None) or f"{database}_{suffix}"
            for key, suffix in (("app_user", "app"), ("migration_user", "migrate"))
        ]
        for user in users:
            check_name(user, "a role", 63)
        if users[0] == users[1]:
            raise CommandError(
                f"app_user and migration_user are both {users[0]}",
                "Use two roles: the app's role must not own the tables.",
            )
        return cls(database, *users)


def check_name(name: str, kind: str, longest: int) -> None:
    """Raise `CommandError` for what is no name, or one that is taken by PostgreSQL or Aurora."""
    if not re.fullmatch(rf"[a-z_][a-z0-9_]{{0,{longest - 1}}}", name):
        raise CommandError(
            f"{name!r} is not a valid name for {kind}",
            f"Use lower-case letters, digits and underscores, at most {longest} characters, not "
            "starting with a digit.",
        )
    if name.startswith(("pg_", "rds")) or name in _RESERVED:
        raise CommandError(
            f"{name!r} is a reserved name",
            "Choose another: PostgreSQL and Aurora reserve this one.",
        )


def cluster_name(project: Project, name: str | None) -> str:
    """The cluster's name: the one that was asked for, or the app's. Raises `CommandError`."""
    own = project.text("cluster") if project.stage else None
    # Stages share the app's cluster, unless one names its own.
    name = name or own or identifier(project.app_name, "-")
    if not re.fullmatch(r"[a-z](-?[a-z0-9]){0,62}", name):
        raise CommandError(
            f"{name!r} is not a valid name for a cluster",
            "Pass --cluster with lower-case letters, digits and single hyphens, starting with a "
            "letter.",
        )
    return name


def sharing(project: Project, name: str) -> list[str]:
    """Which other stages have their database in the cluster `name`; without a stage is one, too."""
    table = project.table.get("stages")
    stages = table if isinstance(table, dict) else {}
    own = project.stage.name if project.stage else ""
    app = identifier(project.app_name, "-")
    clusters = {"": app, **{each: stages[each].get("cluster") or app for each in stages}}
    return sorted(
        each or "the deployment without a stage"
        for each, at in clusters.items()
        if each != own and at == name
    )


def create(
    project: Project,
    clusters: Clusters,
    name: str,
    names: Names,
    wanted: Wanted,
    progress: Progress,
) -> Cluster:
    """Make what is missing, and write `.env` and `terraform.tfvars`.

    An existing cluster is changed only where `wanted` says so. Raises `CommandError` and
    `DatabaseUnavailable`.
    """
    wanted = _begin(project, clusters, name, wanted, progress)
    with progress.waiting("Waiting for the cluster (about half a minute)") as tell:
        made = clusters.wait(name, tell, wanted)
        tell(f"Waiting for {made.host} in DNS")
        wait_for_dns(made.host)
        tell("Creating the database and its roles")
        log = _prepare(project, made, names)
    progress.done("Database", f"{names.database}: {', '.join(log) or 'nothing to do'}")
    written = _write(project, made, names)
    progress.done("Written", ", ".join(str(path) for path in written))
    return made


def _begin(
    project: Project, clusters: Clusters, name: str, wanted: Wanted, progress: Progress
) -> Wanted:
    existing = clusters.find(name)
    if existing is None:
        clusters.create(name, wanted)
        progress.done("Cluster", f"{name} in {clusters.region}: creation started")
        return wanted.or_defaults()
    if not existing.express:
        raise CommandError(
            f"the cluster {name} already exists, and has no express configuration",
            "Choose another name with --cluster.",
        )
    others = sharing(project, name)
    if project.stage is not None and others and wanted != Wanted():
        raise CommandError(
            f"the cluster {name} is shared with {', '.join(others)}: it cannot be changed for "
            f"{project.stage.name} alone",
            "Run without --stage to change it for all of them.",
        )
    changed = clusters.change(existing, wanted)
    progress.done("Cluster", f"{name} in {clusters.region}: {'; '.join(changed) or 'exists'}")
    return wanted


def _prepare(project: Project, made: Cluster, names: Names) -> list[str]:
    base = Settings.from_environment(
        {
            **{k: v for k, v in project.environ.items() if k == "DB_SSLROOTCERT"},
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
            return roles.prepare(admin, project.credentials, **vars(names))
        except DatabaseUnavailable:
            if time.monotonic() > end:
                raise
            time.sleep(3)


def _write(project: Project, made: Cluster, names: Names) -> list[Path]:
    """Write what was made; returns the files, as seen from the project's folder."""
    files.write_env(
        project.env_file,
        {
            "DB_HOST": made.host,
            **({} if made.port == Settings().port else {"DB_PORT": str(made.port)}),
            "DB_NAME": names.database,
            "DB_USER": names.app_user,
            MIGRATION_USER: names.migration_user,
            "DB_CLUSTER_RESOURCE_ID": made.resource_id,
            "AWS_REGION": made.region,
        },
    )
    written = [Path(project.env_file.name)]
    if project.terraform.is_dir():
        files.write_tfvars(
            project.tfvars,
            {
                "region": made.region,
                "db_host": made.host,
                "db_cluster_resource_id": made.resource_id,
                "db_name": names.database,
                "db_user": names.app_user,
                "max_acu": made.max_acu,
            },
        )
        written.append(Path(project.terraform.name, project.tfvars.name))
    return written


def identifier(name: str, joiner: str) -> str:
    """A name in lower-case letters and digits, with `joiner` for all else."""
    return re.sub(r"[^a-z0-9]+", joiner, name.lower()).strip(joiner)


def wait_for_dns(host: str) -> None:
    """Wait until the name of a new cluster is known. Raises `CommandError`."""
    end = time.monotonic() + _LONGEST_DNS
    while True:
        try:
            socket.getaddrinfo(host, None)
        except socket.gaierror:
            if time.monotonic() > end:
                raise CommandError(
                    f"{host} still has no DNS entry after 3 minutes", "Run the command again later."
                ) from None
            time.sleep(3)
        else:
            return
