"""Logging in, and what the database says of the role, its rights and the migrations."""

from sqlalchemy.exc import SQLAlchemyError

from sunup.engines import DSQL
from sunup.failures import AccessRefused, DatabaseUnavailable, TokenRefused
from sunup.local.errors import CommandError
from sunup.local.migrations import running
from sunup.local.migrations.folder import has_migrations
from sunup.local.opening import open_connection
from sunup.settings import Settings

from . import dsql_login
from .finding import Connection, Examination, Finding, Findings

# Alembic's and sunup's own tables.
_OURS = ("alembic_version", "sunup_migrations")

_ROLE = """
    select rolcanlogin, exists (
        with recursive held(oid) as (
            select pg_roles.oid union
            select m.roleid from pg_auth_members m join held on m.member = held.oid)
        select from held join pg_roles as r on r.oid = held.oid where r.rolname = 'rds_iam')
    from pg_roles where rolname = %s
"""
_POWERS = """
    select rolsuper, rolcreaterole, rolcreatedb,
        (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where relowner = pg_roles.oid and n.nspname !~ '^(pg_|information_schema)')
    from pg_roles where rolname = current_user
"""
_LOCKED_TABLES = """
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname <> all(%s)
        and not (has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
            and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete'))
    order by 1
"""


def login(examination: Examination) -> Findings:
    """Log in as the app, waiting for a sleeping database; if refused, find out why as the owner."""
    found = examination.settings
    if found is None or not examination.reachable:
        yield Finding("login", "skipped", "the server was not reached")
        return
    if found.uses_token and examination.credentials is None:
        yield Finding("login", "skipped", "no token can be signed")
        return
    if found.engine is DSQL:
        yield from dsql_login.login(examination, found)
        return
    owner = examination.project.migration_settings
    try:
        examination.app = _connected(examination, found)
        yield Finding("login", "ok", f"as {found.user}, with {_means(found)}")
    except DatabaseUnavailable as error:
        if isinstance(error, TokenRefused | AccessRefused) and owner.user != found.user:
            yield _refused(examination, owner)
        elif isinstance(error, TokenRefused):
            yield Finding("login", "failure", error.detail, error.cure)
        else:
            yield Finding("login", "failure", f"{error.message}: {error.detail}", error.cure)
        return
    if owner.user != found.user:
        try:
            examination.owner = _connected(examination, owner)
            yield Finding("login", "ok", f"as {owner.user}, which owns the tables")
        except DatabaseUnavailable as error:
            detail = f"as {owner.user} (for migrations): {error.message}: {error.detail}"
            yield Finding("login", "warning", detail, error.cure)


def _refused(examination: Examination, owner: Settings) -> Finding:
    user = examination.settings.user if examination.settings else ""
    try:
        examination.owner = _connected(examination, owner)
    except DatabaseUnavailable:
        region = examination.settings.region if examination.settings else ""
        key = examination.credentials.access_key if examination.credentials else ""
        return Finding(
            "login",
            "failure",
            f"{user} and {owner.user} are both refused, so the role is not the cause",
            f"Check that the credentials {key} are valid, belong to the cluster's account and "
            f"allow rds-db:connect, that {region} is the cluster's region, and that DB_HOST is "
            "the cluster's own endpoint.",
        )
    row = examination.owner.execute(_ROLE, (user,)).fetchone()
    grant = f"grant rds_iam to {user} (sunup database create does this)"
    examination.role_is_wrong = row is None or not all(row)
    if row is None:
        return Finding(
            "role", "failure", f"the role {user} does not exist", "Create it, then: " + grant
        )
    if not row[0]:
        return Finding("role", "failure", f"{user} may not log in", f"alter role {user} login")
    if not row[1]:
        return Finding("role", "failure", f"{user} lacks rds_iam: its tokens are refused", grant)
    return Finding(
        "login",
        "failure",
        f"{user} is refused but {owner.user} is not, and the role itself is correct",
        f"Allow rds-db:connect as {user} in the IAM policy.",
    )


def role(examination: Examination) -> Findings:
    """Whether the app's role has rds_iam, owns nothing, and may use the tables."""
    found, connection = examination.settings, examination.app
    if found is not None and found.engine is DSQL:
        yield from dsql_login.role(examination)
        return
    if found is None or connection is None:
        if not examination.role_is_wrong:
            yield Finding("role", "skipped", "not logged in")
        return
    if found.uses_token:
        row = connection.execute(_ROLE, (found.user,)).fetchone()
        if row is not None and row[1]:
            yield Finding("role", "ok", f"{found.user} has rds_iam")
    superuser, createrole, createdb, owned = connection.execute(_POWERS).fetchone() or (0, 0, 0, 0)
    powers = [
        word
        for word, has in (
            ("is a superuser", superuser),
            ("can create roles", createrole),
            ("can create databases", createdb),
            (f"owns {owned} tables, indexes or sequences", owned),
        )
        if has
    ]
    cure = "Let the app connect as a role that owns nothing: sunup database create creates one."
    if powers:
        yield Finding("rights", "warning", f"{found.user} {', '.join(powers)}", cure)
    rows = connection.execute(_LOCKED_TABLES, (list(_OURS),)).fetchall()
    locked = [str(each[0]) for each in rows]
    if locked:
        yield Finding(
            "rights",
            "failure",
            f"{found.user} may not read and write {', '.join(locked[:5])}",
            "Run as the owner of the tables: grant select, insert, update, delete on all tables "
            f"in schema public to {found.user}.",
        )
    elif not powers:
        yield Finding("rights", "ok", "can read and write every table, owns none")


def idle_timeout(examination: Examination) -> Findings:
    """Whether the server ends idle sessions: a frozen function cannot."""
    found = examination.settings
    if found is None:
        yield Finding("idle timeout", "skipped", "no settings")
        return
    if found.engine is DSQL:
        detail = "Aurora DSQL's idle sessions cost nothing, and keep nothing awake"
        yield Finding("idle timeout", "skipped", detail)
        return
    seconds = found.idle_session_timeout
    cure = "Unset DB_IDLE_SESSION_TIMEOUT; the default is 60 s."
    if seconds == 0:
        detail = "DB_IDLE_SESSION_TIMEOUT is 0: a frozen function keeps the database awake"
        yield Finding("idle timeout", "failure", detail, cure)
    elif seconds > 300:
        detail = f"{seconds:g} s: the database stays awake that much longer than it needs to"
        yield Finding("idle timeout", "warning", detail, cure)
    else:
        yield Finding("idle timeout", "ok", f"{seconds:g} s")


def migrations(examination: Examination) -> Findings:
    """Whether the database has all migrations, as they are in the files."""
    folder = examination.project.migrations
    if not has_migrations(folder):
        yield Finding("migrations", "skipped", f"there is no {folder.name} folder")
        return
    if examination.app is None and examination.owner is None:
        yield Finding("migrations", "skipped", "not logged in")
        return
    settings = examination.project.migration_settings
    if settings.user != getattr(examination.settings, "user", "") and examination.owner is None:
        settings = examination.project.settings
    try:
        states = running.status(settings, folder, credentials=examination.project.credentials)
    except (CommandError, DatabaseUnavailable, SQLAlchemyError) as error:
        what = error.what if isinstance(error, CommandError) else str(error).splitlines()[0]
        yield Finding("migrations", "failure", what, getattr(error, "cure", ""))
        return
    by_state = {state: [each.file for each in states if each.state == state] for state in _STATES}
    if by_state["changed"]:
        detail = f"{', '.join(by_state['changed'])} was changed after it was applied"
        cure = "Restore the file; see sunup migrate up --help."
        yield Finding("migrations", "failure", detail, cure)
    if by_state["pending"]:
        detail = f"not applied: {', '.join(by_state['pending'])}"
        yield Finding("migrations", "failure", detail, "sunup migrate up")
    half = by_state["begun"] + by_state["undoing"]
    if half:
        detail = f"half applied: {', '.join(half)}"
        yield Finding("migrations", "failure", detail, "sunup migrate up goes on with it")
    if not by_state["changed"] and not by_state["pending"] and not half:
        yield Finding("migrations", "ok", f"all {len(states)} applied")


_STATES = ("applied", "pending", "changed", "begun", "undoing")


def _connected(examination: Examination, settings: Settings) -> Connection:
    connection = open_connection(settings, examination.project.credentials)
    connection.autocommit = True
    examination.stack.callback(connection.close)
    return connection


def _means(settings: Settings) -> str:
    if settings.uses_token:
        return "an IAM token"
    return "a password" if settings.password else "no token and no password"
