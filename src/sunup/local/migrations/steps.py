"""The migrations between what a database has and where it shall be, as Alembic finds them."""

from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory

from sunup.local.errors import CommandError


def planned(script: ScriptDirectory, to: str, revision: Any, *, backwards: bool) -> Any:
    """Alembic's steps from `revision` to `to`. Raises `CommandError`."""
    wanted = "downgrade" if backwards else "upgrade"
    for each in script.walk_revisions():
        if not callable(getattr(each.module, wanted, None)):
            raise CommandError(f"{Path(each.path).name} has no function {wanted}()")
    find = script._downgrade_revs if backwards else script._upgrade_revs  # noqa: SLF001
    return find(to, revision)
