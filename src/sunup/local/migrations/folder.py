"""The folder of an app's migrations as Alembic sees it; what is wrong with it in plain words."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError as AlembicError

from sunup.local.errors import CommandError

from .importing import importable


def has_migrations(folder: Path) -> bool:
    """Whether the folder is one of Alembic's."""
    return (folder / "env.py").is_file()


def open_folder(folder: Path) -> tuple[Config, ScriptDirectory]:
    """Its configuration and its files. Raises `CommandError`."""
    if not has_migrations(folder):
        raise CommandError(
            f"there are no migrations in {folder} (no env.py)",
            "Name the app's folder; `sunup new` makes a project that has them.",
        )
    config = configuration(folder)
    with explained(folder):
        script = ScriptDirectory.from_config(config)
        script.get_heads()
    return config, script


def configuration(folder: Path) -> Config:
    """Alembic's configuration without an alembic.ini."""
    config = Config(attributes={}, cmd_opts=Namespace(quiet=True))
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Run the app's migrations, which may import its modules. Raises `CommandError`."""
    try:
        with importable(folder.parent):
            yield
    except (AlembicError, RevisionError) as error:
        raise CommandError(
            f"the migrations in {folder} cannot be applied: {error}",
            "Is the database another app's, or is a file of versions/ gone?",
        ) from None
    except SyntaxError as error:
        raise CommandError(f"{error.filename}, line {error.lineno}: {error.msg}") from None
