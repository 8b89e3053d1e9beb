"""A Django project through the Lambda handler: WSGI and ASGI, on the same connections' rules."""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from sunup.adapter.handler import Handler
from sunup.settings import Settings, SettingsError

from ..adapter.test_events import event_2
from ..adapter.test_handler import Context, root_logger
from ..hanging import hanging

_ = root_logger

SETTINGS = "tests.integrations.django_project.settings"
Send = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def project(server: dict[str, str]) -> Iterator[dict[str, str]]:
    """The project, set up on a database of its own; Django has one set-up in a process."""
    name = f"django_{uuid.uuid4().hex}"
    with psycopg.connect(host=server["DB_HOST"], user="postgres", autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
    variables = {**server, "DB_NAME": name}
    patch = pytest.MonkeyPatch()
    patch.setenv("DJANGO_SETTINGS_MODULE", SETTINGS)
    for key, value in variables.items():
        patch.setenv(key, value)
    import django
    from django.core.management import call_command
    from django.db import connection as default

    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    yield variables
    default.close()
    patch.undo()


@pytest.fixture
def environment(
    project: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    for key, value in project.items():
        monkeypatch.setenv(key, value)
    yield project
    from django.db import connections

    connections.close_all()


@pytest.fixture(params=["wsgi", "asgi"])
def send(request: pytest.FixtureRequest, environment: dict[str, str]) -> Iterator[Send]:
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application

    from sunup.integrations.django import database

    assert environment
    made = get_wsgi_application() if request.param == "wsgi" else get_asgi_application()
    handler = Handler(made, database=database())

    def call(method: str, path: str, content: Any = None, seconds: float = 30) -> tuple[int, Any]:
        event = event_2(rawPath=path, body=json.dumps(content), headers={})
        event["requestContext"]["http"]["method"] = method
        response = handler(event, Context(seconds))
        text = response["body"]
        json_like = "json" in response["headers"].get("content-type", "")
        return response["statusCode"], json.loads(text) if json_like else text

    yield call
    handler.close()
    database().close()


@pytest.fixture
def admin(project: dict[str, str]) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(
        host=project["DB_HOST"], user="postgres", dbname=project["DB_NAME"], autocommit=True
    ) as connection:
        yield connection
        connection.execute("truncate django_project_note restart identity")


Admin = psycopg.Connection[Any]


def test_models_are_written_and_read(send: Send, admin: Admin) -> None:
    assert send("POST", "/notes", {"text": "メモ", "tags": ["a", {"b": 1}]}) == (201, {"id": 1})
    assert send("GET", "/notes") == (200, [{"text": "メモ", "tags": ["a", {"b": 1}]}])
    assert send("GET", "/count") == (200, {"count": 1})


def test_a_connection_serves_request_after_request(send: Send) -> None:
    status, first = send("GET", "/pid")
    assert (status, first[1]) == (200, "UTC")  # as Django wants it with USE_TZ
    assert send("GET", "/pid")[1] == first


def test_a_connection_that_the_server_closed_is_replaced_without_a_failure(
    send: Send, admin: Admin
) -> None:
    first = send("GET", "/pid")[1][0]
    assert admin.execute("select pg_terminate_backend(%s, 5000)", (first,)).fetchone() == (True,)
    status, (second, _) = send("GET", "/pid")
    assert status == 200
    assert second != first


def test_a_lost_connection_is_told_and_the_next_request_works(send: Send) -> None:
    status, content = send("GET", "/lose")
    assert (status, content["code"]) == (503, "connection_lost")
    assert send("POST", "/lose", {})[0] in (403, 500)  # a write may have been executed
    assert send("GET", "/pid")[0] == 200


def test_the_project_can_still_catch_django_s_own_exception(send: Send) -> None:
    assert send("GET", "/caught") == (200, "Django's own exception")


def test_a_read_only_server_s_connection_is_replaced(send: Send) -> None:
    first = send("GET", "/pid")[1][0]
    status, content = send("GET", "/read-only")
    assert (status, content["code"]) == (503, "database_read_only")
    assert send("GET", "/pid")[1][0] != first


def test_a_sleeping_database_is_a_503_in_time(
    send: Send, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sunup.integrations.django import database

    with hanging(environment["DB_HOST"]) as server:
        monkeypatch.setenv("DB_HOST", "127.0.0.1")
        monkeypatch.setenv("DB_PORT", str(server.port))
        monkeypatch.setenv("DB_PASSWORD", "x")
        monkeypatch.setenv("DB_SSLMODE", "disable")
        began = time.monotonic()
        status, content = send("GET", "/pid", seconds=1.5)
        assert (status, content["code"]) == (503, "database_resuming")
        assert time.monotonic() - began < 3
        server.awake.set()
        assert send("GET", "/pid")[0] == 200
        database().close()


def test_what_databases_says_is_stronger_than_the_environment(
    environment: dict[str, str],
) -> None:
    from django.db import connections

    from sunup.integrations.django.base import DatabaseWrapper

    theirs = {
        **connections["default"].settings_dict,
        "NAME": "postgres",
        "OPTIONS": {"options": "-c work_mem=5MB", "application_name": "mine"},
    }
    wrapper = DatabaseWrapper(theirs, alias="other")
    with wrapper.cursor() as cursor:
        cursor.execute(
            "select current_database(), current_setting('work_mem'),"
            " current_setting('application_name'), current_setting('idle_session_timeout')"
        )
        assert cursor.fetchone() == ("postgres", "5MB", "mine", "1min")
    wrapper.close()


def test_the_connection_that_was_started_is_django_s(environment: dict[str, str]) -> None:
    from django.db import connection

    from sunup.integrations.django import database

    db = database(Settings.from_environment())
    with db.connection() as started:
        mine = started.info.backend_pid
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid(), %s::jsonb", ['{"a": 1}'])
        assert cursor.fetchone() == (mine, '{"a": 1}')
    assert os.environ["DB_NAME"] == connection.settings_dict["NAME"]


def test_events_have_a_connection_that_works_each_time(environment: dict[str, str]) -> None:
    from django.core.wsgi import get_wsgi_application
    from django.db import connection, transaction

    from sunup.integrations.django import database

    assert environment
    left_open: list[Any] = []

    def jobs(event: Any, _: Any) -> int:
        if event["leave_open"]:
            block = transaction.atomic()
            block.__enter__()
            left_open.append(block)
        with connection.cursor() as cursor:
            cursor.execute("select 1")
            return int(cursor.fetchone()[0])

    handler = Handler(get_wsgi_application(), database=database(), events=jobs)
    for leave_open in (False, True, False, True, False):
        assert handler({"leave_open": leave_open}, Context(30)) == 1
    with transaction.atomic():
        assert connection.in_atomic_block
    left_open.clear()
    connection.close()
    handler.close()
    database().close()


def test_a_thread_that_outlives_requests_is_served_in_each(send: Send) -> None:
    with ThreadPoolExecutor(1) as thread:
        for _ in range(3):
            assert send("GET", "/pid")[0] == 200
            assert thread.submit(_count_notes).result() == 0
            thread.submit(_close).result()


def _count_notes() -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select count(*) from django_project_note")
        return int(cursor.fetchone()[0])


def _close() -> None:
    from django.db import connection

    connection.close()


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_options_cannot_switch_verification_off(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    from django.db import connections

    assert environment
    wrapper = connections.create_connection("default")
    host = "c.cluster-abc.eu-central-1.rds.amazonaws.com"
    wrapper.settings_dict = {**wrapper.settings_dict, "HOST": host, "OPTIONS": {"sslmode": mode}}
    with pytest.raises(SettingsError, match="DB_SSLMODE"):
        wrapper.connect()
