"""An app of one view, with receipts, on asyncpg (an async view) or on psycopg."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sunup import Handler, exactly_once
from sunup.asyncpg import Database as AsyncpgDatabase
from sunup.psycopg import Database as PsycopgDatabase
from sunup.settings import Settings

from .apps import TABLES, Client

Admin = Callable[[str], list[tuple[Any, ...]]]
Start = Callable[..., Client]
INSERT = "insert into things (name) values ('{}')"


@pytest.fixture
def start(settings: Settings, admin: Admin) -> Iterator[Start]:
    """Starts an app of one view; the view gets the `Database` and the query."""
    for statement in TABLES.split(";"):
        admin(statement)
    with ExitStack() as stack:

        def begin(view: Any, **options: Any) -> Client:
            db: Any
            if inspect.iscoroutinefunction(view):
                db = AsyncpgDatabase(settings)

                async def app(scope: Any, receive: Any, send: Any) -> None:
                    if scope["type"] != "http":
                        raise NotImplementedError
                    status = await view(db, scope["query_string"].decode())
                    await send({"type": "http.response.start", "status": status, "headers": []})
                    await send({"type": "http.response.body", "body": b"done"})

                served: Any = app
            else:
                db = PsycopgDatabase(settings)

                def wsgi(environ: Any, start_response: Any) -> Any:
                    start_response(f"{view(db, environ['QUERY_STRING'])} X", [])
                    return [b"done"]

                served = wsgi
            handler = Handler(exactly_once(served, database=db, **options), settings=settings)

            def end() -> None:
                closed = db.close()
                if closed is not None:
                    handler.submit(closed).result(10)
                handler.close()

            stack.callback(end)
            return Client(handler)

        yield begin


@pytest.fixture
def serve(settings: Settings, admin: Admin) -> Iterator[Start]:
    """Serves a whole app; `made` is called with a `Database`, and gives the app with receipts."""
    for statement in TABLES.split(";"):
        admin(statement)
    with ExitStack() as stack:

        def begin(made: Callable[[Any], Any], db: Any = None, engine: Any = None) -> Client:
            db = AsyncpgDatabase(settings) if db is None else db
            handler = Handler(made(db), settings=settings)

            def end() -> None:
                disposed = engine.dispose() if engine is not None else None
                for left in (disposed, db.close()):
                    if left is not None:
                        handler.submit(left).result(10)
                handler.close()

            stack.callback(end)
            return Client(handler)

        yield begin


def names(admin: Admin) -> list[str]:
    return [row[0] for row in admin("select name from things order by id")]


def succeeds(client: Client, admin: Admin, name: str = "fine") -> None:
    assert client(f"/?{name}", f"key-{name}")["statusCode"] == 201
    assert names(admin)[-1] == name
    assert admin("select count(*) from sunup_receipts where status is null") == [(0,)]
    left = "select count(*) from pg_stat_activity where state like 'idle in%'"
    assert admin(left) == [(0,)]
