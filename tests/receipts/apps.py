"""The same app on each kind of database: what it does is told by the path, and by the query."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import asyncpg
import psycopg
import sqlalchemy
import sqlalchemy.exc
from sqlalchemy.orm import Session

from sunup import Handler, exactly_once
from sunup.receipts.texts import CREATE
from sunup.settings import Settings

TABLES = f"{CREATE}; create table things (id int generated always as identity, name text unique)"

INSERT = "insert into things (name) values ({}) returning id"

Insert = Callable[[str], Awaitable[int]]


class Taken(Exception):
    """The name is taken."""


async def work(insert: Insert, path: str, query: str, body: bytes) -> tuple[int, bytes]:
    """What a request asks for; each `insert` is a block of its own."""
    name = query
    if path == "add":
        return 201, b"%d" % await insert(name)
    if path in ("slow", "slower"):
        number = await insert(name)
        time.sleep(0.6 if path == "slow" else 2.0)  # noqa: ASYNC251
        return 201, b"%d" % number
    if path == "taken":
        await insert(name)
        try:
            await insert(name)
        except Taken:
            return 409, b"taken"
    if path == "refused":
        try:
            await insert(name)
        except Taken:
            return 409, b"taken"
    if path == "over":
        await insert(name)
        with suppress(Taken):
            await insert(name)
        return 201, b"%d" % await insert(f"{name}2")
    if path == "raises":
        await insert(name)
        raise ValueError("of the app")
    if path == "status":
        status, _, name = query.partition("-")
        await insert(name)
        return int(status), b"as asked"
    if path == "large":
        await insert("large")
        return 200, b"x" * int(query)
    if path == "body":
        return 200, b"%d %d" % (len(body), await insert(name))
    raise LookupError(path)


def asgi(insert: Insert, **attributes: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        body = (await receive())["body"]
        status, content = await work(
            insert, scope["path"].strip("/"), scope["query_string"].decode(), body
        )
        headers = [(b"content-type", b"text/plain"), (b"x-own", b"1")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    vars(app).update(attributes)
    return app


def wsgi(insert: Callable[[str], int], **attributes: Any) -> Any:
    async def inserted(name: str) -> int:
        return insert(name)

    def app(environ: Any, start_response: Any) -> Any:
        coroutine = work(
            inserted,
            environ["PATH_INFO"].strip("/"),
            environ["QUERY_STRING"],
            environ["wsgi.input"].read(),
        )
        try:
            coroutine.send(None)
        except StopIteration as end:
            status, content = end.value
        headers = [("Content-Type", "text/plain"), ("X-Own", "1")]
        start_response(f"{status} X", headers)
        return [content]

    vars(app).update(attributes)
    return app


def on_asyncpg(settings: Settings) -> tuple[Any, Any, Any]:
    from sunup.asyncpg import Database

    db = Database(settings)

    async def insert(name: str) -> int:
        try:
            async with db.connection() as connection:
                number: int = await connection.fetchval(INSERT.format("$1"), name)
                return number
        except asyncpg.UniqueViolationError:
            raise Taken from None

    return asgi(insert), db, db


def on_asyncpg_in_transactions(settings: Settings) -> tuple[Any, Any, Any]:
    from sunup.asyncpg import Database

    db = Database(settings)

    async def insert(name: str) -> int:
        try:
            async with db.transaction() as connection:
                number: int = await connection.fetchval(INSERT.format("$1"), name)
                return number
        except asyncpg.UniqueViolationError:
            raise Taken from None

    return asgi(insert), db, db


def on_psycopg(settings: Settings) -> tuple[Any, Any, Any]:
    from sunup.psycopg import Database

    db = Database(settings)

    def insert(name: str) -> int:
        try:
            with db.connection() as connection:
                row = connection.execute(INSERT.format("%s"), (name,)).fetchone()
                assert row is not None
                return int(row[0])
        except psycopg.errors.UniqueViolation:
            raise Taken from None

    return wsgi(insert), db, db


def on_psycopg_in_threads(settings: Settings) -> tuple[Any, Any, Any]:
    from sunup.psycopg import Database

    db = Database(settings)

    def insert(name: str) -> int:
        with db.transaction() as connection:
            try:
                row = connection.execute(INSERT.format("%s"), (name,)).fetchone()
            except psycopg.errors.UniqueViolation:
                raise Taken from None
            assert row is not None
            return int(row[0])

    async def inserted(name: str) -> int:
        return await asyncio.to_thread(insert, name)

    return asgi(inserted), db, db


def on_sqlalchemy(settings: Settings) -> tuple[Any, Any, Any]:
    from sunup.integrations.sqlalchemy import create_engine
    from sunup.psycopg import Database

    db = Database(settings)
    engine = create_engine(db)

    def insert(name: str) -> int:
        with Session(engine) as session:
            try:
                row = session.execute(sqlalchemy.text(INSERT.format(":name")), {"name": name})
            except sqlalchemy.exc.IntegrityError:
                raise Taken from None
            number: int = row.scalar_one()
            session.commit()
            return number

    return wsgi(insert), engine, db


def on_async_sqlalchemy(settings: Settings) -> tuple[Any, Any, Any]:
    from sqlalchemy.ext.asyncio import AsyncSession

    from sunup.asyncpg import Database
    from sunup.integrations.sqlalchemy import create_async_engine

    db = Database(settings)
    engine = create_async_engine(db)

    async def insert(name: str) -> int:
        async with AsyncSession(engine) as session:
            try:
                row = await session.execute(sqlalchemy.text(INSERT.format(":name")), {"name": name})
            except sqlalchemy.exc.IntegrityError:
                raise Taken from None
            number: int = row.scalar_one()
            await session.commit()
            return number

    return asgi(insert), engine, db


KINDS = {
    "asyncpg": on_asyncpg,
    "asyncpg-transactions": on_asyncpg_in_transactions,
    "psycopg": on_psycopg,
    "psycopg-threads": on_psycopg_in_threads,
    "sqlalchemy": on_sqlalchemy,
    "sqlalchemy-async": on_async_sqlalchemy,
}


class Client:
    """Calls a handler as an HTTP API does."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        # A JWT's claims.
        self.caller: dict[str, Any] | None = None
        # More of the event's requestContext.
        self.context: dict[str, Any] = {}

    def __call__(
        self,
        path: str,
        key: str | None = None,
        *,
        method: str = "POST",
        body: str = "",
        headers: dict[str, str] | None = None,
        request_id: str = "r-1",
        seconds: float = 29.0,
    ) -> dict[str, Any]:
        raw, _, query = path.partition("?")
        fields = {} if key is None else {"idempotency-key": key}
        context: dict[str, Any] = {
            "http": {"method": method, "path": raw, "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4"},
            "timeEpoch": int(time.time() * 1000),
            "requestId": request_id,
        }
        context.update(self.context)
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
        response: dict[str, Any] = self.handler(event, _Context(seconds))
        return response


class _Context:
    aws_request_id = "0"

    def __init__(self, seconds: float) -> None:
        self._end = time.time() + seconds + 1.0

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end - time.time()) * 1000)


@contextmanager
def serving(kind: str, settings: Settings, **options: Any) -> Iterator[Client]:
    """A client of the app with receipts."""
    app, database, db = KINDS[kind](settings)
    handler = Handler(exactly_once(app, database=database, **options), settings=settings)
    try:
        yield Client(handler)
    finally:
        disposed = database.dispose() if database is not db else None
        for left in (disposed, db.close()):
            if left is not None:
                handler.submit(left).result(10)
        handler.close()


def content(response: dict[str, Any]) -> Any:
    """The answer's JSON."""
    return json.loads(response["body"])
