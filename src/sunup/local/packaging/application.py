"""The app's own files, as they go into the package."""

import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pathspec import GitIgnoreSpec

from sunup.local.errors import CommandError
from sunup.local.layout import SRC
from sunup.local.project import Project

from . import known, secrets

# In the syntax of .gitignore. `[tool.sunup] exclude` adds to them; a pattern with ! takes one back.
NOT_THE_APP = (
    "/.*",
    "!/.well-known/",
    ".git/",
    ".DS_Store",
    "__pycache__/",
    "*.py[co]",
    "tests/",
    "test_*.py",
    "conftest.py",
    "*.tf",
    "*.tfvars",
    "*.tfstate*",
    "/pyproject.toml",
    "/requirements*.txt",
    "/*.lock",
    "/pylock*.toml",
    "/alembic.ini",
    "/manage.py",
    "/Makefile",
    "/*.zip",
    "/*.zip.*",
)

# What tools make, unless git tracks it: then it is the app's, such as a frontend.
MADE = ("/venv/", "/env/", "/node_modules/", "/build/", "/dist/", "*.egg-info/")


# The names of the migrations that the code knows.
MIGRATIONS = ".sunup-migrations"


@dataclass(frozen=True)
class Copied:
    """The names in the package of what was copied; `notes` tell of what looks like a secret."""

    names: set[str]
    notes: list[str] = field(default_factory=list)


def copy(project: Project, target: Path, output: Path | None = None) -> Copied:
    """Copy what git knows of the app's folder, less what is not the app and what is secret.

    Without git all files but those that .gitignore names. `[tool.sunup] include` adds to either.
    `output` is where the package will be, which is not part of it. Raises `CommandError` for what
    cannot be read, and for two files of one name.
    """
    source = project.folder
    include = known.spec(project.texts("include"), "[tool.sunup] include")
    own = known.spec([*NOT_THE_APP, *_folders(project)], "[tool.sunup]")
    exclude = known.spec(project.texts("exclude"), "[tool.sunup] exclude")
    made, tracked = GitIgnoreSpec.from_lines(MADE), known.tracked(source)

    def is_out(path: Path) -> bool:
        name = path.as_posix()
        said = exclude.check_file(name).include
        if said is not None:
            return said
        return own.match_file(name) or (made.match_file(name) and path not in tracked)

    wanted = {path for path in known.files(source) if not is_out(path)}
    if output is not None:
        wanted -= {path for path in wanted if _is_output(source / path, output.resolve())}
    found = secrets.looked_for(source, wanted)
    wanted -= set(found.left_out)
    if project.texts("include"):
        wanted |= {p for p in known.walked(source) if include.match_file(p.as_posix())}
    roots = _roots(project)
    names: dict[str, Path] = {}
    for path in sorted(wanted):
        names[_free(names, _name(path, roots), path)] = path
    for name, path in names.items():
        _copy(source / path, target / name)
    _tell_migrations(project, target)
    left = [each for each in found.left_out if each not in wanted]
    return Copied(set(names), found.notes(left))


def _tell_migrations(project: Project, target: Path) -> None:
    """Code that knows other migrations is another release, also where nothing else differs."""
    names = sorted(path.name for path in (project.migrations / "versions").glob("*.py"))
    if names:
        (target / MIGRATIONS).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _is_output(path: Path, output: Path) -> bool:
    """The last package, or what a run that was killed has left of one."""
    part = path.name.startswith(f".{output.name}.") and path.suffix == ".part"
    return path.parent == output.parent and (path.name == output.name or part)


def _folders(project: Project) -> list[str]:
    """The folders of the migrations and of Terraform, as patterns."""
    named = (project.migrations, project.terraform)
    folders = (os.path.relpath(each, project.folder) for each in named)
    return [f"/{each}/" for each in folders if not each.startswith("..") and each != "."]


def _free(names: Mapping[str, Path], name: str, path: Path) -> str:
    """The name in the package. Raises `CommandError` where another file is called so."""
    for each in (name, *(parent.as_posix() for parent in Path(name).parents)):
        if each in names:
            raise CommandError(
                f"{names[each]} and {path} would both be {each} in the package",
                "Rename one, or leave it out: [tool.sunup] exclude = [...].",
            )
    return name


def _copy(source: Path, destination: Path) -> None:
    if source.is_dir():
        raise CommandError(
            f"{source} is a git submodule that is not checked out",
            "Run git submodule update --init.",
        )
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
    return (SRC,) if project.code == project.folder / SRC else ()


def _name(path: Path, roots: tuple[str, ...]) -> str:
    if path.parts[0] in roots:
        path = path.relative_to(path.parts[0])
    try:
        # As a zip file has names, whatever this machine's locale.
        return os.fsencode(path.as_posix()).decode("utf-8")
    except UnicodeDecodeError:
        raise CommandError(
            f"the name of {os.fsencode(path)!r} is not UTF-8", "Rename the file, or leave it out."
        ) from None
