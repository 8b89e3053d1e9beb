"""The database backend: Django's own for PostgreSQL, but for how it connects."""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from django.core.signals import got_request_exception
from django.db.backends.postgresql import base as postgresql
from django.db.backends.postgresql.client import DatabaseClient
from django.db.utils import DatabaseErrorWrapper
from django.dispatch import receiver
from django.utils.functional import cached_property
from psycopg import IsolationLevel
from psycopg.adapt import AdaptersMap
from psycopg.pq import TransactionStatus

from sunup import nearby, request
from sunup.connecting import timing
from sunup.connecting.retrying import note_conflict
from sunup.connecting.waking import PING_TIMEOUT
from sunup.psycopg.cursor import Telling
from sunup.psycopg.meaning import MEANING
from sunup.psycopg.probe import ping
from sunup.settings import Settings, on_lambda

from . import Connection, close_all, database
from .recovering import Recovering


class Cursor(Telling, postgresql.Cursor):
    """Django's, which reports to its connection what it sends."""


class ServerBindingCursor(Telling, postgresql.ServerBindingCursor):
    """Django's, which reports to its connection what it sends."""


_TELLING = {
    postgresql.Cursor: Cursor,
    postgresql.ServerBindingCursor: ServerBindingCursor,
}


class Client(DatabaseClient):
    """`manage.py dbshell`: psql, where the app's own connections go, with a token."""

    connection: "DatabaseWrapper"

    def runshell(self, parameters: Iterable[str]) -> None:
        """Run psql until it ends. Raises `SettingsError`."""
        wrapper = self.connection
        found = wrapper.shell_parameters()
        before = wrapper.settings_dict
        # In the environment of psql alone: the password, and which certificates are trusted.
        wrapper.settings_dict = {
            **before,
            **{name.upper(): found.get(name) for name in ("host", "port", "user", "password")},
            "NAME": found["dbname"],
            "OPTIONS": {
                name: found[name] for name in ("sslmode", "sslrootcert") if found.get(name)
            },
        }
        try:
            super().runshell(parameters)
        finally:
            wrapper.settings_dict = before


class DatabaseWrapper(Recovering):
    """One connection of one thread, as Django wants it."""

    client_class = Client

    def __init__(self, settings_dict: dict[str, Any], *arguments: Any, **options: Any) -> None:
        # To close is to give back: what keeps a connection is sunup's pool, not Django's thread,
        # which under ASGI is a different one for each request.
        super().__init__({**settings_dict, "CONN_MAX_AGE": 0}, *arguments, **options)
        if self.settings_dict["NAME"] == "":  # None is Django's word for `postgres`
            self.settings_dict["NAME"] = nearby.settings().database
        self.execute_wrappers.append(_count)
        self.lost = False

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        """Wait for a connection until the request's deadline. Raises a `DatabaseUnavailable`."""
        params = dict(conn_params)
        adapters = AdaptersMap(params.pop("context").adapters)
        prepare_threshold = params.pop("prepare_threshold")
        cursor_factory = params.pop("cursor_factory")
        self._use(params)
        self.isolation_level = self._isolation_level()
        engine = self._key[0].engine
        if engine.optimistic or not engine.sessions:
            # They last from one statement to the next, if there are any at all.
            self.settings_dict["DISABLE_SERVER_SIDE_CURSORS"] = True
        connection = database(*self._key).pool().acquire()
        assert isinstance(connection, Connection)
        if connection.holder is None:
            connection.keeper = threading.current_thread()
        connection.django_adapters = adapters
        connection.prepare_threshold = prepare_threshold
        connection.cursor_factory = _TELLING.get(cursor_factory, cursor_factory)
        if "isolation_level" in self.settings_dict["OPTIONS"]:
            connection.isolation_level = self.isolation_level
        self.lost = False
        return connection

    def shell_parameters(self) -> dict[str, Any]:
        """Libpq's parameters with a fresh token, for another program. Raises `SettingsError`."""
        params = self.get_connection_params()
        for name in ("context", "prepare_threshold", "cursor_factory"):
            params.pop(name)
        self._use(params)
        return database(*self._key).connect_parameters()

    def _close(self) -> None:
        """Give the connection back, or close it where it is useless."""
        connection = self.connection
        if connection is not None:
            connection.keeper = None
            idle = connection.info.transaction_status == TransactionStatus.IDLE
            database(*self._key).pool().release(connection, keep=idle and not self.lost)

    def close_pool(self) -> None:
        """Close what rests of this database: Django's tests are about to copy it, or to drop it."""
        close_all(self.settings_dict["NAME"])

    def is_usable(self) -> bool:
        """Whether the connection works: one round trip, after an error."""
        if self.connection is None or self.lost:
            return False
        return ping(self.connection, PING_TIMEOUT)

    @cached_property
    def wrap_database_errors(self) -> "_ErrorWrapper":
        """Raise Django's exceptions for psycopg's, and note a lost connection."""
        return _ErrorWrapper(self)

    def init_connection_state(self) -> None:
        """Django's own: role and time zone, which are this alias's, and stay."""
        current = request.active()
        committed = None if current is None else current.committed
        super().init_connection_state()
        if current is not None and committed is not None:
            current.committed = committed  # set_config() looks as if it could change anything
        self.connection.session.touched = False

    def _use(self, params: dict[str, Any]) -> None:
        """Take the environment's settings, but for what DATABASES says, out of `params`."""
        environ = {**os.environ, "DB_NAME": params.pop("dbname")}
        # `sslmode` among them: what OPTIONS says is checked as DB_SSLMODE is.
        for name in ("host", "port", "user", "password", "sslmode", "sslrootcert"):
            if name in params:
                environ[f"DB_{name.upper()}"] = str(params.pop(name))
        del params["client_encoding"]
        if not environ.get("DB_HOST") and not on_lambda():
            name = environ["DB_NAME"]
            environ = {**nearby.leading_to(nearby.variables(), environ), "DB_NAME": name}
        settings = Settings.from_environment(environ)
        settings.check_database()
        options = self.settings_dict["OPTIONS"]
        apart = {
            name: options[name] for name in ("assume_role", "isolation_level") if name in options
        }
        self._key = settings, params, tuple(apart.items())

    def _isolation_level(self) -> IsolationLevel:
        level = self.settings_dict["OPTIONS"].get("isolation_level")
        return IsolationLevel.READ_COMMITTED if level is None else IsolationLevel(level)


class _ErrorWrapper(DatabaseErrorWrapper):
    """Django's, which also tells the request what happened to its database."""

    def __init__(self, wrapper: DatabaseWrapper) -> None:
        super().__init__(wrapper)
        self._wrapper = wrapper

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection = self._wrapper.connection
        if exc_value is not None and connection is not None and not self._wrapper.lost:
            lost = MEANING.while_using(exc_value, closed=connection.closed)
            if lost is not None:
                request.note_failure(lost, exc_value)
                # A read-only server still answers: it is useless all the same.
                self._wrapper.lost = True
            elif isinstance(exc_value, Exception):
                note_conflict(exc_value)
        super().__exit__(exc_type, exc_value, traceback)


@receiver(got_request_exception)
def _note_raised(**_: Any) -> None:
    """Note the exception that Django turns into a page."""
    current = request.active()
    if current is not None:
        current.raised = sys.exception()


def _count(execute: Callable[..., Any], sql: Any, params: Any, many: Any, context: Any) -> Any:
    """Add a statement to the request's log line."""
    began = timing.begin()
    try:
        return execute(sql, params, many, context)
    finally:
        timing.end(began, str(sql), context["cursor"].rowcount)
