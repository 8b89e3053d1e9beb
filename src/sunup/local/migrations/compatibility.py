"""Which code still works with the database after a migration: what a rollback has to know.

A migration may say `compatible_with = "0002"`: the oldest revision whose code works with the
database after it; its own revision, if only code that knows it does. One that says nothing is
judged by its text, which is read and never executed: what drops, renames or tightens something
breaks older code.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError as AlembicError

from sunup.local.errors import CommandError

MARK = "compatible_with"

# Of Alembic's operations (`op.`, `batch_op.`): what they do to what older code relies on.
_DROPS = {
    "drop_column": "drops the column",
    "drop_table": "drops the table",
    "rename_table": "renames the table",
}
_BREAKS_IN_SQL = re.compile(
    r"\b(?:drop\s+(?:table|column|view|materialized\s+view|type|schema|function|sequence)"
    r"|rename\s+(?:to|column|constraint)|set\s+not\s+null|alter\s+(?:column\s+)?\S+\s+type)\b",
    re.IGNORECASE,
)


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
        mark = _mark(each)
        if mark is not None:
            _get(script, mark, f"{MARK} of {_name(each)}")
            if mark not in known:
                found.append(_blocked(each, f"says {MARK} {mark}"))
            continue
        reason = next(_breaks(each), None)
        if reason is not None:
            found.append(_blocked(each, reason))
    return found


def risky(script: ScriptDirectory, files: Iterable[str]) -> list[Blocked]:
    """Of these files those that may break older code, and do not say that they do not."""
    names = set(files)
    found = []
    for each in script.walk_revisions():
        if _name(each) in names and _mark(each) is None:
            reason = next(_breaks(each), None)
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
            f"{where} has the migration {name}, which is not in {Path(script.dir).name} here",
            "Check out the newest commit first.",
        )
    return found


def _mark(each: Script) -> str | None:
    value = getattr(each.module, MARK, None)
    return None if value is None else str(value)


def _name(each: Script) -> str:
    return Path(each.path).name


def _blocked(each: Script, reason: str) -> Blocked:
    return Blocked(each.revision, _name(each), reason)


def _breaks(each: Script) -> Iterator[str]:
    """What in `upgrade` breaks code that does not know it, in words."""
    tree = ast.parse(Path(each.path).read_bytes())
    upgrades = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "upgrade"
    ]
    # What it calls may lie beside it: then the whole file counts, but for downgrade.
    helpers = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name not in ("upgrade", "downgrade")
    ]
    named = dict(_constants(tree))
    for function in [*upgrades, *helpers]:
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                yield from _of_call(node, named)


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The module's own names for what may be an SQL text."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node.value


def _of_call(node: ast.Call, named: Mapping[str, ast.expr]) -> Iterator[str]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    texts = [each.value for each in node.args if isinstance(each, ast.Constant)]
    given = {each.arg: each.value for each in node.keywords}
    subject = ".".join(each for each in texts[:2] if isinstance(each, str)) or "something"
    if name in _DROPS:
        yield f"{_DROPS[name]} {subject}"
    elif name == "alter_column":
        if "new_column_name" in given:
            yield f"renames the column {subject}"
        elif _is(given.get("nullable"), value=False):
            yield f"makes the column {subject} not null"
        elif "type_" in given:
            yield f"changes the type of the column {subject}"
    elif name == "add_column" and any(_is_required(each) for each in node.args):
        yield f"adds a column to {subject} that is not null and has no default"
    elif name in ("execute", "text", "exec_driver_sql"):
        meant = [
            named[each.id]
            for each in ast.walk(node)
            if isinstance(each, ast.Name) and each.id in named
        ]
        for text in (text for part in (node, *meant) for text in _texts_in(part)):
            match = _BREAKS_IN_SQL.search(text)
            if match:
                yield f"executes {' '.join(match[0].split()).upper()}"


def _texts_in(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield re.sub(r"--[^\n]*|/\*.*?\*/", " ", each.value, flags=re.DOTALL)


def _is(node: ast.AST | None, *, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _is_required(node: ast.AST) -> bool:
    """`sa.Column(...)` that an INSERT of older code would not fill."""
    if not isinstance(node, ast.Call):
        return False
    given = {each.arg: each.value for each in node.keywords}
    return _is(given.get("nullable"), value=False) and "server_default" not in given
