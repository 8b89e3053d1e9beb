"""Whether function and migrations mean the same database, and what the migrations may break."""

from pathlib import Path

from sunup.engines import DSQL
from sunup.local.errors import CommandError
from sunup.local.migrations import compatibility, of_project
from sunup.local.migrations.dsql import linting
from sunup.local.migrations.folder import has_migrations, open_folder
from sunup.local.project import MIGRATION_USER, Project

from .plan import Plan


def same(project: Project, plan: Plan) -> None:
    """Raise `CommandError` where the function would use another database than the settings name."""
    if plan.environment is None:
        return
    if project.stage is None and not of_project.has_any(project):
        return
    settings = project.migration_settings
    ours = {"DB_HOST": settings.host, "DB_NAME": settings.database}
    for name, value in ours.items():
        theirs = plan.environment.get(name)
        if theirs is not None and theirs != value:
            raise CommandError(
                f"{name} is {value} in {project.env_file.name} (or the environment), but "
                f"{theirs} for the function, in {project.tfvars.name}",
                "Make them agree: otherwise migrations and code use different databases.",
            )
    theirs = plan.environment.get("DB_USER")
    owner = project.environ.get(MIGRATION_USER)
    if owner and theirs == owner:
        raise CommandError(
            f"the function would connect as {theirs}, which owns the tables",
            f"Set db_user to the app's role; {MIGRATION_USER} is for migrations only.",
        )


def risks(project: Project, pending: list[str]) -> list[str]:
    """What pending migrations would break for the code that runs now, in words.

    On Aurora DSQL also what it may refuse, where dsql-lint is installed. Raises `CommandError`.
    """
    if not pending or not has_migrations(project.migrations):
        return []
    _, script = open_folder(project.migrations)
    found = [
        f"{each.file} {each.reason}: the running code may not work with it, and a rollback past "
        "it will be refused. If that code does work with it, set compatible_with in the file."
        for each in compatibility.risky(script, pending)
    ]
    lint = linting.program() if project.migration_settings.engine is DSQL else None
    if lint is None:
        return found
    named = {each.revision for each in script.walk_revisions() if Path(each.path).name in pending}
    told = linting.findings(lint, script, named)
    return [*found, *(f"Aurora DSQL may refuse {each}" for each in told)]
