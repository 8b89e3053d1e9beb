"""The migrations of a project, whichever tool's: Alembic's or Django's."""

from collections.abc import Callable

from sunup.local.errors import CommandError
from sunup.local.project import Project

from . import django, running
from .folder import has_migrations


def has_any(project: Project) -> bool:
    """Whether there is something to apply."""
    return has_migrations(project.migrations) or django.has_django(project.folder)


def is_django(project: Project) -> bool:
    """Whether they are Django's."""
    return not has_migrations(project.migrations) and django.has_django(project.folder)


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
    with running.locked(settings, project.credentials, on_wait):
        return django.upgrade(project, on_retry)


def pending(project: Project) -> list[str]:
    """The migrations that are not applied. Raises `CommandError` for a file that was changed."""
    if not has_migrations(project.migrations):
        return django.pending(project)
    found = running.status(
        project.migration_settings, project.migrations, credentials=project.credentials
    )
    changed = [each.file for each in found if each.state == "changed"]
    if changed:
        raise CommandError(
            f"{changed[0]} was changed after it was applied",
            "Restore it and write a new migration; sunup migrate up says more.",
        )
    return [each.file for each in found if each.state == "pending"]
