"""The connection of a run of migrations: signed in, awake, and the only one that migrates."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from sunup.connecting.credentials import CredentialSource
from sunup.engines import DSQL
from sunup.failures import plain_text
from sunup.local.errors import CommandError
from sunup.local.opening import open_connection
from sunup.settings import Settings

from . import dsql, locking
from .dsql import dialect
from .dsql.holding import holding


@contextmanager
def connected(settings: Settings, credentials: CredentialSource | None) -> Iterator[Connection]:
    """A SQLAlchemy connection, after the database has woken up."""
    # A migration may open another one by itself: op.get_bind().engine.connect().
    first = [open_connection(settings, credentials)]

    def opener() -> psycopg.Connection:
        return first.pop() if first else open_connection(settings, credentials)

    engine = (
        dialect.create_engine(opener)
        if settings.engine is DSQL
        else create_engine("postgresql+psycopg://", creator=opener, poolclass=NullPool)
    )
    try:
        with _explained(settings), engine.connect() as connection:
            yield connection
            connection.rollback()
    finally:
        engine.dispose()


@contextmanager
def locked(
    settings: Settings,
    credentials: CredentialSource | None,
    on_wait: Callable[[], None],
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Connection]:
    """A connection that holds the lock which all runs take; `tell` is told what goes on."""
    if settings.engine is not DSQL:
        with connected(settings, credentials) as connection:
            locking.be_the_only_one(connection, on_wait)
            yield connection
        return
    with (
        _explained(settings),
        holding(settings, credentials, on_wait, tell) as lease,
        connected(settings, credentials) as connection,
    ):
        dialect.dialect_of(connection).lease = lease
        yield connection


@contextmanager
def _explained(settings: Settings) -> Iterator[None]:
    """Tell what went wrong about sunup's and Alembic's own tables: `run` tells of a migration's."""
    try:
        yield
    except (DBAPIError, psycopg.Error) as error:
        original = error.orig if isinstance(error, DBAPIError) else error
        raise CommandError(
            f"{settings.user} cannot migrate {settings.database}: {plain_text(original or error)}",
            dsql.OWNER
            if settings.engine is DSQL
            else "If it lacks privileges, set DB_MIGRATION_USER to the role that owns the tables.",
        ) from error
