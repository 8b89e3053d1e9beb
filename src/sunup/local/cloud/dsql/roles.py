"""In an Aurora DSQL cluster: the app's role, the IAM roles that may be it, and its rights.

Everything can be run again, and grants only what is missing: each GRANT is a change of the catalog,
after which the next statement of every other session fails once (OC001; Aurora DSQL User Guide,
"Concurrency control"). Its GRANT knows ON and TO, and nothing says that ALTER DEFAULT PRIVILEGES
works ("Supported SQL"), so what migrations make is granted after them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from sunup.connecting.credentials import CredentialSource
from sunup.failures import plain_text
from sunup.local.errors import CommandError
from sunup.local.migrations.dsql import tables
from sunup.local.migrations.dsql.conflicts import retried
from sunup.local.opening import open_connection
from sunup.settings import Settings

Connection = psycopg.Connection[tuple[Any, ...]]

# Theirs alone who migrate: Alembic's table, and sunup's.
_OF_MIGRATIONS = f"^({'|'.join(('alembic_version', 'sunup_migrations', *tables.ALL))})$"

_MAPPED = "select arn from sys.iam_pg_role_mappings where pg_role_name = %(role)s"
_ROLE = "select rolcanlogin from pg_roles where rolname = %(role)s"

_RIGHTS = {
    "table": "select, insert, update, delete on table",
    "read only": "select on table",
    "sequence": "usage, select on sequence",
}

# Of the schema public: tables and views, and sequences, which a column's default may use.
_LACKED = """
    with object as (
        select c.oid, c.relname::text as name, case
            when c.relkind = 'S' then 'sequence'
            when c.relname ~ %(of_migrations)s then 'read only' else 'table' end as kind
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relkind in ('r', 'p', 'v', 'S'))
    select name, kind from object where not case kind
        when 'sequence' then has_sequence_privilege(%(role)s, oid, 'usage')
        when 'read only' then has_table_privilege(%(role)s, oid, 'select')
        else has_table_privilege(%(role)s, oid, 'select')
            and has_table_privilege(%(role)s, oid, 'insert')
            and has_table_privilege(%(role)s, oid, 'update')
            and has_table_privilege(%(role)s, oid, 'delete') end
    order by 1
"""


@contextmanager
def connected(admin: Settings, credentials: CredentialSource) -> Iterator[Connection]:
    """A connection of the admin. Raises `CommandError` and `DatabaseUnavailable`."""
    connection = open_connection(admin, credentials)
    connection.autocommit = True
    try:
        yield connection
    except psycopg.Error as error:
        raise CommandError(
            f"{admin.user} cannot prepare the database: {plain_text(error)}",
            "Fix that and run the command again: it continues where it stopped.",
        ) from error
    finally:
        connection.close()


def may_log_in(connection: Connection, role: str) -> bool | None:
    """Whether the role may; None where there is none of that name."""
    rows = _execute(connection, sql.SQL(_ROLE), {"role": role})
    return bool(rows[0][0]) if rows else None


def create(connection: Connection, role: str) -> bool:
    """Make the role where it is missing; whether it was, or could not log in."""
    found = may_log_in(connection, role)
    if found:
        return False
    verb = sql.SQL("create" if found is None else "alter")
    _execute(connection, sql.SQL("{} role {} with login").format(verb, sql.Identifier(role)))
    return True


def mapped(connection: Connection, role: str) -> set[str]:
    """The ARNs of the IAM roles and users that may be the role."""
    return {str(row[0]) for row in _execute(connection, sql.SQL(_MAPPED), {"role": role})}


def allow(connection: Connection, role: str, arn: str) -> bool:
    """Let an IAM role be the role; False: it may already.

    `AWS IAM GRANT` (User Guide, "Using database roles and IAM authentication"). The IAM role has to
    exist (the same, "Troubleshooting": "IAM role ... does not exist").
    """
    if arn in mapped(connection, role):
        return False
    statement = sql.SQL("AWS IAM GRANT {} TO {}").format(sql.Identifier(role), sql.Literal(arn))
    _execute(connection, statement)
    return True


def lacked(connection: Connection, role: str) -> dict[str, str]:
    """What in public the role has not its rights to: names, and of which kind each is."""
    values = {"role": role, "of_migrations": _OF_MIGRATIONS}
    rows = _execute(connection, sql.SQL(_LACKED), values)
    return {str(name): str(kind) for name, kind in rows}


def grant(connection: Connection, role: str) -> list[str]:
    """Let the role read and write rows, and nothing else; the names of what was missing."""
    found = lacked(connection, role)
    for kind, rights in _RIGHTS.items():
        names = [sql.Identifier("public", each) for each in found if found[each] == kind]
        if names:
            objects, user = sql.SQL(", ").join(names), sql.Identifier(role)
            start = sql.SQL("grant {} {} to {}")
            _execute(connection, start.format(sql.SQL(rights), objects, user))
    return list(found)


def _execute(
    connection: Connection, statement: sql.Composable, values: dict[str, str] | None = None
) -> list[tuple[Any, ...]]:
    """The rows of a statement; again while it loses to others: it has changed nothing then.

    Reading, too, fails once after a change of the catalog.
    """
    text = statement.as_string(connection).encode()

    def once() -> list[tuple[Any, ...]]:
        cursor = connection.execute(text, values)
        return cursor.fetchall() if cursor.description else []

    return retried(once)
