"""Django on sunup's connections.

DATABASES = {"default": {"ENGINE": "sunup.integrations.django"}}

Where the database is comes from `DB_HOST` and the other variables of the environment, unless
DATABASES says it. CONN_MAX_AGE has no meaning: at the end of a request its connection goes back to
sunup, and the next request gets it, checked without a round trip where the socket shows its state.

On Lambda, `Handler("mysite.wsgi:application", database=database())` connects while Django is
imported.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from psycopg.adapt import AdaptersMap
from psycopg.pq import TransactionStatus

from sunup import request
from sunup.connecting.credentials import CredentialSource
from sunup.connecting.process import Local
from sunup.connecting.waking import Waking
from sunup.psycopg import Database
from sunup.psycopg.attempt import connect_parameters, open_with
from sunup.psycopg.connection import Connection as PsycopgConnection
from sunup.settings import Settings, on_lambda

__all__ = ["database"]

# Each thread of a development server holds a connection; on Lambda there is one thread.
_THREADS = 100

_Key = tuple[Settings, tuple[tuple[str, Any], ...], tuple[object, ...]]

_databases: Local[dict[_Key, Database]] = Local(dict)


def database(
    settings: Settings | None = None,
    options: Mapping[str, Any] | None = None,
    apart: tuple[object, ...] = (),
) -> Database:
    """The `Database` from which Django's connections come, for `Handler(..., database=...)`.

    `settings` are those of the environment unless given. Aliases with the same settings and options
    share one, unless `apart` differs: what Django does to a session, such as its role. Raises
    `SettingsError`.
    """
    settings = settings or Settings.from_environment()
    extra = dict(options or {})
    key = settings, tuple(sorted(extra.items())), apart
    databases = _databases.get()
    if key not in databases:
        wide = settings if on_lambda() else replace(settings, pool_size=_THREADS)

        def connect(
            settings: Settings, credentials: CredentialSource, waking: Waking
        ) -> "Connection":
            parameters = connect_parameters(settings, credentials)
            # Django's own choice; and what the user says in OPTIONS, without losing sunup's.
            parameters["client_encoding"] = "UTF8"
            session = f"{parameters['options']} {extra.get('options', '')}".strip()
            parameters.update(extra, options=session)
            return open_with(parameters, settings, waking, Connection)

        databases[key] = Database(wide, connect=connect)
    return databases[key]


def close_all(name: str | None) -> None:
    """Close this process's connections to the database `name`, but for those in use."""
    for (settings, *_), found in list(_databases.get().items()):
        if settings.database == name:
            found.close()


class Connection(PsycopgConnection):
    """Perhaps opened before Django is there; Django's adapters are set when Django takes it."""

    django_adapters: AdaptersMap | None = None

    # The thread for which Django keeps it, where no request's end will take it from there.
    keeper: threading.Thread | None = None

    def is_spare(self) -> bool:
        """Whether Django keeps it for a thread that has ended, or for what was done at import.

        A query in AppConfig.ready() leaves one, and nobody gives it back: an ASGI app's requests
        run in other threads than the main one. Django asks for another one there where it must.
        """
        if self.keeper is None or self.holder is not None:
            return super().is_spare()
        if not self.keeper.is_alive():
            return True
        imported = self.keeper is threading.main_thread() and request.alone(request.active())
        idle = self.autocommit and self.pgconn.transaction_status == TransactionStatus.IDLE
        return imported and idle

    @property
    def adapters(self) -> AdaptersMap:
        """How values are converted."""
        return super().adapters if self.django_adapters is None else self.django_adapters
