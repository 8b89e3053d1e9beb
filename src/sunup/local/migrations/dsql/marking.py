"""What a new migration's file says where the app's engine is Aurora DSQL."""

import ast
from pathlib import Path

_COMMENT = """\
# For Aurora DSQL: each statement is committed by itself, and a run that was cut goes on after the
# last one. So: one concern in a migration, a new one instead of a changed one, and rows in parts of
# 2,999 at most, each in an op.execute of its own. `sunup migrate check` says what is refused.
"""


def mark(path: Path) -> None:
    """Write it below the docstring of a file that Alembic has made."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    lines = text.splitlines(keepends=True)
    first = tree.body[0] if tree.body else None
    below = first.end_lineno or 0 if first and ast.get_docstring(tree) is not None else 0
    lines.insert(below, f"\n{_COMMENT}" if below else _COMMENT)
    path.write_text("".join(lines), encoding="utf-8")
