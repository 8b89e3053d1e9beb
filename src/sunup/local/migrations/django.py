"""Django's migrations: by the project's own manage.py, as the role that owns the tables."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from sunup.local.errors import CommandError
from sunup.local.project import MIGRATION_PASSWORD, MIGRATION_USER, Project

_APPLIED = re.compile(r"^\s*Applying (\S+)\.\.\. ", re.MULTILINE)
_PENDING = re.compile(r"^\[ \]\s+(\S+)", re.MULTILINE)


def has_django(folder: Path) -> bool:
    """Whether the folder is a Django project's."""
    path = folder / "manage.py"
    return path.is_file() and b"django" in path.read_bytes()


def upgrade(project: Project, tell: Callable[[str], None] = lambda _: None) -> list[str]:
    """`manage.py migrate`; the migrations that it applied. Raises `CommandError`."""
    tell("manage.py migrate")
    return _APPLIED.findall(_manage(project, "migrate", "--noinput"))


def pending(project: Project) -> list[str]:
    """Those that are not applied, in their order. Raises `CommandError`."""
    return _PENDING.findall(_manage(project, "showmigrations", "--plan"))


def _manage(project: Project, *arguments: str) -> str:
    result = subprocess.run(  # noqa: S603
        [sys.executable, "manage.py", *arguments, "--no-color"],
        cwd=project.folder,
        env=_environment(project.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
        reason = lines[-1] if lines else f"exit status {result.returncode}"
        raise CommandError(
            f"manage.py {arguments[0]}: {reason}",
            f"python manage.py {arguments[0]} shows where.",
        )
    return result.stdout


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The app's, with the owner's role in place of its own."""
    found = {**os.environ, **environ}
    owner = found.get(MIGRATION_USER)
    if owner:
        found["DB_USER"] = owner
        password = found.get(MIGRATION_PASSWORD)
        found.pop("DB_PASSWORD", None)
        found.update({"DB_PASSWORD": password} if password else {})
    return found
