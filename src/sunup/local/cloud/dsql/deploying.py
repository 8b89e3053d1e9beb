"""What a deployment to Aurora DSQL does besides: the function's IAM role may be the app's role.

Which IAM role may be which role is said in the database, and the function's exists only after
Terraform was applied; what migrations made needs rights. Both come before the release.
"""

import re
import time
from collections.abc import Callable, Mapping

import psycopg

from sunup.engines import DSQL
from sunup.local.cloud.plan import Plan
from sunup.local.errors import CommandError
from sunup.local.opening import waking
from sunup.local.progress import Progress
from sunup.local.project import Project

from . import roles
from .cluster import ADMIN
from .host import of_host

_CLUSTER = "aws_dsql_cluster."

# Seconds until each part of AWS knows a new IAM role, at the most; and between two looks.
_LONGEST_IAM = 60.0
_PAUSE = 2.0


def begins(project: Project, plan: Plan) -> bool:
    """Whether the cluster is Terraform's, and nothing here knows it yet."""
    if project.environ.get("DB_HOST"):
        return False
    host = (plan.environment or {}).get("DB_HOST", "")
    return of_host(host) is not None or any(each.startswith(_CLUSTER) for each in plan.create)


def not_prepared(project: Project, outputs: Mapping[str, object]) -> CommandError:
    """What is to be done next, where Terraform has made the cluster."""
    stage = f"--stage {project.stage.name} " if project.stage else ""
    return CommandError(
        "the cluster is there, but not the app's role in it; nothing is released yet",
        f"Run sunup {stage}database create --engine dsql --cluster "
        f"{outputs.get('dsql_cluster_identifier')}, which also writes {project.env_file.name}, and "
        "deploy again.",
    )


def rights(project: Project) -> list[str]:
    """Let the app's role use what `admin` has migrated; the names of what it had no right to.

    Nothing for another engine, for another who migrates, and where the role is not made yet.
    Raises `CommandError` and `DatabaseUnavailable`.
    """
    settings, admin = project.settings, project.migration_settings
    if settings.engine is not DSQL or admin.user != ADMIN or settings.user == ADMIN:
        return []
    with roles.connected(admin, project.credentials) as connection:
        if roles.may_log_in(connection, settings.user) is None:
            return []
        return roles.grant(connection, settings.user)


def grant(
    project: Project, plan: Plan, outputs: Mapping[str, object], progress: Progress
) -> list[str]:
    """Let the function be the app's role, and the role use the tables; what was missing.

    Nothing for another engine. Raises `CommandError` and `DatabaseUnavailable`.
    """
    if not project.environ.get("DB_HOST"):
        return []
    settings = project.settings
    if settings.engine is not DSQL:
        return []
    arn = outputs.get("lambda_iam_role_arn")
    if not isinstance(arn, str):
        raise CommandError(
            "Terraform has no output lambda_iam_role_arn",
            "Add it to outputs.tf, as in a project made by `sunup new`: that role is let into the "
            "database.",
        )
    user = (plan.environment or {}).get("DB_USER") or settings.user
    admin = project.as_user(ADMIN)
    with (
        progress.waiting(waking(admin.user)) as tell,
        roles.connected(admin, project.credentials) as connection,
    ):
        made = [f"role {user}"] if roles.create(connection, user) else []
        if _allowed(connection, user, arn, tell):
            made.append(f"{arn.rpartition('/')[2]} may be {user}")
        granted = roles.grant(connection, user)
    made += [f"{user} may use {', '.join(granted)}"] if granted else []
    progress.done("Granted", "; ".join(made) or "nothing to do")
    return made


def _allowed(
    connection: roles.Connection, user: str, arn: str, tell: Callable[[str], None]
) -> bool:
    """As `roles.allow`, and patient: the IAM role may have been made a moment ago.

    IAM User Guide, "Changes that I make are not always immediately visible".
    """
    end = time.monotonic() + _LONGEST_IAM
    while True:
        try:
            return roles.allow(connection, user, arn)
        except psycopg.Error as error:
            if not re.search(r"IAM role .*does not exist", str(error)) or time.monotonic() > end:
                raise
        tell(f"Waiting until {arn.rpartition('/')[2]} is known everywhere")
        time.sleep(_PAUSE)
