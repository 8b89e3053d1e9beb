"""The folder of an app's migrations as Alembic sees it; what is wrong with it in plain words."""

import os
import re
import threading
import traceback
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError as AlembicError

from sunup.local import bytecode, project
from sunup.local.errors import CommandError

from .importing import importable

_REVISION = re.compile(r"""^revision\s*(?::[^=\n]*)?=\s*["']([^"']+)["']""", re.MULTILINE)


def has_migrations(folder: Path) -> bool:
    """Whether the folder is one of Alembic's."""
    return (folder / "env.py").is_file()


def open_folder(folder: Path, versions: Path | None = None) -> tuple[Config, ScriptDirectory]:
    """Its configuration and its files, or those in `versions`. Raises `CommandError`."""
    if not has_migrations(folder):
        raise CommandError(
            f"there are no migrations in {folder} (no env.py)",
            f"Run `alembic init {folder.name}` to create the folder; its env.py works unchanged.",
        )
    config = configuration(folder)
    if config.get_main_option("databases"):
        raise CommandError(
            f"{folder.name}/env.py is for several databases (alembic init -t multidb)",
            "sunup migrates one: take the env.py of a plain `alembic init`, and its alembic.ini.",
        )
    if versions is None:
        _check_numbers(folder)
    else:
        config.set_main_option("version_locations", str(versions).replace("%", "%%"))
    with explained(folder):
        script = ScriptDirectory.from_config(config)
        try:
            with bytecode.ignored(map(Path, script.version_locations)):
                script.get_heads()
        except (CommandError, AlembicError, RevisionError, SyntaxError):
            raise
        except KeyError as error:
            # Alembic's map of revisions: a down_revision that no file has.
            raise CommandError(
                f"a migration in {folder} follows the revision {error}, which has no file",
                "Set its down_revision to a revision that exists.",
            ) from None
        except Exception as error:
            raise CommandError(
                f"{_raising(error, folder)}: {type(error).__name__}: {error}"
            ) from None
    return config, script


def _raising(error: BaseException, folder: Path) -> str:
    """The migration's file, and the line in it, that an error came from."""
    files = [
        f"{Path(frame.filename).name}, line {frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(folder.resolve())
    ]
    return files[-1] if files else str(folder)


def one_head(script: ScriptDirectory) -> None:
    """Raise `CommandError` where two migrations are the last: they were written side by side."""
    heads = sorted(script.get_heads())
    if len(heads) > 1:
        names = " and ".join(file_of(script, head) for head in heads)
        raise CommandError(
            f"the migrations have {len(heads)} heads: {names}", "Join them: sunup migrate merge."
        )


def file_of(script: ScriptDirectory, revision: str) -> str:
    """The name of a revision's file."""
    found = script.get_revision(revision)
    assert found is not None
    return Path(found.path).name


def _check_numbers(folder: Path) -> None:
    """Alembic takes one of two files with the same revision, and only warns."""
    seen: dict[str, str] = {}
    for path in sorted((folder / "versions").glob("*.py")):
        found = _REVISION.search(path.read_text(encoding="utf-8", errors="replace"))
        if found is None:
            continue
        if found[1] in seen:
            raise CommandError(
                f"{seen[found[1]]} and {path.name} are both revision {found[1]}",
                "Give one of them the next number, and the other's revision as its down_revision.",
            )
        seen[found[1]] = path.name


def configuration(folder: Path) -> Config:
    """Alembic's configuration, with the app's alembic.ini or `[tool.alembic]` where it has one."""
    ini, toml = _file(folder, "alembic.ini"), _file(folder, "pyproject.toml")
    config = Config(
        str(ini) if ini else None,
        toml_file=str(toml) if toml else None,
        attributes={},
        cmd_opts=Namespace(quiet=True),
    )
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    # What Alembic's own env.py makes statements for, where it makes no connection.
    config.set_main_option("sqlalchemy.url", "postgresql+psycopg://")
    return config


def _sources(folder: Path) -> list[Path]:
    """Where env.py finds the app's modules: beside it, where alembic.ini is, and in `src`."""
    ini = _file(folder, "alembic.ini") or _file(folder, "pyproject.toml")
    roots = {folder.resolve().parent, *([ini.parent] if ini else [])}
    return sorted({*roots, *(each / "src" for each in roots if (each / "src").is_dir())})


@contextmanager
def _variables(more: dict[str, str]) -> Iterator[None]:
    """Set these for the block, and undo after it what it has set, too.

    The others are not touched: a library in C may be reading them in a thread (getenv(3)).
    """
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


def _settings(folder: Path) -> dict[str, str]:
    """What `.env` has for the app's modules, which env.py imports; not where the database is."""
    return {
        name: value
        for name, value in project_of(folder).dotenv.items()
        if name not in os.environ and not name.startswith("DB_")
    }


def project_of(folder: Path) -> project.Project:
    """The project whose migrations these are. Raises `CommandError`."""
    found = _file(folder, "pyproject.toml") or _file(folder, "alembic.ini")
    return project.find(found.parent if found else folder.resolve().parent)


def _file(folder: Path, name: str) -> Path | None:
    """The file in a folder above: not above the project, which has a pyproject.toml or is git's."""
    for each in folder.resolve().parents[:3]:
        if (each / name).is_file():
            return each / name
        if (each / "pyproject.toml").is_file() or (each / ".git").exists():
            return None
    return None


# Alembic's `op` and `context`, the modules and the variables of an app are a process's, not a
# thread's: a statement would go to the other thread's database.
_one_at_a_time = threading.RLock()
# Seconds; a migration may build an index for minutes.
_PATIENCE = 600.0


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Run the app's migrations, which may import its modules. Raises `CommandError`.

    One thread of a process at a time. A database's own lock is taken before
    (`sessions.locked`), never in here; what an app's code waits for is its own.
    """
    if not _one_at_a_time.acquire(timeout=_PATIENCE):
        raise CommandError(
            f"another thread of this process has been migrating for {_PATIENCE:.0f} s",
            "It may wait for a transaction that this one has left open.",
        )
    try:
        with ExitStack() as stack:
            stack.callback(_one_at_a_time.release)
            for each in _sources(folder):
                stack.enter_context(importable(each))
            stack.enter_context(bytecode.ignored([folder]))
            stack.enter_context(_variables(_settings(folder)))
            yield
    except (AlembicError, RevisionError) as error:
        if "Ambiguous walk" in str(error):
            raise CommandError(
                "there are two ways back from here: the last migration is a merge",
                "Name the revision to go back to: sunup migrate down --to 0001",
            ) from None
        steps = re.search(r"Relative revision (\S+) didn't produce", str(error))
        if steps:
            raise CommandError(
                f"there are fewer than {steps[1][1:]} migrations in that direction",
                "See sunup migrate status.",
            ) from None
        raise CommandError(
            f"the migrations in {folder} cannot be applied: {error}",
            "Check that this is the app's database, and that no file is missing from versions/.",
        ) from None
    except SyntaxError as error:
        raise CommandError(f"{error.filename}, line {error.lineno}: {error.msg}") from None
