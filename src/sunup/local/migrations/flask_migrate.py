"""Flask-Migrate's env.py: it wants the app's context, and asks Flask-SQLAlchemy for the engine."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from sqlalchemy import Connection

from sunup.adapter.loading import load
from sunup.local import project
from sunup.local.errors import CommandError

from .engines import Engine


@contextmanager
def in_context(folder: Path, connection: Connection) -> Iterator[None]:
    """Run env.py in the context of `[tool.sunup] app`, where it is Flask-Migrate's; else as it is.

    The app's modules have to be importable. Raises `CommandError`, and what importing the app
    raises.
    """
    if "current_app" not in (folder / "env.py").read_text(encoding="utf-8"):
        yield
        return
    found = project.find(_root(folder))
    app = load(found.app)
    if not hasattr(app, "app_context") or "migrate" not in getattr(app, "extensions", {}):
        raise CommandError(
            f"{folder.name}/env.py is Flask-Migrate's, and {found.app} has no Migrate(app, db)",
            "[tool.sunup] app names the Flask app: module:name, or module:create_app().",
        )
    engine = Engine(connection)
    database = type(app.extensions["migrate"].db)
    with ExitStack() as stack:
        stack.enter_context(app.app_context())
        stack.enter_context(patch.object(database, "engine", engine))
        stack.enter_context(patch.object(database, "get_engine", lambda *_: engine, create=True))
        yield


def _root(folder: Path) -> Path:
    """The project's folder: the nearest above with a pyproject.toml."""
    for each in folder.resolve().parents:
        if (each / "pyproject.toml").is_file():
            return each
    return folder.parent
