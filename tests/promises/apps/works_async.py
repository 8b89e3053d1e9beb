"""What an async app does, by the request's path."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import sunup

Send = Callable[[dict[str, Any]], Awaitable[None]]
Answer = tuple[int, str]


class Session(Protocol):
    """A connection, whichever library's."""

    async def execute(self, statement: str) -> object:
        """Run a statement."""

    async def value(self, statement: str) -> object:
        """The first value of a statement's result."""

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        """A transaction within the transaction."""


class Sessions(Protocol):
    """Where they come from."""

    commits_each: bool = False  # whether a statement is committed by itself

    def connection(self) -> AbstractAsyncContextManager[Session]:
        """A block with a connection, whose work is committed at its end at the latest."""

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        """A block with a transaction."""


def app(db: Sessions) -> Any:
    """An ASGI app."""

    async def served(scope: dict[str, Any], _: Any, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        row, _, seconds = scope["query_string"].decode().partition("&")
        status, text = await WORKS[scope["path"].strip("/")](db, row, float(seconds))
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})

    return served


async def insert(db: Sessions, row: str) -> None:
    async with db.connection() as session:
        await session.execute(f"insert into t values ('{row}')")


async def plain(db: Sessions, row: str, _: float) -> Answer:
    async with db.connection() as session:
        state = [
            await session.value("show search_path"),
            await session.value("show role"),
            await session.value("show default_transaction_isolation"),
        ]
        await session.execute(f"insert into t values ('{row}')")
    return 200, repr(state)


async def transaction(db: Sessions, row: str, seconds: float) -> Answer:
    async with db.transaction() as session:
        await session.execute(f"insert into t values ('{row}')")
        await asyncio.sleep(seconds)
    return 200, "done"


async def two_blocks(db: Sessions, row: str, _: float) -> Answer:
    await insert(db, row)
    async with db.connection() as session:
        await session.execute("select pg_sleep(100)")
    return 200, "never"


async def nested(db: Sessions, row: str, _: float) -> Answer:
    await insert(db, row)
    async with db.connection(), db.connection():
        pass
    return 200, "done"


async def raises_within(db: Sessions, row: str, _: float) -> Answer:
    async with db.transaction() as session:
        await session.execute(f"insert into t values ('{row}')")
        raise ValueError("within")


async def raises_after(db: Sessions, row: str, _: float) -> Answer:
    await insert(db, row)
    raise ValueError("after")


async def hangs(_: Sessions, __: str, ___: float) -> Answer:
    await asyncio.sleep(1000)
    return 200, "never"


async def hangs_in_a_statement(db: Sessions, row: str, _: float) -> Answer:
    async with db.transaction() as session:
        await session.execute("select 1 from one for update")
        await session.execute(f"insert into t values ('{row}')")
        await session.execute("select pg_sleep(100)")
    return 200, "never"


async def hangs_in_a_transaction(db: Sessions, row: str, _: float) -> Answer:
    async with db.transaction() as session:
        await session.execute("select 1 from one for update")
        await session.execute(f"insert into t values ('{row}')")
        await asyncio.sleep(1000)
    return 200, "never"


async def blocks_in_a_transaction(db: Sessions, row: str, _: float) -> Answer:
    async with db.transaction() as session:
        await session.execute("select 1 from one for update")
        await session.execute(f"insert into t values ('{row}')")
        time.sleep(1000)  # noqa: ASYNC251  # as a mistake does
    return 200, "never"


async def swallows(db: Sessions, row: str, _: float) -> Answer:
    for _ in range(3):
        try:
            async with db.connection() as session:
                await session.execute("select pg_sleep(100)")
        except Exception:
            continue
    await insert(db, row)
    return 200, "done"


async def cleans_up_slowly(db: Sessions, row: str, _: float) -> Answer:
    async with db.transaction() as session:
        await session.execute(f"insert into t values ('{row}')")
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0.1)
    return 200, "never"


async def cancelled(db: Sessions, row: str, seconds: float) -> Answer:
    try:
        async with asyncio.timeout(seconds / 100), db.transaction() as session:
            await session.execute("select pg_sleep(0.001)")
            await session.execute(f"insert into t values ('{row}-perhaps')")
            await session.execute("select pg_sleep(0.001)")
    except TimeoutError:
        pass
    async with db.transaction() as session:
        await session.execute(f"insert into t values ('{row}')")
    return 200, "done"


async def cancelled_within(db: Sessions, row: str, seconds: float) -> Answer:
    async with db.transaction() as session:
        try:
            async with asyncio.timeout(seconds / 100), session.savepoint():
                await session.execute("select pg_sleep(1)")
        except TimeoutError:
            pass
        await session.execute(f"insert into t values ('{row}')")
    return 200, "done"


async def gathers(db: Sessions, row: str, _: float) -> Answer:
    await asyncio.gather(insert(db, row), insert(db, f"{row}-too"))
    return 200, "done"


_left: list[asyncio.Task[None]] = []


async def leaves_a_task(db: Sessions, row: str, seconds: float) -> Answer:
    async def later() -> None:
        async with db.transaction() as session:
            await session.execute("select 1 from one for update")
            await session.execute(f"insert into t values ('{row}-later')")
            await asyncio.sleep(seconds * 10)

    _left[:] = [asyncio.create_task(later(), name="later")]
    await insert(db, row)
    return 200, "done"


async def changes_the_session(db: Sessions, row: str, seconds: float) -> Answer:
    async with db.connection() as session:
        await session.execute("set search_path = public, pg_catalog")
        await session.execute("set role pg_monitor")
        await session.execute("set default_transaction_isolation = serializable")
        if seconds > 0.5:
            raise ValueError("and raises")
    return 200, "done"


async def fails(db: Sessions, row: str, _: float) -> Answer:
    async with db.transaction() as session:
        await session.execute(f"insert into t values ('{row}')")
        await session.execute("select 1 / 0")
    return 200, "never"


async def answers_itself(db: Sessions, _: str, __: float) -> Answer:
    try:
        async with db.connection(), db.connection(), db.connection():
            pass
    except (sunup.DatabaseUnavailable, TimeoutError):
        pass
    return 503, "the app's own words"


async def gets_over_it(db: Sessions, _: str, __: float) -> Answer:
    try:
        async with db.connection(), db.connection(), db.connection():
            pass
    except (sunup.DatabaseUnavailable, TimeoutError):
        pass
    raise ValueError("of another cause")


async def begins_by_hand(db: Sessions, row: str, _: float) -> Answer:
    if db.commits_each:
        async with db.connection() as session:
            await session.execute("begin")
            await session.execute(f"insert into t values ('{row}-never')")
    return 200, "done"


async def dies_within(db: Sessions, row: str, seconds: float) -> Answer:
    async with db.transaction() as session:
        await session.execute(f"insert into t values ('{row}')")
        if seconds > 0.3:
            await session.execute("select pg_terminate_backend(pg_backend_pid())")
        await session.execute("select 1")
    return 200, "done"


async def dies_in_a_second_block(db: Sessions, row: str, _: float) -> Answer:
    await insert(db, row)
    async with db.transaction() as session:
        await session.execute("select pg_terminate_backend(pg_backend_pid())")
        await session.execute("select 1")
    return 200, "never"


async def idles_too_long(db: Sessions, row: str, seconds: float) -> Answer:
    await insert(db, row)
    async with db.connection() as session:
        await session.execute("select 1")
        await asyncio.sleep(seconds)  # longer than the server waits: 57P05
        await session.execute("select 1")
    return 200, "never"


async def asks_again_in_its_error_handler(db: Sessions, row: str, _: float) -> Answer:
    await insert(db, row)
    try:
        int("the app's own mistake")
    except ValueError:
        async with db.connection(), db.connection():
            return 200, "never"
    return 200, "never"


WORKS: dict[str, Callable[[Sessions, str, float], Awaitable[Answer]]] = {
    each.__name__: each
    for each in (
        plain,
        transaction,
        two_blocks,
        nested,
        raises_within,
        raises_after,
        hangs,
        hangs_in_a_statement,
        hangs_in_a_transaction,
        blocks_in_a_transaction,
        swallows,
        cleans_up_slowly,
        cancelled,
        cancelled_within,
        gathers,
        leaves_a_task,
        changes_the_session,
        fails,
        answers_itself,
        gets_over_it,
        begins_by_hand,
        dies_within,
        dies_in_a_second_block,
        idles_too_long,
        asks_again_in_its_error_handler,
    )
}
