"""How others do it: the key in a transaction of its own."""

from typing import Any

from sunup.asyncpg import Database
from sunup.receipts import texts


class OwnTransaction:
    """Notes the key, lets the app work, notes the answer: three transactions."""

    def __init__(self, app: Any, *, database: Database, **_: Any) -> None:
        self.app, self.db = app, database

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        key = dict(scope["headers"])[b"idempotency-key"].ljust(32, b".")
        answer: list[Any] = []

        async def capture(message: Any) -> None:
            answer.append(message)

        async with self.db.connection() as connection:
            there = await connection.fetchrow(texts.read(key, 100).text, key.hex())
            if there is None:
                note = f"insert into sunup_receipts values ('{key.hex()}', {texts.literal(b'.')})"
                await connection.execute(note)
        if there is None:
            await self.app(scope, receive, capture)
            status, body = answer[0]["status"], answer[1]["body"]
            async with self.db.connection() as connection:
                stored = texts.store(key, status, "", body)
                await connection.execute(stored.text, *stored.values)
        elif there["status"] is None:
            status, body = 409, b'{"code": "in_use"}'
        else:
            status, body = there["status"], there["body"]
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})
