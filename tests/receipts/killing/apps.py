"""The app: a POST puts a row into each of two tables, in two blocks, and answers its number.

Nothing in the tables forbids a second row for the same POST: a second run of it shows. Each run of
the work has a name, which says in which process it was.
"""

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from random import random
from typing import Any

from sunup import after_commit, exactly_once
from sunup.receipts.texts import CREATE

TABLES = f"""
{CREATE};
create table posts (number int generated always as identity, post text not null, run text not null);
create table details (run text not null);
-- Those of the naive ways.
create table answers (key text primary key, status int, body text);
"""
INSERT = "insert into posts (post, run) values ({}, {}) returning number"
DETAIL = "insert into details (run) values ({})"

STATUSES = {"/refused": 422, "/limited": 429}

# What the processes are told by their environment: arguments of `exactly_once`, and a file in which
# each call after a COMMIT is noted.
ARGUMENTS, NOTES = "KILLING_ARGUMENTS", "KILLING_NOTES"

_numbers = itertools.count()

# One answer of the app's, by its status.
Answer = tuple[int, bytes]
# Runs a block of the work: statement and values; a number where one is returned.
Execute = Callable[..., Any]


def a_run(post: str) -> str:
    """The name of this run of a POST's work."""
    return f"{post}/{os.getpid()}.{next(_numbers)}"


def note_commit(run: str) -> None:
    """When this run has been committed, note it."""

    def note() -> None:
        with Path(os.environ[NOTES]).open("a") as file:
            file.write(f"{run}\n")

    after_commit(note)


def _once(app: Any, db: Any) -> Any:
    return exactly_once(app, database=db, **json.loads(os.environ[ARGUMENTS]))


def answer(path: str, post: str, number: int) -> Answer:
    """What the client is told. Raises what an app may raise."""
    if path == "/flaky" and random() < 0.5:
        raise ValueError("of the app")
    status = STATUSES.get(path, 201)
    return status, json.dumps({"post": post, "number": number}).encode()


def on_asyncpg(settings: Any) -> tuple[Any, Any]:
    """The app, and its database."""
    from sunup.asyncpg import Database

    db = Database(settings)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        post = (await receive())["body"].decode()
        run = a_run(post)
        async with db.connection() as c:
            number = await c.fetchval(INSERT.format("$1", "$2"), post, run)
        note_commit(run)
        async with db.connection() as c:
            await c.execute(DETAIL.format("$1"), run)
        status, body = answer(scope["path"], post, number)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return _once(app, db), db


def on_psycopg(settings: Any) -> tuple[Any, Any]:
    """The app, and its database."""
    from sunup.psycopg import Database

    db = Database(settings)

    def work(path: str, post: str) -> Answer:
        run = a_run(post)
        with db.connection() as c:
            row = c.execute(INSERT.format("%s", "%s"), (post, run)).fetchone()
            assert row is not None
        note_commit(run)
        with db.connection() as c:
            c.execute(DETAIL.format("%s"), (run,))
        return answer(path, post, row[0])

    return _once(wsgi(lambda path, post, _: work(path, post)), db), db


def wsgi(respond: Callable[[str, str, str], Answer]) -> Any:
    """A WSGI app of what answers a path, a POST and its key."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        post = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
        key = environ.get("HTTP_IDEMPOTENCY_KEY", "")
        status, body = respond(environ["PATH_INFO"], post, key)
        start_response(f"{status} As asked", [("content-type", "application/json")])
        return [body]

    return app
