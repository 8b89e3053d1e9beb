"""On this machine's own database an edited migration is undone as it was, and applied anew.

Somebody who works on the newest migration changes it many times, and may delete it. Where others
use the database that is an error (`running.upgrade`); here the file as it was applied is kept, by
its checksum, and its own `downgrade` takes back what it did. Earlier migrations stay as they are:
with them would go the data of all that followed. So does one that says the same as before.
"""

import ast
import tempfile
from pathlib import Path

from alembic.script import ScriptDirectory

from sunup.local.errors import CommandError
from sunup.settings import Settings

from . import files, running, sessions
from .folder import open_folder

# Beside the embedded server's data: the files of applied migrations, by their checksums.
MEMORY = Path(".sunup") / "applied"


def prepare(settings: Settings, folder: Path, memory: Path) -> list[str]:
    """Undo what will be applied anew, and keep each file as it is now; what was undone.

    Raises `CommandError`.
    """
    _, script = open_folder(folder)
    undone = _undo_changed(settings, folder, script, memory)
    _keep(script, memory)
    return undone


def _keep(script: ScriptDirectory, memory: Path) -> None:
    memory.mkdir(parents=True, exist_ok=True)
    for each in script.walk_revisions():
        path = Path(each.path)
        kept = memory / f"{files.checksum(path)}.py"
        if not kept.exists():
            kept.write_bytes(path.read_bytes())


def _undo_changed(
    settings: Settings, folder: Path, script: ScriptDirectory, memory: Path
) -> list[str]:
    """Undo the newest migrations, if their files were changed or are gone; newest first.

    Where that cannot be done (others follow that were not changed, nothing was kept, two branches
    were joined since then) nothing is undone, and `running.upgrade` says what is wrong.
    """
    with sessions.connected(settings, None) as connection:
        applied = files.known(connection)
        here = {each.revision: Path(each.path) for each in script.walk_revisions()}
        wrong = {
            revision
            for revision, sha256 in applied.items()
            if revision not in here or files.checksum(here[revision]) != sha256
        }
        same = {
            revision
            for revision in wrong & here.keys()
            if _say_the_same(memory / f"{applied[revision]}.py", here[revision])
        }
        files.accept(connection, script, same)
        connection.commit()
    wrong -= same
    if not wrong:
        return []
    with tempfile.TemporaryDirectory(prefix="sunup-applied-") as name:
        versions = Path(name)
        for revision, sha256 in applied.items():
            kept = memory / f"{sha256}.py"
            if not kept.is_file():
                return []
            (versions / f"{revision}.py").write_bytes(kept.read_bytes())
        _, before = open_folder(folder, versions)
        to = _before_all(before, wrong)
        if to is None:
            return []
        try:
            return running.downgrade(settings, folder, to=to, versions=versions)
        except CommandError as error:
            raise CommandError(
                f"{' and '.join(sorted(wrong))} was changed after it was applied, and what it did "
                f"cannot be undone: {error.what}",
                "Restore the file and write a new migration; or begin anew, without the data: "
                "delete the folder .sunup",
            ) from error


def _say_the_same(before: Path, now: Path) -> bool:
    """Whether two files differ in nothing that is executed: in comments, or a docstring."""
    if not before.is_file():
        return False
    try:
        trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (before, now)]
    except (SyntaxError, UnicodeDecodeError):
        return False
    for tree in trees:
        if ast.get_docstring(tree) is not None:
            del tree.body[0]
    return ast.dump(trees[0]) == ast.dump(trees[1])


def _before_all(script: ScriptDirectory, wrong: set[str]) -> str | None:
    """The revision after which come all of `wrong`, and nothing else; else nothing."""
    newest_first = list(script.walk_revisions())
    parents = [each.down_revision for each in newest_first]
    if len(script.get_heads()) > 1 or any(isinstance(each, tuple) for each in parents):
        return None
    newest, oldest = newest_first[: len(wrong)], newest_first[len(wrong) - 1]
    if {each.revision for each in newest} != wrong:
        return None
    return str(oldest.down_revision or "base")
