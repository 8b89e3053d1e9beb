"""ASGI that calls its sync works in threads, as frameworks do, on `sunup.psycopg`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sunup.psycopg import Database

from . import works_sync
from .psycopg_app import Sessions


def make() -> tuple[Any, Database]:
    """The app and its database."""
    db = Database()
    sessions = Sessions(db)

    async def served(
        scope: dict[str, Any], _: Any, send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        row, _, seconds = scope["query_string"].decode().partition("&")
        work = works_sync.WORKS[scope["path"].strip("/")]
        status, text = await asyncio.to_thread(work, sessions, row, float(seconds))
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})

    return served, db
