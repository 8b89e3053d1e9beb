"""What the app under test does, by the request's path."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import sunup

Send = Callable[[dict[str, Any]], Awaitable[None]]
Work = Callable[["App", str, float], Awaitable[tuple[int, str]]]


class App:
    """An ASGI app. Each request has a row of its own, and a number of seconds to play with."""

    def __init__(self, db: Any) -> None:
        self.db = db
        self.wrong: list[str] = []

    async def __call__(self, scope: dict[str, Any], _: Any, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        name = scope["path"].strip("/")
        row, _, seconds = scope["query_string"].decode().partition("&")
        status, body = await (WORKS | RETRIES)[name](self, row, float(seconds))
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body.encode()})

    async def insert(self, row: str) -> None:
        async with self.db.connection() as connection:
            await connection.execute(f"insert into t values ('{row}')")


async def plain(app: App, row: str, _: float) -> tuple[int, str]:
    async with app.db.connection() as connection:
        if await connection.fetchval("show search_path") != "default":
            app.wrong.append("the session state of an earlier block is seen")
        await connection.execute(f"insert into t values ('{row}')")
    return 200, "done"


async def transaction(app: App, row: str, _: float) -> tuple[int, str]:
    async with app.db.transaction() as connection:
        await connection.execute(f"insert into t values ('{row}')")
    return 200, "done"


async def locked(app: App, row: str, seconds: float) -> tuple[int, str]:
    async with app.db.transaction() as connection:
        await connection.execute("lock 'one'")
        await connection.execute(f"insert into t values ('{row}')")
        await asyncio.sleep(seconds)
    return 200, "done"


async def savepoint(app: App, row: str, seconds: float) -> tuple[int, str]:
    async with app.db.transaction() as connection:
        try:
            async with asyncio.timeout(seconds / 100), connection.transaction():
                await connection.execute("select pg_sleep(0.1)")
        except TimeoutError:
            pass
        await connection.execute(f"insert into t values ('{row}')")
    return 200, "done"


async def two_blocks(app: App, row: str, seconds: float) -> tuple[int, str]:
    await app.insert(row)
    await asyncio.sleep(seconds)
    async with app.db.connection() as connection:
        await connection.execute("select pg_sleep(0.1)")
    return 200, "done"


async def nested(app: App, row: str, _: float) -> tuple[int, str]:
    await app.insert(row)
    async with app.db.connection(), app.db.connection(), app.db.connection():
        pass
    return 200, "done"


async def raises_within(app: App, row: str, _: float) -> tuple[int, str]:
    async with app.db.transaction() as connection:
        await connection.execute(f"insert into t values ('{row}')")
        raise ValueError("within")


async def raises_after(app: App, row: str, _: float) -> tuple[int, str]:
    await app.insert(row)
    raise ValueError("after")


async def hangs(_: App, __: str, ___: float) -> tuple[int, str]:
    await asyncio.sleep(10_000)
    return 200, "never"


async def hangs_in_a_statement(app: App, row: str, _: float) -> tuple[int, str]:
    async with app.db.transaction() as connection:
        await connection.execute("lock 'one'")
        await connection.execute(f"insert into t values ('{row}')")
        await connection.execute("select pg_sleep(1000)")
    return 200, "never"


async def hangs_in_a_transaction(app: App, row: str, _: float) -> tuple[int, str]:
    async with app.db.transaction() as connection:
        await connection.execute("lock 'one'")
        await connection.execute(f"insert into t values ('{row}')")
        await asyncio.sleep(10_000)
    return 200, "never"


async def swallows(app: App, row: str, _: float) -> tuple[int, str]:
    for _ in range(3):
        try:
            async with app.db.connection() as connection:
                await connection.execute("select pg_sleep(1000)")
        except Exception:
            continue
    await app.insert(row)
    return 200, "done"


async def cancelled(app: App, row: str, seconds: float) -> tuple[int, str]:
    timeout = asyncio.timeout(seconds / 1000)
    try:
        async with timeout, app.db.transaction() as connection:
            await connection.execute("select pg_sleep(0.001)")
            await connection.execute(f"insert into t values ('{row}-perhaps')")
    except TimeoutError:
        pass
    except sunup.ConnectionLost:
        if timeout.expired():
            app.wrong.append("a cancelled block ended with ConnectionLost")
        raise
    async with app.db.transaction() as connection:
        await connection.execute(f"insert into t values ('{row}')")
    return 200, "done"


async def gathers(app: App, row: str, _: float) -> tuple[int, str]:
    await asyncio.gather(app.insert(row), app.insert(f"{row}-too"))
    return 200, "done"


async def leaves_a_task(app: App, row: str, seconds: float) -> tuple[int, str]:
    async def later() -> None:
        async with app.db.transaction() as connection:
            await connection.execute(f"insert into t values ('{row}-later')")
            await asyncio.sleep(seconds * 10)

    app.task = asyncio.create_task(later())  # type: ignore[attr-defined]
    await app.insert(row)
    return 200, "done"


async def changes_the_session(app: App, row: str, seconds: float) -> tuple[int, str]:
    async with app.db.connection() as connection:
        await connection.execute("set search_path = elsewhere")
        if seconds > 0.5:
            raise ValueError("and raises")
    return 200, "done"


async def answers_itself(app: App, row: str, _: float) -> tuple[int, str]:
    try:
        async with app.db.connection(), app.db.connection(), app.db.connection():
            pass
    except sunup.DatabaseUnavailable:
        pass
    return 503, "the app's own words"


async def gets_over_it(app: App, row: str, _: float) -> tuple[int, str]:
    try:
        async with app.db.connection(), app.db.connection(), app.db.connection():
            pass
    except sunup.DatabaseUnavailable:
        pass
    raise ValueError("of another cause")


async def begins_by_hand(app: App, row: str, _: float) -> tuple[int, str]:
    async with app.db.connection() as connection:
        await connection.execute("begin")
        await connection.execute(f"insert into t values ('{row}-never')")
    return 200, "done"


async def retried(app: App, row: str, seconds: float) -> tuple[int, str]:
    async def work(connection: Any) -> None:
        await connection.execute("lock 'one'")
        await asyncio.sleep(seconds / 10)
        await connection.execute(f"insert into t values ('{row}')")

    await app.db.run(work)
    return 200, "done"


async def retries_at_once(app: App, row: str, seconds: float) -> tuple[int, str]:
    async def one(name: str) -> None:
        async def work(connection: Any) -> None:
            await connection.execute("lock 'one'")
            await asyncio.sleep(seconds / 50)
            await connection.execute(f"insert into t values ('{name}')")

        await app.db.run(work)

    await asyncio.gather(one(row), one(f"{row}-too"))
    return 200, "done"


async def single(app: App, row: str, _: float) -> tuple[int, str]:
    await app.db.run(lambda each: each.execute(f"insert into t values ('{row}')"), single=True)
    return 200, "done"


WORKS: dict[str, Work] = {
    each.__name__: each
    for each in (
        plain,
        transaction,
        locked,
        savepoint,
        two_blocks,
        nested,
        raises_within,
        raises_after,
        hangs,
        hangs_in_a_statement,
        hangs_in_a_transaction,
        swallows,
        cancelled,
        gathers,
        leaves_a_task,
        changes_the_session,
        answers_itself,
        gets_over_it,
        begins_by_hand,
    )
}

# Drawn only where they are asked for: a seed of before gives the same sequence.
RETRIES: dict[str, Work] = {each.__name__: each for each in (retried, retries_at_once, single)}
