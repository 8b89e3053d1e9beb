"""The migrations of a project, whichever tool's: Alembic's or Django's."""

from collections.abc import Callable

from sunup.engines import DSQL
from sunup.local.errors import CommandError
from sunup.local.project import Project
from sunup.nearby import read, variables_of

from . import anew, django, running, sessions
from .folder import has_migrations


def has_any(project: Project) -> bool:
    """Whether there is something to apply.

    Raises `CommandError` where pyproject.toml names a folder that is none of Alembic's.
    """
    if project.text("migrations") and not has_migrations(project.migrations):
        raise CommandError(
            f"there are no migrations in {project.migrations} (no env.py)",
            "pyproject.toml names that folder: [tool.sunup] migrations. Set it right, or take it "
            "out.",
        )
    return has_migrations(project.migrations) or django.has_django(project.folder)


def is_django(project: Project) -> bool:
    """Whether they are Django's."""
    return not has_migrations(project.migrations) and django.has_django(project.folder)


def upgrade_here(project: Project, on_undone: Callable[[list[str]], None]) -> list[str]:
    """The same on this machine, where what was edited after it was applied is applied anew.

    That is for the embedded server only, which nobody shares. `on_undone` is told what was undone
    first. Raises as `upgrade`.
    """
    settings, folder = project.migration_settings, project.migrations
    note = read(str(project.folder))
    embedded = "users" in note and variables_of(note).get("DB_HOST") == settings.host
    if not embedded or not has_migrations(folder):
        return upgrade(project)
    undone = anew.prepare(settings, folder, project.folder / anew.MEMORY)
    if undone:
        on_undone(undone)
    return upgrade(project)


def upgrade(
    project: Project,
    *,
    on_wait: Callable[[], None] = lambda: None,
    on_retry: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Apply what is missing, under the lock that all runs take; what was applied, oldest first.

    Raises `CommandError` and `DatabaseUnavailable`.
    """
    settings = project.migration_settings
    if has_migrations(project.migrations):
        return running.upgrade(
            settings,
            project.migrations,
            credentials=project.credentials,
            on_wait=on_wait,
            on_retry=on_retry,
        )
    if settings.engine is DSQL:
        raise CommandError(
            "Django's migrations do not fit Aurora DSQL, and nothing was executed: its own apps' "
            "(contenttypes, auth) change the types of columns, and each is one transaction",
            "docs/django.md says what can be done by hand; on Aurora they are applied as they are.",
        )
    with sessions.locked(settings, project.credentials, on_wait):
        return django.upgrade(project, on_retry)


def pending(project: Project) -> list[str]:
    """The migrations that are not applied. Raises `CommandError` for a file that was changed."""
    found = status(project)
    changed = [each.file for each in found if each.state == "changed"]
    if changed:
        raise CommandError(
            f"{changed[0]} was changed after it was applied",
            "Restore it and write a new migration; sunup migrate up says more.",
        )
    return [each.file for each in found if each.state in ("pending", "begun")]


def status(project: Project) -> list[running.Revision]:
    """Each migration and whether it is applied, oldest first. Raises as `pending`."""
    if is_django(project):
        return [
            running.Revision(name, "", name, "applied" if applied else "pending")
            for name, applied in django.status(project)
        ]
    return running.status(
        project.migration_settings, project.migrations, credentials=project.credentials
    )
