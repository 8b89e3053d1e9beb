"""The app with receipts, on each kind of database that these can be in."""

import asyncio
from functools import partial
from typing import Any

from .apps import asgi, once, work, work_async, wsgi


def on_asyncpg(settings: Any) -> tuple[Any, Any]:
    """The app, and its database."""
    from sunup.asyncpg import Database

    db = Database(settings)

    async def block(text: str, *values: str) -> int:
        async with db.connection() as c:
            return int(await c.fetchval(text.format("$1", "$2"), *values))

    return once(asgi(partial(work_async, block)), db), db


def _psycopg_block(db: Any, text: str, *values: str) -> int:
    with db.connection() as c:
        return int(c.execute(text.format("%s", "%s"), values).fetchone()[0])


def on_psycopg(settings: Any) -> tuple[Any, Any]:
    """The app, and its database."""
    from sunup.psycopg import Database

    db = Database(settings)
    block = partial(_psycopg_block, db)
    return once(wsgi(lambda path, post, _: work(block, path, post)), db), db


def on_psycopg_in_threads(settings: Any) -> tuple[Any, Any]:
    """An ASGI app, and its database, which blocks."""
    from sunup.psycopg import Database

    db = Database(settings)

    async def block(text: str, *values: str) -> int:
        return await asyncio.to_thread(_psycopg_block, db, text, *values)

    return once(asgi(partial(work_async, block)), db), db


def on_sqlalchemy(settings: Any) -> tuple[Any, Any]:
    """The app on an engine, and its database."""
    import sqlalchemy

    from sunup.integrations.sqlalchemy import create_engine
    from sunup.psycopg import Database

    db = Database(settings)
    engine = create_engine(db)

    def block(text: str, *values: str) -> int:
        with engine.begin() as c:
            statement = sqlalchemy.text(text.format(":a", ":b"))
            return int(c.execute(statement, dict(zip("ab", values, strict=False))).scalar_one())

    return once(wsgi(lambda path, post, _: work(block, path, post)), engine), db


def on_async_sqlalchemy(settings: Any) -> tuple[Any, Any]:
    """The app on an async engine, and its database."""
    import sqlalchemy

    from sunup.asyncpg import Database
    from sunup.integrations.sqlalchemy import create_async_engine

    db = Database(settings)
    engine = create_async_engine(db)

    async def block(text: str, *values: str) -> int:
        async with engine.begin() as c:
            statement = sqlalchemy.text(text.format(":a", ":b"))
            found = await c.execute(statement, dict(zip("ab", values, strict=False)))
            return int(found.scalar_one())

    return once(asgi(partial(work_async, block)), engine), db


DRIVERS = {
    "asyncpg": on_asyncpg,
    "psycopg": on_psycopg,
    "psycopg-threads": on_psycopg_in_threads,
    "sqlalchemy": on_sqlalchemy,
    "sqlalchemy-async": on_async_sqlalchemy,
}
