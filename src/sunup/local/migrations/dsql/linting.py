"""Checks migrations with dsql-lint (awslabs), which knows Aurora DSQL's SQL; nothing is executed.

It is a binary (PyPI: dsql-lint) that need not be installed. It reads what Alembic's offline mode
makes of a migration for Aurora DSQL. Whatever it finds is refused there: its warnings are what its
own `--fix` could repair.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory

from sunup.local.errors import CommandError
from sunup.local.migrations.folder import explained

from .dialect import DSQLDialect

PROGRAM = "dsql-lint"

# It exits with 1 where it finds something; 2 is a wrong call.
_ENDINGS = (0, 1)
_SECONDS = 60

# Its parser does not know all that the server does.
_NOT_READ = "parse_error"


@dataclass(frozen=True)
class Finding:
    """What a migration does that Aurora DSQL refuses; `refused` is false where nobody knows."""

    file: str
    rule: str
    message: str
    suggestion: str
    statement: str
    refused: bool = True

    def __str__(self) -> str:
        """On one line."""
        advice = f". {self.suggestion}" if self.suggestion else ""
        return f"{self.file}: {self.message}{advice}"


def program() -> Path | None:
    """Where dsql-lint is installed: beside this Python, or on PATH."""
    beside = Path(sys.executable).with_name(PROGRAM)
    found = str(beside) if beside.is_file() else shutil.which(PROGRAM)
    return Path(found) if found else None


def findings(program: Path, script: ScriptDirectory, revisions: Iterable[str]) -> list[Finding]:
    """What is wrong with these revisions, oldest first. Raises `CommandError`."""
    wanted = set(revisions)
    found = []
    for each in reversed(list(script.walk_revisions())):
        if each.revision in wanted:
            found += _check(program, each, Path(script.dir))
    return found


def _check(program: Path, each: Script, folder: Path) -> list[Finding]:
    file = Path(each.path).name
    try:
        sql = _sql(each, folder)
    except Exception as error:
        # It asks the database, such as op.get_bind(), or what this machine does not have.
        what = str(error).partition("\n")[0]
        return [Finding(file, "", f"cannot be checked: {what}", "", "", refused=False)]
    found = []
    for told in _run(program, sql):
        rule = str(told.get("rule", ""))
        found.append(
            Finding(
                file,
                rule,
                str(told.get("message", "")).rstrip("."),
                str(told.get("suggestion", "")),
                str(told.get("statement_preview", "")),
                refused=rule != _NOT_READ,
            )
        )
    return found


def _sql(each: Script, folder: Path) -> str:
    """The statements of `upgrade`, as they are sent to Aurora DSQL."""
    output = StringIO()
    context = MigrationContext.configure(
        dialect=DSQLDialect(),
        opts={"as_sql": True, "output_buffer": output, "transactional_ddl": False},
    )
    with explained(folder), Operations.context(context), redirect_stdout(sys.stderr):
        each.module.upgrade()
    return output.getvalue()


def _run(program: Path, sql: str) -> list[dict[str, object]]:
    try:
        result = subprocess.run(  # noqa: S603
            [str(program), "--format", "json", "-"],
            input=sql,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if result.returncode not in _ENDINGS:
            raise CommandError(
                f"{PROGRAM} failed: {result.stderr.strip() or result.returncode}",
                "Install its newest version: pip install --upgrade dsql-lint.",
            )
        told = json.loads(result.stdout)
        return [each for file in told["files"] for each in file["diagnostics"]]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
        raise CommandError(
            f"{PROGRAM} cannot be used: {error}",
            "Install its newest version: pip install --upgrade dsql-lint.",
        ) from None
