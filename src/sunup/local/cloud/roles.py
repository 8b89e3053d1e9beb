"""The app's database and its two roles: one owns the tables, the other may only use them.

Everything can be run again. Written for an admin who is no superuser, as Aurora's is not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import sql

from sunup.connecting.credentials import CredentialSource
from sunup.failures import plain_text
from sunup.local.errors import CommandError
from sunup.local.opening import open_connection
from sunup.settings import Settings

# Kept by the server for sessions that do not set it themselves, such as psql's.
_IDLE_APP = "60s"
_IDLE_MIGRATION = "10min"


def prepare(
    admin: Settings,
    credentials: CredentialSource,
    *,
    database: str,
    migration_user: str,
    app_user: str,
) -> list[str]:
    """Make the database and the roles where they are missing; returns what was made.

    `admin` are the settings of the cluster's admin in its first database. Raises `CommandError`
    and `DatabaseUnavailable`.
    """
    names = {
        "database": sql.Identifier(database),
        "migrate": sql.Identifier(migration_user),
        "app": sql.Identifier(app_user),
    }
    made = []
    with _connected(admin, credentials) as connection:

        def do(statement: str) -> None:
            connection.execute(sql.SQL(statement).format(**names))

        for key, user in (("migrate", migration_user), ("app", app_user)):
            if not _exists(connection, "select 1 from pg_roles where rolname = %s", user):
                do(f"create role {{{key}}} login")
                made.append(f"role {user}")
            do(f"grant rds_iam to {{{key}}}")
        # To make it the owner, and to set its default privileges.
        do("grant {migrate} to current_user")
        if not _exists(connection, "select 1 from pg_database where datname = %s", database):
            do("create database {database} owner {migrate}")
            made.append(f"database {database}")
        do("revoke all on database {database} from public")
        do("grant connect on database {database} to {app}")
        do(f"alter role {{app}} set idle_session_timeout = '{_IDLE_APP}'")
        do(f"alter role {{migrate}} set idle_session_timeout = '{_IDLE_MIGRATION}'")
    with _connected(replace(admin, database=database), credentials) as connection:
        # What migrations make later, and what is there already.
        for kind, rights in (
            ("tables", "select, insert, update, delete"),
            ("sequences", "usage, select"),
        ):
            do(
                f"alter default privileges for role {{migrate}} in schema public "
                f"grant {rights} on {kind} to {{app}}"
            )
        do("set role {migrate}")
        do("grant usage on schema public to {app}")
        for kind, rights in (
            ("tables", "select, insert, update, delete"),
            ("sequences", "usage, select"),
        ):
            do(f"grant {rights} on all {kind} in schema public to {{app}}")
        for table in ("alembic_version", "sunup_migrations"):  # theirs alone who migrate
            if _exists(connection, "select 1 from pg_tables where tablename = %s", table):
                do(f"revoke insert, update, delete on {table} from {{app}}")
        do("reset role")
    return made


@contextmanager
def _connected(
    settings: Settings, credentials: CredentialSource
) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    connection = open_connection(settings, credentials)
    connection.autocommit = True
    try:
        yield connection
    except psycopg.Error as error:
        raise CommandError(
            f"the admin {settings.user} cannot prepare {settings.database}: {plain_text(error)}",
            "Fix that and run the command again: it continues where it stopped.",
        ) from error
    finally:
        connection.close()


def _exists(connection: psycopg.Connection[tuple[Any, ...]], query: str, name: str) -> bool:
    return connection.execute(query.encode(), (name,)).fetchone() is not None
