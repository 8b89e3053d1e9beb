"""What outsiders broke, on asyncpg and psycopg; each test ends with a plain success."""

import asyncio
import io
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from sunup import Handler, after_commit, exactly_once
from sunup.asyncpg import Database as AsyncpgDatabase
from sunup.psycopg import Database as PsycopgDatabase
from sunup.psycopg.connection import Connection as PsycopgConnection
from sunup.receipts.texts import ClaimText

from .apps import TABLES, Client, content, serving
from .conftest import INSERT, Admin, Start, names, succeeds
from .proxy import proxy_of


async def posted(served: Any, name: str, key: str | None) -> int:
    """The status of a POST, as a server that is not Lambda calls an ASGI app."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [] if key is None else [(b"idempotency-key", key.encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    await served({**scope, "query_string": name.encode()}, receive, send)
    status: int = sent[0]["status"]
    return status


async def insert(db: AsyncpgDatabase, name: str) -> None:
    async with db.connection() as connection:
        await connection.execute(INSERT.format(name))


def test_what_fails_behind_a_whole_response_does_not_undo_what_it_answered(
    serve: Start, admin: Admin
) -> None:
    def made(db: AsyncpgDatabase) -> Any:
        async def view(request: Request) -> Response:
            name = request.url.query

            async def later() -> None:
                if name == "mail":
                    raise OSError("no mail")
                if name == "block":
                    await insert(db, "block")  # taken

            await insert(db, name)
            return Response(status_code=201, background=BackgroundTask(later))

        app = Starlette(routes=[Route("/", view, methods=["POST"])])
        app.add_middleware(exactly_once, database=db)
        return app

    client = serve(made)
    assert client("/?mail", "key-1")["statusCode"] == 201
    assert client("/?mail", "key-1")["headers"]["idempotent-replayed"] == "true"
    assert names(admin) == ["mail"]
    # Was it a block of the database's, as a dependency that commits late, nothing is there.
    assert client("/?block", "key-2")["statusCode"] == 500
    assert names(admin) == ["mail"]
    succeeds(client, admin)


def test_a_sibling_task_of_an_earlier_run_does_not_join_a_later_one(
    start: Start, admin: Admin
) -> None:
    runs: list[int] = []

    async def view(db: AsyncpgDatabase, name: str) -> int:
        runs.append(1)

        async def charge() -> None:
            await asyncio.sleep(0.1)
            await insert(db, f"{name}-charge{len(runs)}")

        async def reserve() -> None:
            if runs == [1] and name == "a":
                raise asyncpg.SerializationError("as if")
            await asyncio.sleep(0.2)
            await insert(db, name)

        await asyncio.gather(charge(), reserve())
        return 201

    client = start(view, repeat=True)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert len(runs) == 2
    assert names(admin) == ["a-charge2", "a"]
    succeeds(client, admin)


def test_what_a_failed_request_left_running_changes_nothing(start: Start, admin: Admin) -> None:
    async def view(db: AsyncpgDatabase, name: str) -> int:
        async def late() -> None:
            await asyncio.sleep(0.05)
            await insert(db, f"{name}-late")

        async def fails() -> None:
            raise ValueError(name)

        if name == "a":
            await asyncio.gather(late(), fails())
        await insert(db, name)
        return 201

    client = start(view)
    for _ in range(3):
        assert client("/?a", "key-1")["statusCode"] == 500
    assert names(admin) == []
    succeeds(client, admin)


def test_what_is_left_in_a_block_does_not_get_into_the_next_request(
    start: Start, admin: Admin
) -> None:
    async def view(db: AsyncpgDatabase, name: str) -> int:
        async def holds() -> None:
            async with db.connection() as connection:
                for number in range(30):
                    await asyncio.sleep(0.1)
                    await connection.execute(INSERT.format(f"{name}-{number}"))

        if name == "a":
            view.task = asyncio.create_task(holds())  # type: ignore[attr-defined]
            await asyncio.sleep(0.05)
        else:
            await insert(db, name)
            await asyncio.sleep(0.3)
        return 201

    client = start(view)
    assert client("/?a", "key-1")["statusCode"] == 503
    assert client("/?b", "key-2")["statusCode"] == 201
    assert client("/?c")["statusCode"] == 201
    assert names(admin) == ["b", "c"]
    succeeds(client, admin)


@pytest.mark.parametrize(
    "contexts",
    [
        # An identity pool of Cognito's: one role for all of its users.
        [
            {
                "authorizer": {
                    "iam": {
                        "userArn": "arn:aws:sts::1:assumed-role/R/CognitoIdentityCredentials",
                        "cognitoIdentity": {"identityId": f"eu:{who}"},
                    }
                }
            }
            for who in ("ada", "grace")
        ],
        [
            {"authentication": {"clientCert": {"issuerDN": "CN=x", "serialNumber": who}}}
            for who in ("1", "2")
        ],
    ],
    ids=["identity pool", "certificate"],
)
def test_callers_that_a_gateway_has_verified_do_not_share_keys(
    start: Start, admin: Admin, contexts: list[dict[str, Any]]
) -> None:
    async def view(db: AsyncpgDatabase, name: str) -> int:
        async with db.connection() as connection:
            await connection.execute("insert into things (name) values (gen_random_uuid())")
        return 201

    client = start(view)
    for context in contexts:
        client.context = context
        first = client("/?a", "key-1")
        assert first["statusCode"] == 201
        assert "idempotent-replayed" not in first["headers"]
    assert client("/?a", "key-1")["headers"]["idempotent-replayed"] == "true"
    assert len(names(admin)) == 2


def test_of_an_authorizer_that_names_nobody_all_that_it_says_counts(
    start: Start, admin: Admin
) -> None:
    async def view(db: AsyncpgDatabase, name: str) -> int:
        await insert(db, name)
        return 201

    client = start(view)
    client.context = {"authorizer": {"lambda": {"tenant": "one"}}}
    assert client("/?a", "key-1")["statusCode"] == 201
    assert client("/?a", "key-1")["statusCode"] == 201
    client.context = {"authorizer": {"lambda": {"tenant": "two"}}}
    assert client("/?a", "key-1")["statusCode"] == 422
    assert names(admin) == ["a"]


# pytest-timeout has this process's alarm.
BLOCKS = """
import sys, time
sys.path.insert(0, {root!r})
from tests.receipts.apps import Client
from tests.receipts.conftest import INSERT
from sunup import Handler, Settings, exactly_once
from sunup.{driver} import Database

settings = Settings.from_environment()
db = Database(settings)

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    name = scope["query_string"].decode()
    async with db.connection() as connection:
        await connection.execute(INSERT.format(name))
    if name == "blocks":
        time.sleep(10)
    await send({{"type": "http.response.start", "status": 201, "headers": []}})
    await send({{"type": "http.response.body", "body": b""}})

def wsgi(environ, start_response):
    name = environ["QUERY_STRING"]
    with db.connection() as connection:
        connection.execute(INSERT.format(name))
    if name == "blocks":
        time.sleep(10)
    start_response("201 Created", [])
    return [b""]

served = app if {driver!r} == "asyncpg" else wsgi
client = Client(Handler(exactly_once(served, database=db), settings=settings))
for name, key in (("blocks", {key!r}), ("fine", "key-2")):
    began = time.monotonic()
    response = client(f"/?{{name}}", key, seconds=1.0)
    print(response["statusCode"], time.monotonic() - began < 4)
"""


@pytest.mark.parametrize("key", [None, "key-1"])
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_an_app_that_blocks_is_ended_at_its_deadline(
    admin: Admin, database: dict[str, str], key: str | None, driver: str
) -> None:
    for statement in TABLES.split(";"):
        admin(statement)
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", BLOCKS.format(root=root, driver=driver, key=key)],
        env={**os.environ, **database},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    first, second = done.stdout.splitlines()
    assert first == ("503 True" if key else "500 True"), done.stderr
    assert second == "201 True"
    assert names(admin) == (["fine"] if key else ["blocks", "fine"])


SILENCE = """
import sys, time
sys.path.insert(0, {root!r})
from tests.receipts.apps import serving
from tests.receipts.proxy import proxy_of
from sunup import Settings

with proxy_of(Settings.from_environment()) as proxy, serving({kind!r}, proxy.settings) as client:
    client("/add?before", "key-0")
    proxy.plan = ["mute"]
    for key, seconds in (("key-1", 1.0), ("key-2", 20.0)):
        began = time.monotonic()
        response = client(f"/add?{{key}}", key, seconds=seconds)
        print(response["statusCode"], time.monotonic() - began < (4 if seconds < 2 else 15))
"""


@pytest.mark.parametrize("kind", ["asyncpg", "psycopg", "sqlalchemy"])
def test_a_network_that_falls_silent_does_not_outlast_the_deadline(
    admin: Admin, database: dict[str, str], kind: str
) -> None:
    for statement in TABLES.split(";"):
        admin(statement)
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", SILENCE.format(root=root, kind=kind)],
        env={**os.environ, **database},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["503 True", "201 True"], done.stderr


def test_asked_for_twice_there_is_one_receipt(serve: Start, admin: Admin) -> None:
    def made(db: AsyncpgDatabase) -> Any:
        async def view(request: Request) -> Response:
            await insert(db, request.url.query)
            return Response(status_code=201)

        app = Starlette(
            routes=[Mount("/", app=Starlette(routes=[Route("/", view, methods=["POST"])]))]
        )
        app.add_middleware(exactly_once, database=db)
        return exactly_once(app, database=db)

    client = serve(made)
    first = client("/?a", "key-1")
    assert first["statusCode"] == 201
    assert client("/?a", "key-1")["headers"]["idempotent-replayed"] == "true"
    assert names(admin) == ["a"]
    succeeds(client, admin)


def test_a_request_within_a_request_is_a_part_of_it(serve: Start, admin: Admin) -> None:
    def made(db: AsyncpgDatabase) -> Any:
        async def view(request: Request) -> Response:
            name = request.url.query
            if name.startswith("batch"):
                sent: list[Any] = []

                async def send(message: Any) -> None:
                    sent.append(message)

                async def receive() -> Any:
                    return {"type": "http.request", "body": b""}

                scope = {**request.scope, "query_string": f"{name}-item".encode()}
                scope["headers"] = [(b"idempotency-key", b"item")]
                await app(scope, receive, send)
                assert sent[0]["status"] == 201
                await insert(db, name)
                if name == "batch-fails":
                    raise ValueError(name)
                return Response(status_code=201)
            await insert(db, name.removeprefix("item-of-"))
            return Response(status_code=201)

        async def dispatch(request: Request) -> Response:
            if request.url.query.endswith("-item"):
                await insert(db, request.url.query)
                return Response(status_code=201)
            return await view(request)

        starlette = Starlette(routes=[Route("/", dispatch, methods=["POST"])])
        app = exactly_once(starlette, database=db)
        return app

    client = serve(made)
    assert client("/?batch-fails", "key-1")["statusCode"] == 500
    assert names(admin) == []
    assert client("/?batch", "key-2")["statusCode"] == 201
    assert client("/?batch", "key-2")["headers"]["idempotent-replayed"] == "true"
    assert names(admin) == ["batch-item", "batch"]
    succeeds(client, admin)


@pytest.mark.parametrize(
    "text",
    [
        "set local search_path = pg_temp",
        "set local role nobody_s",
        "set role nobody_s",
        "select set_config('search_path', 'pg_temp', true)",
        "set local statement_timeout = 20",
        "set local app.tenant = 'one'",
    ],
)
def test_settings_end_with_their_block(start: Start, admin: Admin, text: str) -> None:
    admin("drop role if exists nobody_s")
    admin("create role nobody_s")
    seen: list[Any] = []

    async def view(db: AsyncpgDatabase, name: str) -> int:
        async with db.transaction() as connection:
            await connection.execute(INSERT.format(f"{name}-1"))
            await connection.execute(text)
        async with db.connection() as connection:
            seen.append(
                await connection.fetchrow(
                    "select current_setting('search_path'), current_user::text,"
                    " current_setting('app.tenant', true), pg_sleep(0.05)::text"
                )
            )
            await connection.execute(INSERT.format(name))
        async with db.transaction() as connection:
            await connection.execute(text)
        return 201

    client = start(view)
    assert client("/?a", "key-1")["statusCode"] == 201
    path, user, tenant, _ = seen[0]
    assert (path, user, tenant or "") == ('"$user", public', "postgres", "")
    assert names(admin) == ["a-1", "a"]
    succeeds(client, admin)
    admin("drop role nobody_s")


def test_nor_do_they_come_back_when_a_later_block_is_undone(start: Start, admin: Admin) -> None:
    seen: list[Any] = []

    async def view(db: AsyncpgDatabase, name: str) -> int:
        async with db.transaction() as connection:
            await connection.execute("set local search_path = pg_temp")
            await connection.execute("set local app.who = 'alice'")
        for _ in range(2):
            with suppress(asyncpg.UndefinedTableError):
                async with db.transaction() as connection:
                    await connection.execute("set local app.who = 'bob'")
                    await connection.execute("select * from nothing")
            async with db.connection() as connection:
                seen.append(
                    await connection.fetchrow(
                        "select current_setting('search_path'), current_setting('app.who', true)"
                    )
                )
        await insert(db, name)
        return 201

    client = start(view)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert [(path, user or "") for path, user in seen] == [('"$user", public', "")] * 2
    succeeds(client, admin)


def test_a_session_s_setting_stays_beyond_a_commit_within_the_block(
    start: Start, admin: Admin
) -> None:
    admin("create schema tenant")
    admin("create table tenant.things (name text)")

    def view(db: PsycopgDatabase, name: str) -> int:
        with db.connection() as connection:
            connection.execute("set search_path = tenant")
            connection.commit()
            connection.execute(INSERT.format(name).encode())
        return 201

    client = start(view)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert admin("select name from tenant.things") == [("a",)]
    assert names(admin) == []


def test_a_receipt_that_the_app_has_emptied_is_an_error(start: Start, admin: Admin) -> None:
    async def view(db: AsyncpgDatabase, name: str) -> int:
        await insert(db, name)
        if name == "a":
            async with db.connection() as connection:
                await connection.execute("delete from sunup_receipts")
        return 201

    client = start(view)
    assert client("/?a", "key-1")["statusCode"] == 500
    assert names(admin) == []
    succeeds(client, admin)


def test_psycopg_s_rollback_ends_a_transaction_quietly(start: Start, admin: Admin) -> None:
    def undo() -> None:
        raise psycopg.Rollback

    def view(db: PsycopgDatabase, name: str) -> int:
        with db.transaction() as connection:
            connection.execute(INSERT.format(f"{name}-undone").encode())
            undo()
        with db.transaction() as connection:
            connection.execute(INSERT.format(name).encode())
        return 201

    client = start(view)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert names(admin) == ["a"]
    succeeds(client, admin)


def test_nor_do_psycopg_s_go_beyond_their_block(start: Start, admin: Admin) -> None:
    seen: list[Any] = []

    def view(db: PsycopgDatabase, name: str) -> int:
        with db.connection() as connection:
            connection.execute(INSERT.format(f"{name}-1").encode())
            connection.execute("set local search_path = pg_temp")
        with db.connection() as connection:
            seen.append(connection.execute("show search_path").fetchone())
            connection.execute(INSERT.format(name).encode())
            connection.execute("set search_path = pg_temp")
        return 201

    client = start(view)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert seen == [('"$user", public',)]
    succeeds(client, admin)


@pytest.mark.parametrize("path", ["header", "status", "large"])
def test_what_cannot_be_sent_leaves_nothing(serve: Start, admin: Admin, path: str) -> None:
    def made(db: AsyncpgDatabase) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                raise NotImplementedError
            name = scope["query_string"].decode()
            await insert(db, name)
            status, body, headers = 201, b"", []
            if name == "header":
                headers = [(b"x y", b"1")]
            elif name == "status":
                status = 99
            elif name == "large":
                body = b"x" * 7_000_000
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        return exactly_once(app, database=db)

    client = serve(made)
    assert client(f"/?{path}", "key-1")["statusCode"] == 500
    assert names(admin) == []
    succeeds(client, admin)


def test_whatever_follows_a_commit_the_answer_goes_out(start: Start, admin: Admin) -> None:
    seen: list[str] = []

    async def view(db: AsyncpgDatabase, name: str) -> int:
        async def slow() -> None:
            await asyncio.sleep(30)

        async def cancelled() -> None:
            raise asyncio.CancelledError

        async def uses_the_database() -> None:
            await insert(db, f"{name}-after")

        await insert(db, name)
        if name == "slow":
            after_commit(slow)
        if name == "cancelled":
            after_commit(cancelled)
        after_commit(lambda: seen.append(name))
        after_commit(uses_the_database)
        return 201

    client = start(view)
    assert client("/?cancelled", "key-1")["statusCode"] == 201
    assert seen == ["cancelled"]
    assert names(admin) == ["cancelled", "cancelled-after"]
    assert client("/?slow", "key-2", seconds=0.5)["statusCode"] == 201
    assert seen == ["cancelled"]
    assert client("/?slow", "key-2")["headers"]["idempotent-replayed"] == "true"


def test_a_transaction_that_was_not_ended_is_undone(start: Start, admin: Admin) -> None:
    async def view(db: AsyncpgDatabase, name: str) -> int:
        async with db.connection() as connection:
            kept = connection.transaction()
            await kept.start()
            await connection.execute(INSERT.format(f"{name}-kept"))
        async with db.connection() as connection:
            ended = connection.transaction()
            await ended.start()
            await connection.execute(INSERT.format(name))
            await ended.commit()
        return 201

    client = start(view)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert names(admin) == ["a"]
    succeeds(client, admin)


def test_the_work_is_not_run_again_and_again(start: Start, admin: Admin) -> None:
    runs: list[str] = []

    async def view(db: AsyncpgDatabase, name: str) -> int:
        runs.append(name)
        async with db.connection() as connection:
            if name == "read-only":
                await connection.execute("set transaction read only")
            await connection.execute(INSERT.format(name))
        return 201

    client = start(view, repeat=True)
    assert client("/?read-only", "key-1", seconds=3.0)["statusCode"] == 503
    assert 3 <= len(runs) <= 20
    succeeds(client, admin)


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
def test_requests_that_have_nothing_in_common_do_not_fail_each_other(
    start: Start, admin: Admin, isolation: str
) -> None:
    admin("analyze sunup_receipts")

    def view(db: PsycopgDatabase, name: str) -> int:
        with db.connection() as connection:
            connection.execute("select 1")
            time.sleep(0.02)
        return 200

    clients = [start(view, isolation=isolation) for _ in range(4)]
    answers: list[int] = []

    def work(number: int) -> None:
        answers.extend(
            clients[number](f"/?{each}", f"key-{number}-{each}")["statusCode"] for each in range(15)
        )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count(200) >= 58, answers  # an index page may be split


def test_a_statement_timeout_of_the_role_s_is_a_wait_that_took_too_long(
    start: Start, admin: Admin
) -> None:
    def view(db: PsycopgDatabase, name: str) -> int:
        with db.connection() as connection:
            connection.execute(INSERT.format(name).encode())
        if name == "slow":
            time.sleep(1.5)
        return 201

    database = admin("select current_database()")[0][0]
    one = start(view)
    assert one("/?before", "key-0")["statusCode"] == 201
    admin(f'alter database "{database}" set statement_timeout = 300')
    two = start(view)
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(one("/?slow", "key-1")["statusCode"]))
    thread.start()
    time.sleep(0.5)
    second = two("/?slow", "key-1")
    thread.join()
    assert answers == [201]
    assert second["statusCode"] in (201, 409)  # the deadline's own limit is longer
    succeeds(two, admin)


def test_a_body_that_was_cut_off_is_not_executed(settings: Any, admin: Admin) -> None:
    db = PsycopgDatabase(settings)

    def app(environ: Any, start_response: Any) -> Any:
        raise AssertionError

    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "CONTENT_LENGTH": "11",
        "HTTP_IDEMPOTENCY_KEY": "key-1",
        "wsgi.input": io.BytesIO(b"amount=1"),
    }
    answers: list[str] = []
    body = exactly_once(app, database=db)(environ, lambda status, _: answers.append(status))
    assert answers == ["400 Bad Request"]
    assert b"request_cut_off" in b"".join(body)


def test_no_answer_is_in_the_server_s_log(
    start: Start, admin: Admin, server: dict[str, str]
) -> None:
    admin("create table later (id int primary key deferrable initially deferred)")
    admin("insert into later values (1)")

    def view(db: PsycopgDatabase, name: str) -> int:
        with db.connection() as connection:
            connection.execute(INSERT.format(name).encode())
            if name == "secret":
                connection.execute("insert into later values (1)")
        return 201

    client = start(view)
    assert client("/?secret", "key-1")["statusCode"] == 500
    folder = Path(server["DB_HOST"])
    log = folder.with_name(f"{folder.name}.log").read_text(errors="replace")
    failed = [line for line in log.splitlines() if "STATEMENT" in line]
    assert any(line.rstrip().lower().endswith("commit") for line in failed), failed[-3:]
    assert not [line for line in failed if b"done".hex() in line]
    succeeds(client, admin)


@pytest.mark.parametrize(
    "options",
    [
        {"required": "post /x"},
        {"required": "POST  /p"},
        {"required": "GET /p"},
        {"required": "users"},
        {"keep": float("inf")},
        {"keep": 1e12},
        {"keep": 0},
        {"wait": float("nan")},
        {"wait": -1},
        {"largest": -1},
        {"isolation": "none"},
    ],
)
def test_an_option_that_could_not_work_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        exactly_once(lambda environ, start_response: [], database=PsycopgDatabase(), **options)


def test_a_database_of_another_kind_is_refused() -> None:
    def app(environ: Any, start_response: Any) -> Any: ...

    with pytest.raises(TypeError, match=r"sunup\.psycopg\.Database"):
        exactly_once(app, database=AsyncpgDatabase())
    with pytest.raises(TypeError, match="expected a Database"):
        exactly_once(app, database=object())
    with pytest.raises(TypeError, match="required has 1"):
        exactly_once(app, database=PsycopgDatabase(), required=[1])  # type: ignore[list-item]


def test_a_pause_between_two_blocks_may_be_longer_than_the_idle_timeout(
    settings: Any, admin: Admin
) -> None:
    for statement in TABLES.split(";"):
        admin(statement)
    db = PsycopgDatabase(replace(settings, idle_session_timeout=0.5))

    def app(environ: Any, start_response: Any) -> Any:
        for name in ("a", "b"):
            with db.connection() as connection:
                connection.execute(INSERT.format(name).encode())
                connection.execute("set local search_path = public")
            time.sleep(1.0)
        start_response("201 Created", [])
        return [b""]

    client = Client(Handler(exactly_once(app, database=db), settings=settings))
    assert client("/?a", "key-1")["statusCode"] == 201
    assert names(admin) == ["a", "b"]
    db.close()


@pytest.mark.parametrize("named", [object(), 1.5, ["a"], True])
def test_a_caller_that_is_no_text_is_an_error(start: Start, admin: Admin, named: Any) -> None:
    def view(db: PsycopgDatabase, name: str) -> int:
        raise AssertionError

    client = start(view, caller=lambda scope: named)
    assert client("/?a", "key-1")["statusCode"] == 500
    assert names(admin) == []


def test_the_app_may_say_who_calls(start: Start, admin: Admin) -> None:
    def view(db: PsycopgDatabase, name: str) -> int:
        with db.connection() as connection:
            connection.execute(INSERT.format(name).encode())
        return 201

    client = start(view, caller=lambda environ: environ.get("HTTP_X_USER"))
    for user in ("ada", "grace"):
        first = client(f"/?{user}", "key-1", headers={"x-user": user, "authorization": "1"})
        again = client(f"/?{user}", "key-1", headers={"x-user": user, "authorization": "2"})
        assert (first["statusCode"], again["statusCode"]) == (201, 201)
    assert names(admin) == ["ada", "grace"]


@pytest.mark.parametrize("copied", [True, False])
def test_a_thread_of_an_earlier_run_does_not_join_a_later_one(
    start: Start, admin: Admin, copied: bool
) -> None:
    runs: list[int] = []
    refused: list[str] = []

    def view(db: PsycopgDatabase, name: str) -> int:
        runs.append(1)

        def charge() -> None:
            time.sleep(0.2)
            try:
                with db.connection() as connection:
                    connection.execute(INSERT.format("charge").encode())
            except BaseException as error:
                refused.append(type(error).__name__)

        if runs == [1]:
            run = copy_context().run
            target = (lambda: run(charge)) if copied else charge
            threading.Thread(target=target, daemon=True).start()
            raise psycopg.errors.SerializationFailure("as if")
        time.sleep(0.4)
        with db.connection() as connection:
            connection.execute(INSERT.format(name).encode())
        return 201

    client = start(view, repeat=True)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert refused == ["DeadlineExceeded" if copied else "ConnectionsBusy"]
    assert names(admin) == ["a"]
    succeeds(client, admin)


def test_the_isolation_is_the_role_s_own_unless_it_is_said(start: Start, admin: Admin) -> None:
    seen: list[str] = []

    async def view(db: AsyncpgDatabase, name: str) -> int:
        async with db.connection() as connection:
            seen.append(await connection.fetchval("show transaction_isolation"))
            await connection.execute(INSERT.format(name))
        return 201

    database = admin("select current_database()")[0][0]
    admin(f"alter database \"{database}\" set default_transaction_isolation = 'serializable'")
    assert start(view)("/?a", "key-1")["statusCode"] == 201
    assert start(view, isolation="repeatable_read")("/?b", "key-2")["statusCode"] == 201
    assert seen == ["serializable", "repeatable read"]


def test_a_statement_whose_end_cannot_be_told_does_not_end_the_transaction(
    start: Start, admin: Admin
) -> None:
    def view(db: PsycopgDatabase, name: str) -> int:
        with db.connection() as connection:
            connection.execute(INSERT.format(name).encode())
            if name == "a":
                cursor = connection.cursor()
                for text in ("select U&'a'; commit", "commit /* /* */ */"):
                    with pytest.raises(psycopg.InterfaceError):
                        cursor.execute(text.encode())
                with pytest.raises(psycopg.InterfaceError):
                    list(cursor.stream("commit"))
                with pytest.raises(psycopg.InterfaceError), cursor.copy("commit"):
                    pass
                raise ValueError(name)
        return 201

    client = start(view)
    assert client("/?a", "key-1")["statusCode"] == 500
    assert names(admin) == []
    assert client("/?b", "key-1")["statusCode"] == 201
    succeeds(client, admin)


def test_a_cursor_s_and_a_row_s_kind_end_with_their_block(start: Start, admin: Admin) -> None:
    seen: list[Any] = []

    def view(db: PsycopgDatabase, name: str) -> int:
        with db.connection() as connection:
            connection.row_factory = psycopg.rows.dict_row  # type: ignore[assignment]
            seen.append(connection.execute("select 1 as one").fetchone())
        with db.connection() as connection:
            seen.append(connection.execute("select 1 as one").fetchone())
            connection.execute(INSERT.format(name).encode())
        return 201

    client = start(view)
    assert client("/?a", "key-1")["statusCode"] == 201
    assert seen == [{"one": 1}, (1,)]
    succeeds(client, admin)


def test_a_transaction_that_is_to_read_only_does(start: Start, admin: Admin) -> None:
    async def view(db: AsyncpgDatabase, name: str) -> int:
        async with db.transaction(readonly=True) as connection:
            await connection.fetchval("select 1")
        await insert(db, name)
        if name == "writes":
            async with db.transaction(readonly=True) as connection:
                await connection.execute(INSERT.format("never"))
        return 201

    client = start(view)
    assert client("/?writes", "key-1")["statusCode"] == 503
    assert names(admin) == []
    succeeds(client, admin)


def test_a_locked_table_does_not_delay_what_is_committed(start: Start, admin: Admin) -> None:
    def view(db: PsycopgDatabase, name: str) -> int:
        with db.connection() as connection:
            connection.execute(INSERT.format(name).encode())
        return 201

    client = start(view, keep=1)
    admin("insert into sunup_receipts values ('x', 'x', now() - interval '9 hours', 200)")
    began = time.monotonic()
    # One of these removes what has expired.
    for number in range(120):
        assert client(f"/?{number}", f"key-{number}")["statusCode"] == 201
        if admin("select count(*) from sunup_receipts where key = 'x'") == [(0,)]:
            break
    assert admin("select count(*) from sunup_receipts where key = 'x'") == [(0,)]
    assert time.monotonic() - began < 30


def test_a_statement_of_before_a_migration_is_prepared_again(start: Start, admin: Admin) -> None:
    async def view(db: AsyncpgDatabase, name: str) -> int:
        async with db.connection() as connection:
            await connection.fetch("select * from things")
            await connection.execute(INSERT.format(name))
        return 201

    client = start(view, repeat=True)
    assert client("/?a", "key-1")["statusCode"] == 201
    admin("alter table things add column more int")
    assert client("/?b", "key-2")["statusCode"] == 201
    succeeds(client, admin)


def test_a_key_on_another_host_is_another_request(start: Start, admin: Admin) -> None:
    def view(db: PsycopgDatabase, name: str) -> int:
        with db.connection() as connection:
            connection.execute(INSERT.format(name).encode())
        return 201

    client = start(view)
    one, two = {"host": "a.example"}, {"host": "b.example"}
    assert client("/?a", "key-1", headers=one)["statusCode"] == 201
    assert client("/?a", "key-1", headers=two)["statusCode"] == 422
    assert client("/?a", "key-1", headers=one)["statusCode"] == 201
    assert names(admin) == ["a"]


def test_what_fails_when_a_wsgi_response_is_closed_does_not_undo_it(
    settings: Any, admin: Admin
) -> None:
    for statement in TABLES.split(";"):
        admin(statement)
    db = PsycopgDatabase(settings)

    class Closing:
        def __iter__(self) -> Any:
            return iter([b"done"])

        def close(self) -> None:
            raise OSError("no mail")

    def app(environ: Any, start_response: Any) -> Any:
        with db.connection() as connection:
            connection.execute(INSERT.format(environ["QUERY_STRING"]).encode())
        start_response("201 Created", [])
        return Closing()

    client = Client(Handler(exactly_once(app, database=db), settings=settings))
    assert client("/?plain")["statusCode"] == 201
    assert client("/?a", "key-1")["statusCode"] == 201
    assert client("/?a", "key-1")["headers"]["idempotent-replayed"] == "true"
    assert names(admin) == ["plain", "a"]
    db.close()


@pytest.mark.parametrize("together", [8, 20])
def test_many_at_once_in_one_process_on_threads(settings: Any, admin: Admin, together: int) -> None:
    for statement in TABLES.split(";"):
        admin(statement)
    db = PsycopgDatabase(replace(settings, pool_size=5))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        def work() -> None:
            with db.connection() as connection:
                connection.execute(INSERT.format(scope["query_string"].decode()).encode())

        await asyncio.to_thread(work)
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    served = exactly_once(app, database=db)

    one = partial(posted, served)

    async def all_of_them() -> list[int]:
        mine = [one(f"n{number}", f"key-{number}") for number in range(together)]
        same = [one("n0", "key-0") for _ in range(5)]
        return await asyncio.gather(*mine, *same)

    assert asyncio.run(all_of_them()) == [201] * (together + 5)
    assert len(names(admin)) == together
    db.close()


def test_what_ends_prepared_statements_does_not_end_the_request(start: Start, admin: Admin) -> None:
    async def view(db: AsyncpgDatabase, name: str) -> int:
        await insert(db, name)
        async with db.connection() as connection:
            if name == "b":
                await connection.execute("deallocate all")
        async with db.connection() as connection:
            await connection.fetchval("select count(*) from things")
        return 201

    client = start(view)
    for name in ("a", "b", "c"):
        assert client(f"/?{name}", f"key-{name}")["statusCode"] == 201
    assert names(admin) == ["a", "b", "c"]


def test_a_worker_of_the_app_s_is_not_part_of_a_request(serve: Start, admin: Admin) -> None:
    done: list[str] = []

    def made(db: AsyncpgDatabase) -> Any:
        asked = asyncio.Queue[str]()

        async def worker() -> None:
            while True:
                await insert(db, await asked.get())
                done.append("done")

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await receive()
                app.task = asyncio.create_task(worker())  # type: ignore[attr-defined]
                await send({"type": "lifespan.startup.complete"})
                return
            name = scope["query_string"].decode()
            await insert(db, name)
            await asked.put(f"{name}-audit")
            await asyncio.sleep(0.2)
            if name == "fails":
                raise ValueError(name)
            await send({"type": "http.response.start", "status": 201, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        return exactly_once(app, database=db)

    client = serve(made)
    assert client("/?fails", "key-1")["statusCode"] == 500
    assert client("/?a", "key-2")["statusCode"] == 201
    assert client("/?b")["statusCode"] == 201
    for _ in range(100):
        if len(done) == 3:
            break
        assert client("/?fails")["statusCode"] in (500, 503)
        time.sleep(0.05)
    assert "fails-audit" in names(admin)
    assert "a" in names(admin)


def test_an_app_on_another_database_has_receipts_of_its_own(settings: Any, admin: Admin) -> None:
    for statement in TABLES.split(";"):
        admin(statement)
    one, two = PsycopgDatabase(settings), PsycopgDatabase(settings)

    def charge(environ: Any, start_response: Any) -> Any:
        with two.connection() as connection:
            connection.execute(INSERT.format("charge").encode())
        with one.connection() as connection:
            connection.execute(INSERT.format("of-the-outer").encode())
        start_response("201 Created", [])
        return [b""]

    charged = exactly_once(charge, database=two)

    def app(environ: Any, start_response: Any) -> Any:
        with one.connection() as connection:
            connection.execute(INSERT.format("outer").encode())
        list(charged({**environ, "HTTP_IDEMPOTENCY_KEY": "charge-1"}, lambda *_: None))
        if environ["QUERY_STRING"] == "fails":
            raise ValueError
        start_response("201 Created", [])
        return [b""]

    client = Client(Handler(exactly_once(app, database=one), settings=settings))
    for _ in range(3):
        assert client("/?fails", "key-1")["statusCode"] == 500
    assert names(admin) == ["charge"]
    assert client("/?fine", "key-2")["statusCode"] == 422 or names(admin) == ["charge", "outer"]
    one.close()
    two.close()


def test_a_worker_that_began_in_a_request_works_on_in_later_ones(
    settings: Any, admin: Admin
) -> None:
    for statement in TABLES.split(";"):
        admin(statement)
    db = AsyncpgDatabase(settings)
    workers: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        name = scope["query_string"].decode()
        if not workers:
            asked: asyncio.Queue[tuple[str, asyncio.Future[None]]] = asyncio.Queue()

            async def worker() -> None:
                while True:
                    text, done = await asked.get()
                    try:
                        await insert(db, text)
                        done.set_result(None)
                    except BaseException as error:
                        done.set_exception(RuntimeError(repr(error)))

            workers.extend((asked, asyncio.create_task(worker())))
        if name != "works":
            done = asyncio.get_running_loop().create_future()
            await workers[0].put((name, done))
            await done
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    served = exactly_once(app, database=db)

    call = partial(posted, served)

    async def all_of_it() -> None:
        assert await call("works", "key-1") == 201
        assert await call("plain", None) == 201
        workers[1].cancel()
        await db.close()

    asyncio.run(all_of_it())
    assert names(admin) == ["plain"]


def test_a_process_that_was_forked_has_threads_of_its_own(settings: Any, admin: Admin) -> None:
    for statement in TABLES.split(";"):
        admin(statement)
    code = f"""
import asyncio, os, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.receipts.apps import serving
from sunup import Settings
settings = Settings.from_environment()
with serving("psycopg-threads", settings) as client:
    print(client("/add?parent", "key-1")["statusCode"], flush=True)
    if os.fork() == 0:
        with serving("psycopg-threads", settings) as mine:
            print(mine("/add?child", "key-2")["statusCode"], flush=True)
        os._exit(0)
    os.wait()
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={
            **os.environ,
            "DB_HOST": settings.host,
            "DB_NAME": settings.database,
            "DB_USER": settings.user,
            "DB_PASSWORD": "any",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.stdout.split() == ["201", "201"], done.stderr
    assert sorted(names(admin)) == ["child", "parent"]


@pytest.mark.parametrize("nobody", ["", None, 0])
def test_who_is_nobody_has_to_send_the_same_credentials(
    start: Start, admin: Admin, nobody: Any
) -> None:
    def view(db: PsycopgDatabase, name: str) -> int:
        with db.connection() as connection:
            connection.execute(INSERT.format(name).encode())
        return 201

    client = start(view, caller=lambda environ: nobody)
    for header in ("authorization", "cookie", "x-amzn-mtls-clientcert-serial-number"):
        assert client(f"/?{header}", header, headers={header: "ada"})["statusCode"] == 201
        assert client(f"/?{header}", header, headers={header: "bob"})["statusCode"] == 422
    typed = [{"content-type": f"text/{kind}"} for kind in ("a", "b")]
    assert client("/?type", "type", headers=typed[0])["statusCode"] == 201
    assert client("/?type", "type", headers=typed[1])["statusCode"] == 422


def test_a_request_that_is_cancelled_while_a_thread_waits_for_its_connection_leaves_none(
    settings: Any, admin: Admin
) -> None:
    for statement in TABLES.split(";"):
        admin(statement)
    db = PsycopgDatabase(replace(settings, pool_size=1))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        def work() -> None:
            with db.connection() as connection:
                connection.execute(INSERT.format(scope["query_string"].decode()).encode())
                time.sleep(0.4)

        await asyncio.to_thread(work)
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    served = exactly_once(app, database=db)

    call = partial(posted, served)

    async def all_of_it() -> None:
        plain = asyncio.create_task(call("plain", None))
        await asyncio.sleep(0.1)
        keyed = asyncio.create_task(call("keyed", "key-1"))
        await asyncio.sleep(0.1)
        keyed.cancel()
        await asyncio.wait([keyed])
        assert await plain == 201
        assert await asyncio.wait_for(call("after", None), 5) == 201
        assert await asyncio.wait_for(call("keyed", "key-1"), 5) == 201

    asyncio.run(all_of_it())
    assert names(admin) == ["plain", "after", "keyed"]
    db.close()


def test_a_claim_that_is_answered_when_its_request_has_ended_takes_nothing(
    settings: Any, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    for statement in TABLES.split(";"):
        admin(statement)
    db = PsycopgDatabase(replace(settings, pool_size=1))
    unit = db.unit()
    begin_with = PsycopgConnection.begin_with
    claimed, ended = threading.Event(), threading.Event()

    def slowly(self: Any, *arguments: Any) -> int:
        rows = begin_with(self, *arguments)
        claimed.set()
        assert ended.wait(10)
        return rows

    monkeypatch.setattr(PsycopgConnection, "begin_with", slowly)
    claim = ClaimText(b"k" * 32, b"f" * 32, "ab", wait=1.0, idle=60.0, keep=60)
    outcome: list[BaseException] = []

    def begin() -> None:
        try:
            unit.begin(claim, None)
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=begin)
    thread.start()
    assert claimed.wait(10)
    unit.end()
    ended.set()
    thread.join()
    assert [type(each).__name__ for each in outcome] == ["ConnectionsBusy"]
    with db.connection() as connection:
        connection.execute(INSERT.format("plain").encode())
    assert names(admin) == ["plain"]
    assert admin("select count(*) from pg_stat_activity where state like 'idle in%'") == [(0,)]
    db.close()


def test_nobody_is_told_no_while_a_thread_still_commits(
    settings: Any, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    for statement in TABLES.split(";"):
        admin(statement)
    commit_joined = PsycopgConnection.commit_joined

    def slowly(self: Any) -> None:
        time.sleep(1.2)
        commit_joined(self)

    with serving("psycopg-threads", settings) as client:
        assert client("/add?before", "key-0")["statusCode"] == 201
        monkeypatch.setattr(PsycopgConnection, "commit_joined", slowly)
        told = client("/add?a", "key-1", seconds=0.5)
        monkeypatch.undo()
        assert told["statusCode"] == 503
        assert content(told)["executed"] == "unknown"
        assert client("/add?a", "key-1")["statusCode"] == 201
        assert names(admin) == ["before", "a"]


@pytest.mark.parametrize("fate", ["raises", "lost", "answer lost"])
@pytest.mark.parametrize("kind", ["asyncpg", "psycopg", "sqlalchemy", "sqlalchemy-async"])
def test_the_request_after_and_the_one_after_a_freeze_are_as_ever(
    settings: Any, admin: Admin, kind: str, fate: str
) -> None:
    for statement in TABLES.split(";"):
        admin(statement)
    # As in a freeze that is long: the server ends the session that rests.
    resting = replace(settings, idle_session_timeout=0.5)
    with proxy_of(resting) as proxy, serving(kind, proxy.settings) as client:
        if fate == "raises":
            assert client("/raises?a", "key-1")["statusCode"] == 500
        else:
            proxy.plan = [fate]
            assert client("/add?a", "key-1")["statusCode"] in (201, 503)
        assert client("/add?plain")["statusCode"] == 201
        time.sleep(1.0)
        assert client("/add?frozen")["statusCode"] == 201
        assert client("/add?keyed", "key-2")["statusCode"] == 201
        assert [name for name in names(admin) if name != "a"] == ["plain", "frozen", "keyed"]
        assert admin("select count(*) from pg_stat_activity where state like 'idle in%'") == [(0,)]
