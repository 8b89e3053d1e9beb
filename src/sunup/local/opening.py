"""A connection for a command: signed in as the app is, however long the database takes to wake."""

from dataclasses import replace

from sunup import deadline
from sunup.connecting.credentials import CredentialSource
from sunup.psycopg.connection import Connection
from sunup.psycopg.pool import Pool
from sunup.settings import Settings

# Seconds. A database that was paused for more than a day takes 30 s and more; a person can wait.
LONGEST_WAKE = 180.0


def open_connection(settings: Settings, credentials: CredentialSource | None = None) -> Connection:
    """A connection that the caller owns and closes. Raises `DatabaseUnavailable`."""
    pool = Pool(replace(settings, pool_size=1), credentials or CredentialSource())
    with deadline.within(LONGEST_WAKE):
        return pool.acquire()


def waking(user: str) -> str:
    """What is shown while a database may be asleep."""
    return f"Connecting as {user} (a sleeping database takes 15 to 40 s)"
