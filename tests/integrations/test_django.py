"""A Django project through the Lambda handler: WSGI and ASGI, on the same connections' rules."""

import gc
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from threading import Event
from typing import Any

import psycopg
import pytest

from sunup import deadline, request
from sunup.adapter.handler import Handler
from sunup.failures import DatabaseResuming
from sunup.settings import Settings, SettingsError

from ..adapter.test_events import event_2
from ..adapter.test_handler import Context
from ..hanging import hanging
from ..receipts.proxy import Proxy, proxy_of

SETTINGS = "tests.integrations.django_project.settings"
MIDDLEWARE = "sunup.integrations.django.exactly_once.Middleware"
Send = Callable[..., tuple[int, Any]]
Keyed = Callable[..., Callable[..., dict[str, Any]]]


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
        connection.execute("truncate django_project_note, sunup_receipts restart identity")


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


@pytest.fixture(params=["wsgi", "asgi"])
def keyed(request: pytest.FixtureRequest, environment: dict[str, str]) -> Iterator[Keyed]:
    """Sends a POST with a key through the middleware; options are those of the setting."""
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.test import override_settings

    from sunup.integrations.django import database

    assert environment
    with ExitStack() as stack:

        def start(**options: Any) -> Callable[..., dict[str, Any]]:
            stack.enter_context(override_settings(MIDDLEWARE=[MIDDLEWARE], **options))
            wsgi = request.param == "wsgi"
            handler = Handler(get_wsgi_application() if wsgi else get_asgi_application())
            stack.callback(handler.close)

            def call(
                path: str, key: str | None = None, body: str = "", seconds: float = 30
            ) -> dict[str, Any]:
                raw, _, query = path.partition("?")
                headers = {} if key is None else {"idempotency-key": key}
                event = event_2(rawPath=raw, rawQueryString=query, body=body, headers=headers)
                event["requestContext"]["http"]["method"] = "POST"
                response: dict[str, Any] = handler(event, Context(seconds))
                return response

            return call

        yield start
    database().close()
    gc.collect()  # what Django has left open is told here


def texts(admin: Admin) -> list[str]:
    rows = admin.execute("select text from django_project_note order by id").fetchall()
    return [row[0] for row in rows]


def test_a_request_with_a_key_is_executed_once(keyed: Keyed, admin: Admin) -> None:
    from .django_project import urls

    urls.seen.clear()
    call = keyed()
    first = call("/work?name=a", "key-1", "x" * 100_000)
    again = call("/work?name=a", "key-1", "x" * 100_000)
    assert first["statusCode"] == again["statusCode"] == 201
    assert first["body"] == again["body"] == '{"id": 1, "body": 100000}'
    assert [each.split(";")[0] for each in again["cookies"]] == ["one=1", "two=2"]
    assert again["headers"]["idempotent-replayed"] == "true"
    assert urls.seen == ["a"]
    assert call("/work?name=a", "key-1", "y")["statusCode"] == 422
    taken = call("/work?name=b-taken", "key-2")
    assert (taken["statusCode"], taken["body"]) == (409, "taken")
    assert call("/work?name=b-taken", "key-2")["headers"]["idempotent-replayed"] == "true"
    for how in ("/work?name=c-streams", "/stream?name=d"):
        first, again = call(how, how), call(how, how)
        assert first["statusCode"] == again["statusCode"] == 201
        assert "idempotent-replayed" in again["headers"]
        assert again["body"] == first["body"]
    assert texts(admin) == ["a", "b", "c", "d"]
    assert call("/work?name=e")["statusCode"] == 201


# Django itself leaves the body's file open then, under ASGI.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("propagates", [False, True])
def test_what_fails_leaves_nothing(keyed: Keyed, admin: Admin, propagates: bool) -> None:
    from .django_project import urls

    urls.seen.clear()
    call = keyed(DEBUG_PROPAGATE_EXCEPTIONS=propagates)
    assert call("/work?name=a-raises", "key-1")["statusCode"] == 500
    # Caught without `atomic()` of its own: the transaction is lost, and so is the answer.
    assert call("/work?name=a-hidden", "key-2")["statusCode"] == 500
    assert texts(admin) == []
    assert urls.seen == []
    assert call("/work?name=b-hook", "key-3")["statusCode"] == 201
    assert texts(admin)[-1] == "b"
    assert call("/work?name=c", "key-4")["statusCode"] == 201


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fate", ["answer lost", "lost", "late"])
@pytest.mark.parametrize("repeats", [True, False])
def test_a_commit_whose_answer_was_lost_is_looked_up(
    keyed: Keyed,
    admin: Admin,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    fate: str,
    repeats: bool,
) -> None:
    from django.db import connections

    from .django_project import urls

    urls.seen.clear()
    with proxy_of(Settings.from_environment(environment)) as proxy:
        for name in ("host", "port", "sslmode", "password"):
            monkeypatch.setenv(f"DB_{name.upper()}", str(getattr(proxy.settings, name)))
        connections.close_all()
        call = keyed(SUNUP_EXACTLY_ONCE={"repeat": repeats}, DEBUG_PROPAGATE_EXCEPTIONS=not repeats)
        proxy.plan = [fate]
        first = call("/work?name=a", "key-1")
        committed = fate != "lost" or repeats
        assert first["statusCode"] == (201 if committed else 503), first
        assert texts(admin) == (["a"] if committed else [])
        again = call("/work?name=a", "key-1")
        assert again["statusCode"] == 201
        assert ("idempotent-replayed" in again["headers"]) is committed
        assert texts(admin) == ["a"]
        assert urls.seen == ["a"]
        assert call("/work?name=b")["statusCode"] == 201
        assert proxy.met == [fate]
        from sunup.integrations.django import database

        connections.close_all()
        database().close()


def test_in_django_s_own_tests_it_is_a_savepoint(environment: dict[str, str], admin: Admin) -> None:
    from django.db import connection, transaction
    from django.test import Client, override_settings

    assert environment
    with override_settings(MIDDLEWARE=[MIDDLEWARE]):
        client, other = Client(), Client()
        with transaction.atomic():  # as TestCase does
            headers = {"Idempotency-Key": "key-1"}
            first = client.post("/work?name=a", headers=headers)
            assert first.wsgi_request.resolver_match is not None
            again = other.post("/work?name=a", headers=headers)
            assert (first.status_code, again.status_code) == (201, 201)
            assert again["idempotent-replayed"] == "true"
            transaction.set_rollback(True)
    connection.close()
    assert texts(admin) == []


def test_a_wrong_setting_is_told(environment: dict[str, str]) -> None:
    from django.core.exceptions import ImproperlyConfigured
    from django.core.wsgi import get_wsgi_application
    from django.test import override_settings

    assert environment
    for wrong, says in (
        ({"kept": 1}, "SUNUP_EXACTLY_ONCE.*kept"),
        ({"required": "users"}, "POST /users"),
        ({"using": "other"}, "ENGINE"),
    ):
        with (
            override_settings(MIDDLEWARE=[MIDDLEWARE], SUNUP_EXACTLY_ONCE=wrong),
            pytest.raises(ImproperlyConfigured, match=says),
        ):
            get_wsgi_application()


def test_what_follows_a_commit_is_not_a_reason_to_run_again(
    environment: dict[str, str], admin: Admin
) -> None:
    from django.db import transaction

    from sunup.integrations.django.retrying import run_transaction

    from .django_project.models import Note

    runs: list[int] = []

    def late() -> None:
        raise psycopg.errors.SerializationFailure("of a hook's own")

    def work() -> None:
        runs.append(1)
        Note.objects.create(text=f"note {len(runs)}")
        transaction.on_commit(late)

    with pytest.raises(psycopg.errors.SerializationFailure):
        run_transaction(work)
    assert admin.execute("select text from django_project_note").fetchall() == [("note 1",)]
    run_transaction(lambda: Note.objects.create(text="another"))
    assert environment


def _read_and_write(meanwhile: Callable[[], None]) -> None:
    from django.db import connection

    from .django_project.models import Note

    with connection.cursor() as cursor:
        cursor.execute("set transaction isolation level repeatable read")
    note = Note.objects.get()
    meanwhile()
    note.text = "ours"
    note.save()


def test_a_conflict_that_was_got_over_is_not_the_request_s_failure(
    environment: dict[str, str], admin: Admin
) -> None:
    from django.db import connection

    from sunup import request
    from sunup.integrations.django.retrying import run_transaction

    from .django_project.models import Note

    runs: list[int] = []
    Note.objects.create(text="first")
    connection.close()

    def others() -> None:
        runs.append(1)
        if len(runs) == 1:
            admin.execute("update django_project_note set text = 'theirs'")

    current = request.Request("POST", "/")
    token = request.begin(current)
    try:
        run_transaction(lambda: _read_and_write(others))
    finally:
        request.end(token)
        current.finish()
        connection.close()
    assert (len(runs), current.retries, current.failure) == (2, 1, None)
    assert admin.execute("select text from django_project_note").fetchall() == [("ours",)]
    assert environment


def test_a_later_run_that_meets_the_deadline_is_not_why_the_work_was_not_done(
    environment: dict[str, str], admin: Admin
) -> None:
    from django.db import connection

    from sunup.failures import TransactionConflict
    from sunup.integrations.django.retrying import run_transaction

    from .django_project.models import Note

    runs: list[int] = []
    Note.objects.create(text="first")
    connection.close()

    def others() -> None:
        runs.append(1)
        if len(runs) == 2:
            _sleep(20)
        admin.execute("update django_project_note set text = 'theirs'")

    with pytest.raises(TransactionConflict, match="refused once in"), deadline.within(2):
        run_transaction(lambda: _read_and_write(others))
    assert len(runs) == 2
    run_transaction(lambda: Note.objects.update(text="at last"))
    connection.close()
    assert admin.execute("select text from django_project_note").fetchall() == [("at last",)]
    assert environment


@pytest.fixture
def proxy(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Between Django and the server."""
    from django.db import connections

    from sunup.integrations.django import database

    with proxy_of(Settings.from_environment(environment)) as made:
        for name in ("host", "port", "sslmode", "password"):
            monkeypatch.setenv(f"DB_{name.upper()}", str(getattr(made.settings, name)))
        connections.close_all()
        yield made
        connections.close_all()
        database().close()


def _refuse(*_: Any) -> None:
    raise DatabaseResuming("no connection")


def _sleep(seconds: float) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select pg_sleep(%s)", [seconds])


@pytest.mark.parametrize("meanwhile", ["answers", "silence"])
def test_what_follows_an_atomic_block_that_met_the_deadline_is_committed(
    proxy: Proxy, admin: Admin, meanwhile: str
) -> None:
    """Outside of a request, such as in a command that does one piece of work after another."""
    from django.db import transaction

    from .django_project.models import Note

    hooks: list[str] = []

    def add(text: str) -> None:
        with transaction.atomic():
            Note.objects.create(text=text)
            transaction.on_commit(lambda: hooks.append(text))
            if text == "slow":
                try:
                    _sleep(20)
                finally:
                    if meanwhile == "silence":
                        proxy.deaf_until = time.monotonic() + 1

    add("before")
    with pytest.raises(deadline.DeadlineExceeded), deadline.within(0.5):
        add("slow")
    add("after")
    assert texts(admin) == hooks == ["before", "after"]


@pytest.mark.parametrize("earlier", ["nothing", "a hook that failed"])
def test_the_hooks_of_a_commit_that_met_the_deadline_are_not_the_next_one_s(
    proxy: Proxy, admin: Admin, earlier: str
) -> None:
    from django.db import connection, transaction

    from .django_project.models import Note

    admin.execute(
        "create or replace function slow() returns trigger language plpgsql as"
        " 'begin perform pg_sleep(20); return new; end'"
    )
    admin.execute(
        "create constraint trigger slow after insert on django_project_note deferrable"
        " initially deferred for each row when (new.text = 'slow') execute function slow()"
    )
    hooks: list[str] = []

    def fails() -> None:
        raise LookupError

    def add(text: str) -> None:
        with transaction.atomic():
            Note.objects.create(text=text)
            transaction.on_commit(lambda: hooks.append(text))

    try:
        if earlier == "a hook that failed":
            with pytest.raises(LookupError), transaction.atomic():
                transaction.on_commit(fails)
        with pytest.raises(deadline.DeadlineExceeded), deadline.within(0.5):
            add("slow")
        assert hooks == []
        add("after")
    finally:
        connection.close()
        admin.execute("drop function slow() cascade")
    assert texts(admin) == hooks == ["after"]
    assert not proxy.plan


@pytest.mark.parametrize("where", ["a statement", "a commit"])
def test_a_connection_that_was_closed_at_the_deadline_is_replaced(
    proxy: Proxy, admin: Admin, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """It was silent, and what became of its statement is not known."""
    from django.db import close_old_connections, transaction

    from sunup.integrations.django.base import DatabaseWrapper

    from .django_project.models import Note

    def silent() -> None:
        proxy.deaf_until = time.monotonic() + 1.5

    def add(text: str) -> None:
        with transaction.atomic():
            Note.objects.create(text=text)
            if text == "lost":
                silent()

    add("before")
    with pytest.raises(deadline.DeadlineExceeded), deadline.within(0.3):
        if where == "a commit":
            add("lost")
        else:
            silent()
            Note.objects.count()
    time.sleep(1.6)
    with monkeypatch.context() as patch:
        patch.setattr(DatabaseWrapper, "get_new_connection", _refuse)
        close_old_connections()  # as at a request's end: none is opened for it
    add("after")
    assert [text for text in texts(admin) if text != "lost"] == ["before", "after"]


def test_a_commit_whose_answer_was_lost_is_not_hidden_by_a_database_that_cannot_be_reached(
    proxy: Proxy, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django connected anew at the end of `atomic()`; what that met was raised instead."""
    from django.db import OperationalError

    from sunup.integrations.django.base import DatabaseWrapper
    from sunup.integrations.django.retrying import run_transaction

    from .django_project.models import Note

    runs: list[int] = []

    def work() -> None:
        runs.append(1)
        Note.objects.create(text="a /* insert into sunup_receipts */")
        if len(runs) == 1:
            raise psycopg.errors.SerializationFailure("others were first")
        proxy.plan = ["answer lost"]
        patch.setattr(DatabaseWrapper, "get_new_connection", _refuse)

    lost = pytest.raises(OperationalError)
    with monkeypatch.context() as patch, lost, deadline.within(1):
        run_transaction(work)
    assert (len(runs), proxy.met, len(texts(admin))) == (2, ["answer lost"], 1)


def test_an_error_before_the_deadline_is_not_lost_in_the_end_of_a_savepoint(
    proxy: Proxy, admin: Admin
) -> None:
    from django.db import IntegrityError, transaction

    from .django_project.models import Note

    with transaction.atomic():
        Note.objects.create(text="a")
        with pytest.raises(IntegrityError), ExitStack() as stack, transaction.atomic():
            try:
                Note.objects.create(text="a")
            except IntegrityError:
                proxy.passing = lambda: time.sleep(0.1)  # type: ignore[method-assign]
                stack.enter_context(deadline.within(0.15))
                raise
        proxy.passing = lambda: None  # type: ignore[method-assign]
        Note.objects.create(text="b")
    assert texts(admin) == ["a", "b"]


@pytest.mark.parametrize("levels", [1, 4])
def test_the_end_of_nested_blocks_does_not_take_longer_the_more_there_are(
    proxy: Proxy, admin: Admin, levels: int
) -> None:
    from django.db import transaction

    from .django_project.models import Note

    Note.objects.count()
    began = time.monotonic()
    with pytest.raises(LookupError), ExitStack() as stack:
        stack.enter_context(deadline.within(0.2))
        for _ in range(levels):
            stack.enter_context(transaction.atomic())
        Note.objects.create(text="undone")
        time.sleep(0.2)
        proxy.passing = lambda: time.sleep(0.45)  # type: ignore[method-assign]
        raise LookupError
    assert time.monotonic() - began < 1.9
    proxy.passing = lambda: None  # type: ignore[method-assign]
    Note.objects.create(text="next")
    assert texts(admin) == ["next"]


def test_without_autocommit_a_savepoint_at_the_deadline_leaves_nothing_for_the_next_commit(
    proxy: Proxy, admin: Admin
) -> None:
    from django.db import transaction

    from .django_project.models import Note

    def add(text: str) -> None:
        try:
            Note.objects.create(text=text)
            with transaction.atomic():
                Note.objects.create(text=f"{text} too")
            transaction.commit()
        except BaseException:
            transaction.rollback()
            raise

    transaction.set_autocommit(False)
    try:
        proxy.passing = lambda: time.sleep(0.1)  # type: ignore[method-assign]
        with suppress(deadline.DeadlineExceeded), deadline.within(0.25):
            add("first")
        proxy.passing = lambda: None  # type: ignore[method-assign]
        assert texts(admin) in ([], ["first", "first too"])
        before = texts(admin)
        add("second")
    finally:
        transaction.set_autocommit(True)
    assert texts(admin) == [*before, "second", "second too"]


def _queries() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select 1")


@pytest.fixture
def on_lambda(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """With one connection; the process has answered nothing yet."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    monkeypatch.setattr(request, "_between", False)
    yield environment
    monkeypatch.setattr(request, "_between", False)


@pytest.mark.parametrize("thread", ["main", "that has ended"])
def test_a_query_at_import_takes_no_connection_from_the_requests(
    on_lambda: dict[str, str], send: Send, thread: str
) -> None:
    """In AppConfig.ready(), for instance: an ASGI app's views run in another thread."""
    assert on_lambda
    if thread == "main":
        _queries()
    else:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(_queries).result()
    for _ in range(3):
        assert send("GET", "/pid", seconds=3)[0] == 200
    if thread == "main":
        _queries()  # whose connection was taken
    assert send("GET", "/pid", seconds=3)[0] == 200


def test_a_thread_between_two_statements_keeps_its_connection(
    on_lambda: dict[str, str], send: Send
) -> None:
    assert on_lambda
    begun, go_on = Event(), Event()

    def works() -> int:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("select 1")
            begun.set()
            go_on.wait(10)
            cursor.execute("select 2")
            found: int = cursor.fetchone()[0]
        connection.close()
        return found

    with ThreadPoolExecutor(1) as threads:
        working = threads.submit(works)
        begun.wait(10)
        status, content = send("GET", "/pid", seconds=1.3)
        assert (status, content["code"]) == (503, "connections_busy")
        go_on.set()
        assert working.result(10) == 2
    assert send("GET", "/pid")[0] == 200


def test_threads_that_ended_with_a_connection_are_not_counted_for_ever(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sunup.integrations import django as integration

    assert environment
    monkeypatch.setenv("DB_IDLE_SESSION_TIMEOUT", "61")  # a pool of its own
    monkeypatch.setattr(integration, "_THREADS", 2)
    for _ in range(5):
        with ThreadPoolExecutor(1) as threads:
            threads.submit(_queries).result(timeout=5)
    _queries()
    integration.database().close()
