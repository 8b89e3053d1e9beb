"""Applies an app's Alembic migrations over a connection that sunup opened: signed in and awake."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError as AlembicError
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from sunup.credentials import CredentialSource
from sunup.psycopg_pool import Pool
from sunup.settings import Settings

from .errors import CommandError

# One number for all apps: PostgreSQL keeps advisory locks apart by database. "sunup" in ASCII.
_LOCK = int.from_bytes(b"sunup", "big")


def upgrade(settings: Settings, folder: Path) -> list[str]:
    """Apply what is missing, and return the revisions that were applied, oldest first.

    Under an advisory lock, so that two at once do not apply twice. Raises `CommandError` and
    `DatabaseUnavailable`.
    """
    pool = Pool(settings, CredentialSource())
    engine = create_engine("postgresql+psycopg://", creator=pool.acquire, poolclass=NullPool)
    config = Config(attributes={})
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    try:
        with engine.connect() as connection:
            connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": _LOCK})
            connection.commit()
            before = set(MigrationContext.configure(connection).get_current_heads())
            connection.commit()
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
                connection.commit()
            finally:
                connection.rollback()
                connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": _LOCK})
                connection.commit()
    except AlembicError as error:
        raise CommandError(
            f"the migrations in {folder} cannot be applied: {error}",
            "Is the database another app's, or is a file of versions/ gone?",
        ) from None
    finally:
        engine.dispose()
    script = ScriptDirectory.from_config(config)
    known = [each.revision for each in script.walk_revisions()]
    earlier = {each.revision for head in before for each in script.iterate_revisions(head, "base")}
    return [revision for revision in reversed(known) if revision not in earlier]
