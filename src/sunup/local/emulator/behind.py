"""The real PostgreSQL behind the emulated database: its roles, and the app's tables."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import psycopg

from sunup.connecting.credentials import CredentialSource
from sunup.local.errors import CommandError
from sunup.local.migrations import django
from sunup.local.migrations import running as migrations
from sunup.local.migrations.folder import has_migrations
from sunup.local.project import Project
from sunup.settings import Settings

from .dsql import preparing
from .options import EmulatorOptions

# The role of the app: it owns nothing, and logs in with a token.
APP_ROLE = "app"

# Where a role may be given a setting (GRANT SET ON PARAMETER).
_OLDEST_FOR_DSQL = 150_000

_ROLES = f"""
do $$ begin create role {APP_ROLE} login; exception when duplicate_object then null; end $$;
do $$ begin create role rds_iam nologin; exception when duplicate_object then null; end $$;
grant rds_iam to {APP_ROLE};
alter default privileges grant select, insert, update, delete on tables to {APP_ROLE};
alter default privileges grant usage on sequences to {APP_ROLE};
"""

# PostgreSQL sees a Unix socket where the client has TLS. The details are a session's own: only a
# superuser could see others'.
_TLS_VIEW = """
set allow_system_table_mods = on;
create or replace view pg_catalog.pg_stat_ssl as
select pid, true as ssl, nullif(split_part(tls, ' ', 1), '') as version,
       nullif(split_part(tls, ' ', 2), '') as cipher,
       nullif(split_part(tls, ' ', 3), '')::int as bits,
       null::text as client_dn, null::numeric as client_serial, null::text as issuer_dn
from pg_stat_get_activity(null) as a,
     lateral (select case when a.pid = pg_backend_pid()
                          then current_setting('sunup.tls', true) end as tls) as own
where a.client_port is not null;
reset allow_system_table_mods;
"""


class Behind:
    """`variables` are the `DB_*` of its owner. Blocks the calling thread."""

    def __init__(self, variables: Mapping[str, str], options: EmulatorOptions) -> None:
        self._variables = dict(variables)
        self._options = options
        self._is_dsql = options.engine == "dsql"

    def prepare(self, folder: Path, manage: Project | None) -> list[str]:
        """Make the app's role, apply the migrations (Alembic's, else Django's) as the owner.

        Returns what was applied.
        """
        settings = Settings.from_environment(self._variables)
        self._let_in(settings.database)
        if has_migrations(folder):
            return [] if self._is_dsql else migrations.upgrade(settings, folder)
        if manage is None:
            return []
        # On DSQL, too: it would refuse much of Django's own (docs/django.md).
        there = replace(manage, environ=self._variables)
        return django.upgrade(there, on_made=self._let_in)

    def migrate_dsql(self, folder: Path, admin: Mapping[str, str]) -> list[str]:
        """Apply Alembic's migrations as DSQL takes them, as its `admin`; let the app use them.

        `admin` are the variables of that user, who comes in by the front. Returns what was applied.
        """
        applied: list[str] = []
        if has_migrations(folder):
            settings = Settings.from_environment(admin)
            applied = migrations.upgrade(settings, folder, credentials=CredentialSource(admin))
        self._execute(self._variables["DB_NAME"], [preparing.adopted(APP_ROLE)])
        return applied

    def _let_in(self, database: str) -> None:
        """Let the app's role in, and say of its sessions what is true in front of this server."""
        made = [_ROLES]
        if self._is_dsql:
            made = list(preparing.statements(APP_ROLE, self._options.dsql.caller))
        self._execute(database, [*made, _TLS_VIEW])

    def _execute(self, database: str, statements: list[str]) -> None:
        with psycopg.connect(
            host=self._variables["DB_HOST"],
            user=self._variables["DB_USER"],
            dbname=database,
            autocommit=True,
        ) as connection:
            if self._is_dsql and connection.info.server_version < _OLDEST_FOR_DSQL:
                raise CommandError(
                    "the emulated Aurora DSQL needs PostgreSQL 15 or newer",
                    "Leave out --postgres, or choose a newer one.",
                )
            for each in statements:
                connection.execute(each.encode())
