"""The app: a POST puts a row into each of two tables, in two blocks, and answers its number.

Nothing in the tables forbids a second row for the same POST: a second run of it shows. Each run of
the work has a name, which says in which process it was.
"""

import itertools
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import random
from typing import Any

from sunup import after_commit, exactly_once
from sunup.receipts.texts import CREATE

TABLES = f"""
drop schema public cascade;
create schema public;
{CREATE};
create table posts (number int generated always as identity, post text not null, run text not null);
create table details (run text not null);
-- Those of the naive ways.
create table answers (key text primary key, status int, body text);
"""
INSERT = "insert into posts (post, run) values ({}, {}) returning number"
DETAIL = "insert into details (run) values ({}) returning 1"

STATUSES = {"/refused": 422, "/limited": 429}

# What the processes are told by their environment: arguments of `exactly_once`, and a file in which
# each call after a COMMIT is noted.
ARGUMENTS, NOTES = "KILLING_ARGUMENTS", "KILLING_NOTES"

_numbers = itertools.count()

# One answer of the app's, by its status.
Answer = tuple[int, bytes]


def a_run(post: str) -> str:
    """The name of this run of a POST's work."""
    return f"{post}/{os.getpid()}.{next(_numbers)}"


def note_commit(run: str) -> None:
    """When this run has been committed, note it."""

    def note() -> None:
        with Path(os.environ[NOTES]).open("a") as file:
            file.write(f"{run}\n")

    after_commit(note)


def once(app: Any, database: Any) -> Any:
    """`exactly_once` as this process is told."""
    return exactly_once(app, database=database, **json.loads(os.environ[ARGUMENTS]))


def answer(path: str, post: str, number: int) -> Answer:
    """What the client is told. Raises what an app may raise."""
    if path == "/flaky" and random() < 0.5:
        raise ValueError("of the app")
    status = STATUSES.get(path, 201)
    return status, json.dumps({"post": post, "number": number}).encode()


async def work_async(block: Callable[..., Awaitable[int]], path: str, post: str) -> Answer:
    """A POST's work, in two blocks."""
    run = a_run(post)
    number = await block(INSERT, post, run)
    note_commit(run)
    await block(DETAIL, run)
    return answer(path, post, number)


def work(block: Callable[..., int], path: str, post: str) -> Answer:
    """A POST's work, in two blocks."""
    run = a_run(post)
    number = block(INSERT, post, run)
    note_commit(run)
    block(DETAIL, run)
    return answer(path, post, number)


def asgi(respond: Callable[[str, str], Awaitable[Answer]]) -> Any:
    """An ASGI app of what answers a path and a POST."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        status, body = await respond(scope["path"], (await receive())["body"].decode())
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def wsgi(respond: Callable[[str, str, str], Answer]) -> Any:
    """A WSGI app of what answers a path, a POST and its key."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        post = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
        key = environ.get("HTTP_IDEMPOTENCY_KEY", "")
        status, body = respond(environ["PATH_INFO"], post, key)
        start_response(f"{status} As asked", [("content-type", "application/json")])
        return [body]

    return app
