"""Apps whose requests go well, fail, hang, or are cancelled: the same works on each way to a database.

A request's path names its work; its query is its row, and a number of seconds to play with. A work
returns a status and a text. `of` makes the app of a kind, ready for `Handler`.
"""

import importlib
from typing import Any, Literal

Kind = Literal["asyncpg", "psycopg", "threads", "sqlalchemy", "django"]
KINDS: tuple[Kind, ...] = ("asyncpg", "psycopg", "threads", "sqlalchemy", "django")


def imported(kind: Kind) -> Any:
    """The module of a kind."""
    return importlib.import_module(f"{__name__}.{kind}_app")


def of(kind: Kind) -> tuple[Any, Any]:
    """The app, and the `Database` for the handler."""
    made: tuple[Any, Any] = imported(kind).make()
    return made
