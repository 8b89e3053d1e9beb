"""The same app on each kind of database: what it does is told by the path, and by the query."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import asyncpg
import psycopg

from sunup import Handler, after_commit, exactly_once
from sunup.settings import Settings

TABLES = """
create table sunup_receipts (
  key bytea primary key, fingerprint bytea not null, status smallint, headers text, body bytea,
  created_at timestamptz not null default now()
);
create index on sunup_receipts (created_at);
create table things (id int generated always as identity, name text unique)
"""

INSERT = "insert into things (name) values ('{}')"


class Taken(Exception):
    """The name is taken."""


class Store:
    """Async: `await store.insert(name)` in a block of its own; `Store.both` in one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


def asyncpg_app(settings: Settings, **options: Any) -> Any:
    from sunup.asyncpg import Database

    db = Database(settings)

    async def insert(name: str) -> int:
        async with db.connection() as c:
            try:
                return int(
                    await c.fetchval("insert into things (name) values ($1) returning id", name)
                )
            except asyncpg.UniqueViolationError:
                raise Taken from None

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        query = scope["query_string"].decode()
        body = (await receive())["body"]
        status, content, headers = await work(
            insert, scope["path"].strip("/"), query, body, asyncio.sleep
        )
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    app.db = db  # type: ignore[attr-defined]
    return exactly_once(app, database=db, **options)


async def work(
    insert: Callable[[str], Awaitable[int]],
    path: str,
    query: str,
    body: bytes,
    sleep: Callable[[float], Awaitable[None]],
) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    headers = [(b"content-type", b"text/plain"), (b"x-own", b"1")]
    if path == "add":
        return 201, b"%d" % await insert(query), headers
    if path == "slow":
        number = await insert(query)
        await sleep(1.0)
        return 201, b"%d" % number, headers
    if path == "taken":
        await insert(query)
        try:
            await insert(query)
        except Taken:
            return 409, b"taken", headers
    if path == "over":
        await insert(query)
        with suppress(Taken):
            await insert(query)
        return 201, b"%d" % await insert(query + "2"), headers
    if path == "raises":
        await insert(query)
        raise ValueError("of the app")
    if path == "status":
        status, _, name = query.partition("&")
        await insert(name)
        return int(status), b"as asked", headers
    if path == "large":
        await insert("large")
        return 200, b"x" * int(query), headers
    if path == "body":
        return 200, b"%d %d" % (len(body), await insert(query)), headers
    raise LookupError(path)


class Client:
    """Calls a handler as an HTTP API does."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.caller: dict[str, Any] | None = None

    def __call__(
        self,
        path: str,
        key: str | None = None,
        *,
        method: str = "POST",
        body: str = "",
        headers: dict[str, str] | None = None,
        request_id: str = "r-1",
    ) -> dict[str, Any]:
        raw, _, query = path.partition("?")
        fields = {} if key is None else {"idempotency-key": key}
        context: dict[str, Any] = {
            "http": {"method": method, "path": raw, "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4"},
            "timeEpoch": int(time.time() * 1000),
            "requestId": request_id,
        }
        if self.caller is not None:
            context["authorizer"] = {"jwt": {"claims": self.caller, "scopes": None}}
        event = {
            "version": "2.0",
            "rawPath": raw,
            "rawQueryString": query,
            "headers": {**fields, **(headers or {})},
            "requestContext": context,
            "body": body,
            "isBase64Encoded": False,
        }
        response: dict[str, Any] = self.handler(event, None)
        return response


@contextmanager
def serving(app: Any, settings: Settings) -> Iterator[Client]:
    handler = Handler(app, settings=settings)
    try:
        yield Client(handler)
    finally:
        db = getattr(app, "db", None)
        if db is not None:
            closed = db.close()
            if closed is not None:
                handler.submit(closed).result(10)
        handler.close()


def content(response: dict[str, Any]) -> Any:
    return json.loads(response["body"])


_ = after_commit, psycopg
