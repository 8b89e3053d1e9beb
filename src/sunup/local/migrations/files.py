"""Remembers the file of each applied migration, so that a later edit of it is noticed.

Alembic knows revisions by name only: an edited file would never be applied again, and databases
would differ without anybody noticing. The table `sunup_migrations` lies beside `alembic_version`.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from sunup.local.errors import CommandError

TABLE = "sunup_migrations"

# Who else may write these tables, where they are this role's to grant. The last three: on DSQL.
_WRITERS = """
    select n.nspname as schema, c.relname as name, pg_get_userbyid(nullif(a.grantee, 0)) as grantee,
           string_agg(a.privilege_type, ', ') as rights
    from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a
    where c.oid in (to_regclass(:versions), to_regclass('sunup_migrations'),
                    to_regclass('sunup_lock'), to_regclass('sunup_runs'),
                    to_regclass('sunup_progress'))
      and c.relowner = current_user::regrole and a.grantee <> c.relowner
      and a.privilege_type <> 'SELECT'
    group by 1, 2, 3
"""
_EXISTS = """
    select 1 from pg_catalog.pg_class
    where relname = 'sunup_migrations' and pg_catalog.pg_table_is_visible(oid)
"""
_CREATE = """
    create table if not exists sunup_migrations (
        revision text primary key,
        sha256 text not null,
        applied_at timestamptz not null default now())
"""
_REMEMBER = """
    insert into sunup_migrations (revision, sha256) values (:revision, :sha256)
    on conflict (revision) do update set sha256 = excluded.sha256
"""


def create_table(connection: Connection) -> None:
    """Make the table where it is missing."""
    # `if not exists` asks for the right to create even when there is nothing to create.
    if not _exists(connection):
        connection.execute(text(_CREATE))


def checksum(path: Path) -> str:
    """SHA-256 of a file, whatever its line endings."""
    content = path.read_bytes().replace(b"\r\n", b"\n")
    return hashlib.sha256(content).hexdigest()


def remember(connection: Connection, script: ScriptDirectory, revision: str) -> None:
    """Note an applied migration's file as it is now."""
    values = {"revision": revision, "sha256": _checksum_of(script, revision)}
    connection.execute(text(_REMEMBER), values)


def forget(connection: Connection, revision: str) -> None:
    """Note that a migration was undone."""
    connection.execute(text("delete from sunup_migrations where revision = :r"), {"r": revision})


def adopt(connection: Connection, script: ScriptDirectory, applied: Iterable[str]) -> None:
    """Remember what was applied by Alembic alone, as it is now."""
    for revision in set(applied) - known(connection).keys():
        remember(connection, script, revision)


def accept(connection: Connection, script: ScriptDirectory, revisions: Iterable[str]) -> None:
    """Take changed files as they are now. Raises `CommandError` for one that is not applied."""
    there = known(connection)
    for revision in revisions:
        if revision not in there:
            raise CommandError(
                f"--accept {revision}: there is no applied migration of this revision",
                f"Applied: {', '.join(sorted(there)) or 'none'}.",
            )
        remember(connection, script, revision)


def changed(connection: Connection, script: ScriptDirectory) -> list[str]:
    """The applied revisions whose files are no longer what they were."""
    files = {each.revision for each in script.walk_revisions()}
    return sorted(
        revision
        for revision, sha256 in known(connection).items()
        if revision in files and sha256 != _checksum_of(script, revision)
    )


def protect(connection: Connection, table: str, schema: str | None) -> None:
    """Let the owner alone write what says which migrations are applied; `table` is Alembic's.

    The app's role has rights on all tables by default, and could make migrations be skipped.
    """
    connection.rollback()
    quote = connection.dialect.identifier_preparer.quote
    versions = ".".join(quote(each) for each in (schema, table) if each)
    for row in connection.execute(text(_WRITERS), {"versions": versions}).all():
        grantee = quote(row.grantee) if row.grantee is not None else "public"
        table = f"{quote(row.schema)}.{quote(row.name)}"
        connection.execute(text(f"revoke {row.rights} on {table} from {grantee}"))
    connection.commit()


def _exists(connection: Connection) -> bool:
    return connection.scalar(text(_EXISTS)) is not None


def known(connection: Connection) -> dict[str, str]:
    """The checksum of each applied migration's file, by revision."""
    if not _exists(connection):
        return {}
    rows = connection.execute(text("select revision, sha256 from sunup_migrations"))
    return {row.revision: row.sha256 for row in rows}


def _checksum_of(script: ScriptDirectory, revision: str) -> str:
    found = script.get_revision(revision)
    assert found is not None
    return checksum(Path(found.path))
