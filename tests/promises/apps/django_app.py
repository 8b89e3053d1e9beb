"""Django's WSGI, with its own connections and transactions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection as default
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import re_path
from psycopg import IsolationLevel

from sunup.integrations.django import database

from . import works_sync

ENGINE = "sunup.integrations.django"


class Session:
    def execute(self, statement: str) -> object:
        with default.cursor() as cursor:
            return cursor.execute(statement)

    def value(self, statement: str) -> object:
        with default.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0]

    def unsettle(self) -> None:
        default.ensure_connection()
        default.connection.prepare_threshold = 1

    def settled(self) -> bool:
        assert default.connection is not None
        return bool(default.connection.prepare_threshold != 1)


class Sessions(works_sync.Sessions):
    @contextmanager
    def connection(self) -> Iterator[Session]:
        yield Session()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with transaction.atomic():
            yield Session()

    def thread_ends(self) -> None:
        connections.close_all()


def _as_another_role(_: works_sync.Sessions, __: str, ___: float) -> works_sync.Answer:
    with connections["monitor"].cursor() as cursor:
        cursor.execute("show role")
        return 200, str(cursor.fetchone()[0])


def _serializable(_: works_sync.Sessions, __: str, ___: float) -> works_sync.Answer:
    with transaction.atomic("serializable"), connections["serializable"].cursor() as cursor:
        cursor.execute("show transaction_isolation")
        return 200, str(cursor.fetchone()[0])


def _isolation(_: works_sync.Sessions, __: str, ___: float) -> works_sync.Answer:
    with transaction.atomic(), default.cursor() as cursor:
        cursor.execute("show transaction_isolation")
        return 200, str(cursor.fetchone()[0])


WORKS = {
    **works_sync.WORKS,
    "as_another_role": _as_another_role,
    "serializable": _serializable,
    "isolation": _isolation,
}


def _view(request: HttpRequest) -> HttpResponse:
    row, _, seconds = request.META["QUERY_STRING"].partition("&")
    work = WORKS[request.path.strip("/")]
    status, text = work(Sessions(), row, float(seconds))
    return HttpResponse(text, status=status, content_type="text/plain")


urlpatterns = [re_path(".*", _view)]


def make() -> tuple[Any, Any]:
    """The app and its database."""
    settings.configure(
        SECRET_KEY="not a secret: this project is a test",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        DATABASES={
            "default": {"ENGINE": ENGINE},
            "monitor": {"ENGINE": ENGINE, "OPTIONS": {"assume_role": "pg_monitor"}},
            "serializable": {
                "ENGINE": ENGINE,
                "OPTIONS": {"isolation_level": IsolationLevel.SERIALIZABLE},
            },
        },
        LOGGING_CONFIG=None,
    )
    django.setup()
    return get_wsgi_application(), database()
