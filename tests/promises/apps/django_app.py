"""Django's WSGI, with its own connections and transactions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection as default
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import re_path

from sunup.integrations.django import database

from . import works_sync


class Session:
    def execute(self, statement: str) -> object:
        with default.cursor() as cursor:
            return cursor.execute(statement)

    def value(self, statement: str) -> object:
        with default.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0]

    def unsettle(self) -> None:
        assert default.connection is not None
        default.connection.prepare_threshold = 1

    def settled(self) -> bool:
        assert default.connection is not None
        return default.connection.prepare_threshold != 1


class Sessions(works_sync.Sessions):
    one_for_all = True

    @contextmanager
    def connection(self) -> Iterator[Session]:
        yield Session()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with transaction.atomic():
            yield Session()


def _view(request: HttpRequest) -> HttpResponse:
    row, _, seconds = request.META["QUERY_STRING"].partition("&")
    work = works_sync.WORKS[request.path.strip("/")]
    status, text = work(Sessions(), row, float(seconds))
    return HttpResponse(text, status=status, content_type="text/plain")


urlpatterns = [re_path(".*", _view)]


def make() -> tuple[Any, Any]:
    """The app and its database."""
    settings.configure(
        SECRET_KEY="not a secret: this project is a test",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        DATABASES={"default": {"ENGINE": "sunup.integrations.django"}},
        LOGGING_CONFIG=None,
    )
    django.setup()
    return get_wsgi_application(), database()
