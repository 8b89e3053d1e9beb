"""What sunup itself adds to the floor: an ASGI app of the same one query, without a framework."""

import json
from typing import Any

from database import db

QUERY = "select id, name, email, created_at from users where id = $1"


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    number = int(scope["path"].rpartition("/")[2])
    async with db.connection() as connection:
        row = await connection.fetchrow(QUERY, number)
    body = b""
    if row is not None:
        body = json.dumps({**row, "created_at": row["created_at"].isoformat()}).encode()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200 if row else 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    return None


async def lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
