"""Runs Python in a Django project, as the role that owns the tables."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping

from sunup.local import bytecode
from sunup.local.errors import CommandError
from sunup.local.project import MIGRATION_PASSWORD, MIGRATION_USER, Project
from sunup.nearby import leading_to


def manage(project: Project, *arguments: str) -> str:
    """Run a command of manage.py; what it printed. Raises `CommandError`."""
    return run(project, "manage.py", *arguments, "--no-color")


def run(project: Project, *arguments: str) -> str:
    """Run Python with these arguments; what it printed. Raises `CommandError`."""
    bytecode.forget(project.django_migrations())
    result = subprocess.run(  # noqa: S603
        [sys.executable, *arguments],
        cwd=project.folder,
        env=_environment(project.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        command = arguments[1] if arguments[0] == "manage.py" else "check"
        reason = _reason(result.stderr) or f"exit status {result.returncode}"
        raise CommandError(
            f"manage.py {command}: {reason}", f"Run python manage.py {command} to see where."
        )
    return result.stdout


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The app's, with the owner's role in place of its own."""
    found = leading_to(environ, os.environ)
    owner = found.get(MIGRATION_USER)
    if owner:
        found["DB_USER"] = owner
        password = found.get(MIGRATION_PASSWORD)
        found.pop("DB_PASSWORD", None)
        found.update({"DB_PASSWORD": password} if password else {})
    return found


def _reason(errors: str) -> str:
    """The exception that a traceback ends with, which may have several lines, on one."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    begins = [
        number
        for number, line in enumerate(lines)
        if re.match(r"[\w.]*(Error|Exception|Configured|Warning|Exit|\.[A-Z]\w+): ", line)
    ]
    return " ".join(lines[begins[-1] :] if begins else lines[-1:])
