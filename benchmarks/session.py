"""What knowing a session's state costs, and what it saves.

A warm block on a pooled connection: sunup against each driver's own pool. A connection that a block
has left changed: the reset against a new connection, without TLS and with (the emulated Aurora's
front, a token signed). The roots for TLS: those of one region against those of all.

python benchmarks/session.py [ROUNDS]
"""

import asyncio
import os
import ssl
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import psycopg_pool
from terminal import machine, rounds_wanted

from sunup import psycopg as sync
from sunup.asyncpg import Database
from sunup.connecting import tls
from sunup.local import postgres
from sunup.local.emulator import Emulator, EmulatorOptions
from sunup.settings import Settings

TIMES = 50

Step = Callable[[], Any]


async def main() -> None:
    rounds = rounds_wanted("What knowing a session's state costs, and what it saves.", 15)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(postgres.running(folder, durable=False))
        aws = stack.enter_context(Emulator(None, EmulatorOptions(), server=server))
        os.environ.update(aws.iam.current.environment())
        plain = replace(Settings.from_environment(server), pool_size=1)
        secure = replace(Settings.from_environment(aws.environ), pool_size=1)
        print(f"{machine()}, {rounds} rounds; milliseconds, medians")
        async with AsyncExitStack() as closing:
            await _blocks(plain, rounds, closing)
            await _connections(plain, secure, rounds, closing)
    _roots(rounds)


async def _blocks(settings: Settings, rounds: int, closing: AsyncExitStack) -> None:
    where = {"host": settings.host, "user": settings.user, "database": settings.database}
    ours, ours_sync = Database(settings), sync.Database(settings)
    closing.push_async_callback(ours.close)
    closing.callback(ours_sync.close)
    theirs = await asyncpg.create_pool(**where, min_size=1, max_size=1)
    closing.push_async_callback(theirs.close)
    theirs_sync = closing.enter_context(
        psycopg_pool.ConnectionPool(
            f"host={settings.host} user={settings.user} dbname={settings.database}",
            min_size=1,
            max_size=1,
        )
    )

    async def sunup_asyncpg() -> None:
        async with ours.connection() as connection:
            await connection.fetchval("select 1")

    async def asyncpg_pool() -> None:
        async with theirs.acquire() as connection:
            await connection.fetchval("select 1")

    async def sunup_asyncpg_transaction() -> None:
        async with ours.transaction() as connection:
            await connection.fetchval("select 1")

    async def asyncpg_pool_transaction() -> None:
        async with theirs.acquire() as connection, connection.transaction():
            await connection.fetchval("select 1")

    def sunup_psycopg() -> None:
        with ours_sync.connection() as connection:
            connection.execute("select 1").fetchone()

    def psycopg_s_pool() -> None:
        with theirs_sync.connection() as connection:
            connection.execute("select 1").fetchone()

    found = await _measured(
        rounds,
        {
            "asyncpg: a block, sunup": sunup_asyncpg,
            "asyncpg: a block, its own pool": asyncpg_pool,
            "asyncpg: a transaction, sunup": sunup_asyncpg_transaction,
            "asyncpg: a transaction, its own pool": asyncpg_pool_transaction,
            "psycopg: a block, sunup": sunup_psycopg,
            "psycopg: a block, psycopg_pool": psycopg_s_pool,
        },
    )
    _ratio(found, "asyncpg: a block, sunup", "asyncpg: a block, its own pool")
    _ratio(found, "asyncpg: a transaction, sunup", "asyncpg: a transaction, its own pool")
    _ratio(found, "psycopg: a block, sunup", "psycopg: a block, psycopg_pool")


async def _connections(
    plain: Settings, secure: Settings, rounds: int, closing: AsyncExitStack
) -> None:
    near, far = Database(plain), Database(secure)
    closing.push_async_callback(near.close)
    closing.push_async_callback(far.close)

    def changed(db: Database) -> Step:
        async def step() -> None:
            async with db.connection() as connection:
                await connection.execute("set search_path = public")
            async with db.connection():
                pass

        return step

    def unchanged(db: Database) -> Step:
        async def step() -> None:
            async with db.connection() as connection:
                await connection.execute("select 1")
            async with db.connection():
                pass

        return step

    def new(db: Database) -> Step:
        async def step() -> None:
            await db.close()
            async with db.connection() as connection:
                await connection.execute("select 1")

        return step

    found = await _measured(
        rounds,
        {
            "two blocks, nothing changed": unchanged(near),
            "two blocks, a reset between them": changed(near),
            "a new connection": new(near),
            "two blocks, nothing changed, with TLS": unchanged(far),
            "two blocks, a reset between them, with TLS": changed(far),
            "a new connection, with TLS and a token": new(far),
        },
        times=10,
    )
    for kind, connection in (("", "a new connection"), (", with TLS", "... with TLS and a token")):
        reset = (
            found[f"two blocks, a reset between them{kind}"]
            - found[f"two blocks, nothing changed{kind}"]
        )
        whole = found[connection.replace("...", "a new connection,")]
        print(f"  a reset alone{kind} / {connection}: {reset / whole:.2f}")


def _roots(rounds: int) -> None:
    everywhere = "".join(path.read_text() for path in Path(tls.REGIONS).glob("*.pem"))
    host = "c.cluster-abc.eu-central-1.rds.amazonaws.com"
    files = {
        "roots of Amazon Trust Services": tls.ROOTS,
        "and of Amazon RDS in one region": tls.root_file(Settings(host=host)),
    }
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as whole:
        whole.write(everywhere)
        whole.flush()
        for name, path in {**files, "and of Amazon RDS in all regions": whole.name}.items():
            times = []
            for _ in range(rounds * 4):
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                began = time.perf_counter()
                context.load_verify_locations(path)
                times.append((time.perf_counter() - began) * 1000)
            print(f"{name:<44} {statistics.median(times):7.3f}")


async def _measured(rounds: int, steps: dict[str, Step], times: int = TIMES) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            for _ in range(times):
                done = step()
                if isinstance(done, Awaitable):
                    await done
            if number:  # the first one connects
                taken[name].append((time.perf_counter() - began) / times * 1000)
    found = {name: statistics.median(each) for name, each in taken.items()}
    for name, median in found.items():
        print(f"{name:<44} {median:7.3f}")
    return found


def _ratio(found: dict[str, float], ours: str, theirs: str) -> None:
    print(f"  {ours} / {theirs.partition(', ')[2]}: {found[ours] / found[theirs]:.2f}")


if __name__ == "__main__":
    asyncio.run(main())
