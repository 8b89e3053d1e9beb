"""A hundred thousand steps; and that the simulator itself can be believed."""

import asyncio
import gc
import logging
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from sunup.engines import ENGINES
from sunup.settings import Settings

from .__main__ import attempt, sequence_of
from .requests import WORKS
from .sequences import Run, Step, run

STEPS = 100_000

# Sequences that once broke something; the first seven on 82e0a08, the others on the way.
FOUND = {
    0: "a statement and its transaction went on over the freeze",
    5: "Retry-After although an earlier block was committed",
    7: "the app's own 503 was replaced",
    9: "after a request that ran out of time each one was a 503",
    14: "a transaction was reported and never committed",
    26: "SET of one block was seen by the next",
    28: "a failure that the app had got over was reported",
    196: "a cancelled block ended with ConnectionLost",
    1114: "a connection was not let go before the freeze",
    100393: "a task of a request that may be repeated got a connection later",
    102866: "a session that was closed in the freeze it was opened in was handed out",
}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What the tasks that were left behind raised is told here, where nobody listens."""
    logging.disable()
    yield
    gc.collect()
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("seed", FOUND, ids=str)
def test_what_was_found_stays_mended(seed: int) -> None:
    steps, pool_size = sequence_of(seed)
    _, invariant, detail = attempt(steps, seed, pool_size)
    assert not invariant, detail


@pytest.mark.parametrize("engine", ["aurora", "dsql"])
def test_a_hundred_thousand_steps_break_nothing(engine: str) -> None:
    events, seed = 0, 1_000_000
    while events < STEPS:
        steps, pool_size = sequence_of(seed, engine)
        happened, invariant, detail = attempt(steps, seed, pool_size, engine)
        again = f"python -m tests.simulator --engine {engine} --seed {seed}"
        assert not invariant, f"{detail}\n{', '.join(map(str, steps))}\n{again}"
        events += happened
        seed += 1


def test_what_fits_aurora_breaks_on_dsql(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the simulated DSQL would refuse nothing."""
    monkeypatch.setitem(ENGINES, "dsql", ENGINES["aurora"])
    steps, pool_size = sequence_of(1, "dsql")
    assert attempt(steps, 1, pool_size, "dsql")[1] == "the request after"


@pytest.mark.parametrize("kind", WORKS)
def test_a_seed_always_gives_the_same_run(kind: str) -> None:
    steps = [Step(kind, 0.3, 2.0, 1), Step("cut", 0.0), Step(kind, 0.2, 0.4, 2)]
    assert run(steps, 7) == run(steps, 7)


EXCHANGES: dict[str, list[str]] = {
    "autocommit": ["insert into t values ('a')"],
    "commit": ["begin", "insert into t values ('a')", "commit"],
    "rollback": ["begin", "insert into t values ('a')", "rollback"],
    "several in one": ["begin; set local statement_timeout = 5000", "commit"],
    "savepoints": [
        "begin",
        "insert into t values ('a')",
        "savepoint s",
        "insert into t values ('b')",
        "rollback to savepoint s",
        "commit",
    ],
    "a time-out fails the transaction": [
        "begin",
        "insert into t values ('a')",
        "set local statement_timeout = 50",
        "select pg_sleep(5)",
        "insert into t values ('b')",
        "commit",
    ],
    "a time-out outside": [
        "set statement_timeout = 50",
        "select pg_sleep(5)",
        "select pg_sleep(0)",
    ],
    "cancelled": ["begin", "insert into t values ('a')", "CANCELLED select pg_sleep(5)", "commit"],
    "cancelled outside": ["CANCELLED select pg_sleep(5)", "insert into t values ('a')"],
    "settings": ["set search_path = x", "SHOWN search_path", "reset all", "begin"],
    "settings of a transaction that is rolled back": [
        "begin",
        "set search_path = x",
        "rollback",
        "SHOWN search_path",
    ],
    "local settings end": ["begin", "set local search_path = x", "commit", "SHOWN search_path"],
}


async def exchange(connection: Any, statements: list[str]) -> list[object]:
    """What a client hears: tags, SQLSTATEs, and whether it is in a transaction."""
    heard: list[object] = []
    for statement in statements:
        try:
            if statement.startswith("SHOWN "):
                shown = await connection.fetchval(f"show {statement.split()[1]}")
                heard.append("x" if shown == "x" else "another")
            elif statement.startswith("CANCELLED "):
                async with asyncio.timeout(0.05):
                    await connection.execute(statement.removeprefix("CANCELLED "))
            else:
                heard.append((await connection.execute(statement)).split()[0])
        except asyncpg.PostgresError as error:
            heard.append(error.sqlstate)
        except TimeoutError:
            await connection.fetchval("show timezone") if "begin" not in statements else None
            heard.append("cancelled")
        heard.append(connection.is_in_transaction())
    return heard


@pytest.mark.parametrize("name", EXCHANGES)
async def test_the_scripted_server_says_what_postgresql_says(name: str, settings: Settings) -> None:
    statements = EXCHANGES[name]
    connection = await asyncpg.connect(
        host=settings.host, database=settings.database, user=settings.user
    )
    await connection.execute("create table t (id text)")
    real = await exchange(connection, statements)
    if connection.is_in_transaction():
        await connection.execute("rollback")
    await connection.execute("reset all")
    rows = [row["id"] for row in await connection.fetch("select id from t order by id")]
    await connection.close()

    heard: list[object] = []

    async def app(scope: dict[str, Any], _: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        scripted = await asyncpg.connect(
            host="127.0.0.1", user="app", password="x", database="app", ssl="disable"
        )
        heard.extend(await exchange(scripted, statements))
        scripted.terminate()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    state = Run(1, 1, app)

    def play() -> None:
        with state.process() as handler:
            assert state.request(handler, Step("plain", 0, 28.0, 1))["statusCode"] == 200

    await asyncio.to_thread(play)
    assert heard == real
    assert sorted(state.server.rows) == rows
