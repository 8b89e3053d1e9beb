"""sunup's own tables on Aurora DSQL: who migrates, and how far a migration has come."""

import psycopg

from sunup.failures import sqlstate_of

from .conflicts import retried

Connection = psycopg.Connection[tuple[object, ...]]

LOCK, RUNS, PROGRESS = "sunup_lock", "sunup_runs", "sunup_progress"
ALL = (LOCK, RUNS, PROGRESS)

# The lock is one row that is written when it changes hands only: who guards a transaction with it
# meets no conflict with the run's signs of life, which are in another table.
_CREATE = {
    LOCK: "create table if not exists sunup_lock (name text primary key, run text not null)",
    RUNS: """create table if not exists sunup_runs (
        run text primary key,
        who text not null,
        since timestamptz not null default now(),
        renewed_at timestamptz not null default now())""",
    PROGRESS: """create table if not exists sunup_progress (
        revision text not null,
        direction text not null,
        number integer not null,
        sha256 text not null,
        statement text not null,
        state text not null,
        changed_at timestamptz not null default now(),
        primary key (revision, direction, number))""",
}
_THERE = """
    select c.relname from pg_catalog.pg_class c
    where c.relname = %s and c.relkind = 'r' and pg_catalog.pg_table_is_visible(c.oid)
"""
_SCHEMA = """
    select n.nspname from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relname = %s and c.relkind = 'r' and pg_catalog.pg_table_is_visible(c.oid)
"""
# duplicate_table, duplicate_object, unique_violation (of the catalogue): another run was faster.
_MADE_BY_ANOTHER = {"42P07", "42710", "23505"}


def is_there(connection: Connection, table: str) -> bool:
    """Whether a table is found by the session."""
    return retried(lambda: connection.execute(_THERE, (table,)).fetchone()) is not None


def schema_of(connection: Connection) -> str:
    """Where they are: a migration may set search_path, and they are to be found even so."""
    row = retried(lambda: connection.execute(_SCHEMA, (LOCK,)).fetchone())
    assert row is not None
    return str(row[0])


def create(connection: Connection) -> None:
    """Make those that are missing; the connection commits each statement by itself."""
    for table in ALL:
        # `if not exists` asks for the right to create even when there is nothing to create.
        if is_there(connection, table):
            continue
        statement = _CREATE[table]
        try:
            retried(lambda statement=statement: connection.execute(statement))  # type: ignore[misc]
        except psycopg.Error as error:
            if sqlstate_of(error) not in _MADE_BY_ANOTHER:
                raise
