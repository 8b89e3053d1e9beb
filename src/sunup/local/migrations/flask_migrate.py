"""Flask-Migrate's env.py: it wants the app's context, and asks Flask-SQLAlchemy for the engine."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from sqlalchemy import Connection

from sunup.adapter.loading import load
from sunup.local.errors import CommandError

from .engines import Engine
from .folder import project_of


@contextmanager
def in_context(folder: Path, connection: Connection) -> Iterator[None]:
    """Run env.py in the context of `[tool.sunup] app`, where it is Flask-Migrate's; else as it is.

    The app's modules have to be importable. Raises `CommandError`, and what importing the app
    raises.
    """
    if "current_app" not in (folder / "env.py").read_text(encoding="utf-8"):
        yield
        return
    name = project_of(folder).app
    app = load(name)
    if not hasattr(app, "app_context") or "migrate" not in getattr(app, "extensions", {}):
        raise CommandError(
            f"{folder.name}/env.py is Flask-Migrate's, and {name} has no Migrate(app, db)",
            "[tool.sunup] app names the Flask app: module:name, or module:create_app().",
        )
    engine = Engine(connection)
    database = type(app.extensions["migrate"].db)
    with ExitStack() as stack:
        stack.enter_context(app.app_context())
        stack.enter_context(patch.object(database, "engine", engine))
        stack.enter_context(patch.object(database, "get_engine", lambda *_: engine, create=True))
        yield
