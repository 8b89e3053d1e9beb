"""Migrations that a run left half-way on Aurora DSQL: what there is to go on with, and how."""

from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from sunup.local.errors import CommandError

from . import progress
from .dialect import DSQLDialect
from .progress import DOWN, UP, Cut

__all__ = ["DOWN", "UP", "cuts", "ours"]


def cuts(connection: Connection) -> list[Cut]:
    """The migrations that were begun and have not ended; none on an engine without such."""
    if not isinstance(connection.dialect, DSQLDialect):
        return []
    driver: Any = connection.connection.driver_connection
    return progress.cuts(driver)


def ours(connection: Connection, script: ScriptDirectory, direction: str) -> set[str]:
    """The revisions that were cut, with which a run in this direction goes on.

    Raises `CommandError` where it was cut in the other direction, or its file is gone.
    """
    found = cuts(connection)
    here = {each.revision: each for each in script.walk_revisions()}
    for each in found:
        half = "applied" if each.direction == UP else "undone"
        what = f"{each.revision} is half {half}: {each.done} of its statements were executed"
        if each.revision not in here:
            raise CommandError(
                f"{what}, and its file is gone", "Restore the file, then run the command again."
            )
        if each.direction != direction:
            before = here[each.revision].down_revision
            back = f"down --to {before if isinstance(before, str) else 'base'}"
            raise CommandError(
                what, f"End that first: sunup migrate {'up' if each.direction == UP else back}."
            )
    return {each.revision for each in found}
