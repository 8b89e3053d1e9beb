"""Which code still works with the database after a migration: what a rollback has to know.

A migration may say `compatible_with = "0002"`: the oldest revision whose code works with the
database after it; "base" for any; its own revision, if only code that knows it does. One that says
nothing is
judged by the statements that Alembic's offline mode makes of it (as `sunup migrate sql`): what
only adds keeps older code working, all else may break it (`statements`).
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError as AlembicError

from sunup.local.errors import CommandError

from .folder import explained
from .statements import breaks

MARK = "compatible_with"

# The mark of what breaks no code at all, in Alembic's word for "before the first".
BASE = "base"


@dataclass(frozen=True)
class Blocked:
    """A migration with which some code does not work; `reason` in words."""

    revision: str
    file: str
    reason: str


def blocking(script: ScriptDirectory, applied: Iterable[str], code: Iterable[str]) -> list[Blocked]:
    """The applied revisions with which code that knows the heads `code` does not work.

    Raises `CommandError` for a revision that has no file here.
    """
    known = _ancestors(script, code)
    found = []
    for each in _scripts(script, [name for name in applied if name not in known]):
        mark = _mark(each, script)
        if mark is not None:
            if mark != BASE and mark not in known:
                found.append(_blocked(each, f"says {MARK} {mark}"))
            continue
        reason = next(_breaks(each, Path(script.dir)), None)
        if reason is not None:
            found.append(_blocked(each, reason))
    return found


def unapplied(script: ScriptDirectory, applied: Iterable[str], code: Iterable[str]) -> list[str]:
    """The files of migrations that code with the heads `code` knows, and the database has not."""
    return [_name(each) for each in _scripts(script, sorted(_ancestors(script, code) - {*applied}))]


def risky(script: ScriptDirectory, files: Iterable[str]) -> list[Blocked]:
    """Of these files those that may break older code, and do not say that they do not.

    Raises `CommandError` for one that says it in a way that nobody understands.
    """
    names = set(files)
    found = []
    for each in script.walk_revisions():
        if _name(each) in names and _mark(each, script) is None:
            reason = next(_breaks(each, Path(script.dir)), None)
            if reason is not None:
                found.append(_blocked(each, reason))
    return found[::-1]


def _ancestors(script: ScriptDirectory, heads: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for head in heads:
        _get(script, head, "the release's code")
        found |= {each.revision for each in script.iterate_revisions(head, "base")}
    return found


def _scripts(script: ScriptDirectory, names: list[str]) -> list[Script]:
    return [_get(script, name, "the database") for name in names]


def _get(script: ScriptDirectory, name: str, where: str) -> Script:
    try:
        found = script.get_revision(name)
    except (RevisionError, AlembicError):
        found = None
    if found is None or found.revision != name:
        raise CommandError(
            f"{where} has the migration {name}, which is missing from {Path(script.dir).name}/ "
            "here",
            "Check out the newest commit first.",
        )
    return found


def _mark(each: Script, script: ScriptDirectory) -> str | None:
    value = getattr(each.module, MARK, None)
    if value is None or value == BASE:
        return value
    known = [other.revision for other in script.walk_revisions()][::-1]
    if value not in known:
        raise CommandError(
            f"{_name(each)} says {MARK} = {value!r}, which is not a revision",
            f'Use one of {", ".join(known)}, or "{BASE}" if any code works with it.',
        )
    return str(value)


def _name(each: Script) -> str:
    return Path(each.path).name


def _blocked(each: Script, reason: str) -> Blocked:
    return Blocked(each.revision, _name(each), reason)


def _breaks(each: Script, folder: Path) -> Iterator[str]:
    """What in `upgrade` may break code that does not know it, in words."""
    try:
        yield from breaks(_sql(each, folder))
    except Exception as error:
        # It asks the database, such as op.get_bind(), or what this machine does not have.
        what = str(error).partition("\n")[0]
        yield f"cannot be checked without a database ({type(error).__name__}: {what})"


def _sql(each: Script, folder: Path) -> str:
    """The statements of `upgrade`, as Alembic's offline mode makes them: nothing is executed."""
    output = StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": output}
    )
    with explained(folder), Operations.context(context), redirect_stdout(sys.stderr):
        each.module.upgrade()
    return output.getvalue()
