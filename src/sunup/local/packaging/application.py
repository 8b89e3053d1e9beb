"""The app's own files, as they go into the package."""

import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path

from pathspec import GitIgnoreSpec

from sunup.local.errors import CommandError
from sunup.local.project import Project

from . import known, secrets

# In the syntax of .gitignore. `[tool.sunup] exclude` adds to them; a pattern with ! takes one back.
NOT_THE_APP = (
    "/.*",
    ".git/",
    ".DS_Store",
    "__pycache__/",
    "*.py[co]",
    "tests/",
    "test_*.py",
    "conftest.py",
    "/terraform/",
    "*.tf",
    "*.tfvars",
    "*.tfstate*",
    "/pyproject.toml",
    "/requirements*.txt",
    "/*.lock",
    "/pylock*.toml",
    "/Makefile",
    "/*.zip",
    "/venv/",
    "/env/",
    "/node_modules/",
    "/build/",
    "/dist/",
    "*.egg-info/",
)


# The names of the migrations that the code knows.
MIGRATIONS = ".sunup-migrations"


@dataclass(frozen=True)
class Copied:
    """The names in the package of what was copied; `notes` tell of what looks like a secret."""

    names: set[str]
    notes: list[str] = field(default_factory=list)


def copy(project: Project, target: Path) -> Copied:
    """Copy what git knows of the app's folder, less what is not the app and what is secret.

    Without git all files but those that .gitignore names. `[tool.sunup] include` adds to either.
    Raises `CommandError` for what cannot be read, and for two files of one name.
    """
    source = project.folder
    include = GitIgnoreSpec.from_lines(project.texts("include"))
    migrations = project.text("migrations") or "migrations"
    patterns = [*NOT_THE_APP, f"/{migrations}/", *project.texts("exclude")]
    exclude = GitIgnoreSpec.from_lines(patterns)
    wanted = {path for path in known.files(source) if not exclude.match_file(path.as_posix())}
    found = secrets.looked_for(source, wanted)
    wanted -= set(found.left_out)
    if project.texts("include"):
        wanted |= {p for p in known.walked(source) if include.match_file(p.as_posix())}
    roots = _roots(project)
    names: dict[str, Path] = {}
    for path in sorted(wanted):
        name = _name(path, roots)
        if name in names:
            raise CommandError(
                f"{names[name]} and {path} would both be {name} in the package",
                "Rename one, or leave it out: [tool.sunup] exclude = [...].",
            )
        names[name] = path
        _copy(source / path, target / name)
    _tell_migrations(project, target)
    left = [each for each in found.left_out if each not in wanted]
    return Copied(set(names), found.notes(left))


def _tell_migrations(project: Project, target: Path) -> None:
    """Code that knows other migrations is another release, also where nothing else differs."""
    names = sorted(path.name for path in (project.migrations / "versions").glob("*.py"))
    if names:
        (target / MIGRATIONS).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _copy(source: Path, destination: Path) -> None:
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, destination)
        # Whether somebody may execute it, and nothing else of its mode.
        mode = 0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644
        destination.chmod(mode)
    except OSError as error:
        raise CommandError(f"{source} cannot be read: {error.strerror or error}") from None


def _roots(project: Project) -> tuple[str, ...]:
    """The folders whose content lies at the top of the package: `src`, where it is one of code."""
    return ("src",) if project.code == project.folder / "src" else ()


def _name(path: Path, roots: tuple[str, ...]) -> str:
    if path.parts[0] in roots:
        path = path.relative_to(path.parts[0])
    return path.as_posix()
