"""What env.py gets where it would make an engine of its own, without a token or patience.

The templates of Alembic make one from `sqlalchemy.url`. While env.py runs, what they call hands out
the connection that sunup has opened.
"""

import logging.config
from collections.abc import Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar
from unittest.mock import patch

from sqlalchemy import Connection, make_url

Result = TypeVar("Result")


@contextmanager
def handed_out(connection: Connection) -> Iterator[None]:
    """Let what env.py calls to make an engine give `connection`, and leave logging as it is."""
    with ExitStack() as stack:
        stack.enter_context(
            patch("sqlalchemy.engine_from_config", lambda *_, **__: Engine(connection))
        )
        # Of alembic.ini: it would silence every logger of this process.
        stack.enter_context(patch.object(logging.config, "fileConfig", lambda *_, **__: None))
        with suppress(ImportError):  # of greenlet: then env.py cannot import it either
            from sqlalchemy.ext import asyncio

            given = _AsyncEngine(connection)
            for name, made in (
                ("async_engine_from_config", lambda *_, **__: given),
                ("AsyncEngine", _wrapper(asyncio.AsyncEngine, given)),
            ):
                stack.enter_context(patch.object(asyncio, name, made))
        yield


def _wrapper(real: type[Any], given: "_AsyncEngine") -> type[Any]:
    """Until Alembic 1.8 its template had AsyncEngine(engine_from_config(...))."""

    class Wrapper(real):  # type: ignore[misc]
        def __new__(cls, sync_engine: Any) -> Any:
            return given if isinstance(sync_engine, Engine) else real(sync_engine)

    return Wrapper


class Engine:
    """The part of an Engine that the templates of Alembic and Flask-Migrate use."""

    url = make_url("postgresql+psycopg://")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """The open connection, which stays open."""
        yield self._connection

    begin = connect

    def dispose(self) -> None:
        """The connection is not its own."""


class _AsyncEngine:
    """The same of an AsyncEngine."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def connect(self) -> Any:
        yield self

    begin = connect

    async def run_sync(self, function: Callable[..., Result], *args: Any, **options: Any) -> Result:
        return function(self._connection, *args, **options)

    async def dispose(self) -> None:
        """The connection is not its own."""
