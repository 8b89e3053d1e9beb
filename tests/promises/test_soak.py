"""Thousands of random faults under a writer: what was acknowledged is there, once; nothing leaks.

`make soak` has ten thousand of them.
"""

import asyncio
import itertools
import logging
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg
import pytest

from sunup import deadline
from sunup.asyncpg import Database
from sunup.failures import ConnectionLost, DatabaseUnavailable
from sunup.local.emulator import AuroraOptions, Emulator, FunctionOptions
from sunup.local.testing import Emulate
from sunup.settings import Settings

USERS = Path(__file__).parent.parent.parent / "examples" / "users"
FAULTS = int(os.environ.get("SUNUP_FAULTS", "1500"))
SEED = 20261123


def everything(aws: Emulator, statement: str) -> list[tuple[Any, ...]]:
    database = aws._database
    with psycopg.connect(
        host=database["DB_HOST"], user="postgres", dbname=database["DB_NAME"], autocommit=True
    ) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


async def make_trouble(aws: Emulator, dice: random.Random, times: int = 1) -> Counter[str]:
    """Random faults, one after the other. Runs on the emulator's event loop."""
    aurora = aws.aurora

    async def reset() -> None:
        aurora.faults.reset_next = True

    async def rotate() -> None:
        aws.iam.rotate()

    async def cut() -> None:
        for session in list(aurora.places):
            if dice.random() < 0.5:
                session.end(graceful=dice.random() < 0.5)

    faults = {
        "cut": cut,
        "reset mid-statement": reset,
        "drop": lambda: aurora.faults.drop(graceful=dice.random() < 0.5),
        "restart": lambda: aurora.faults.restart(dice.uniform(0, 0.01)),
        "refuse": lambda: aurora.faults.refuse(dice.uniform(0, 0.01)),
        "failover": lambda: aurora.faults.failover(dice.uniform(0, 0.01)),
        "pause": aurora.pause,
        "rotate": rotate,
    }
    chosen = dice.choices(list(faults), weights=[30, 25, 20, 6, 5, 5, 5, 4], k=times)
    for kind in chosen:
        await faults[kind]()
    return Counter(chosen)


@pytest.mark.timeout(420)
async def test_thousands_of_faults_lose_nothing_and_repeat_nothing(
    emulate: Emulate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Ten thousand captured records, each with its exception, would look like a leak.
    caplog.set_level(logging.CRITICAL, "sunup.database")
    dice = random.Random(SEED)
    aws = emulate(aurora=AuroraOptions(resume_seconds=0.01))
    everything(aws, "create table written (id int)")
    everything(aws, "grant select, insert on written to app")
    for name, value in aws.iam.current.environment().items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment({**aws.environ, "DB_POOL_SIZE": "4"})
    db = Database(settings)
    outcomes: dict[str, list[int]] = {"acknowledged": [], "not executed": [], "unknown": []}
    numbers = itertools.count()

    async def write(identity: int) -> None:
        try:
            with deadline.within(20):
                async with db.connection() as connection:
                    await connection.execute("insert into written values ($1)", identity)
        except DatabaseUnavailable as failure:
            lost = isinstance(failure, ConnectionLost) and not failure.nothing_executed
            outcomes["unknown" if lost else "not executed"].append(identity)
        else:
            outcomes["acknowledged"].append(identity)

    async def trouble(times: int) -> Counter[str]:
        return await asyncio.wrap_future(aws.submit(make_trouble(aws, dice, times)))

    faults: Counter[str] = Counter()
    process = psutil.Process()
    after_warm_up: tuple[int, int] | None = None
    while faults.total() < FAULTS:
        if after_warm_up is None and faults.total() >= FAULTS / 10:
            after_warm_up = process.num_fds(), process.memory_info().rss
        faults += await trouble(1)
        writes = [asyncio.create_task(write(next(numbers))) for _ in range(dice.choice([1, 2]))]
        if dice.random() < 0.2:  # and one while they are under way
            await asyncio.sleep(dice.uniform(0, 0.005))
            faults += await trouble(1)
        await asyncio.gather(*writes)
    assert len(faults) == 8
    await write(next(numbers))  # it may meet the last fault, which waits for a statement
    await write(next(numbers))  # and when the trouble is over, all is well
    assert outcomes["acknowledged"][-1] == next(numbers) - 1
    there = Counter(row[0] for row in everything(aws, "select id from written"))
    assert max(there.values()) == 1, "a statement was executed twice"
    missing = [each for each in outcomes["acknowledged"] if each not in there]
    assert not missing, "an acknowledged write is lost"
    surprising = [each for each in outcomes["not executed"] if each in there]
    assert not surprising, "a write that was told as not executed is there"
    # The run is worth something only when each kind of end was met often.
    counts = {name: len(each) for name, each in outcomes.items()}
    assert counts["acknowledged"] > FAULTS / 4, counts
    assert counts["unknown"] > FAULTS / 100, counts
    await db.close()
    assert after_warm_up is not None
    descriptors, memory = process.num_fds(), process.memory_info().rss
    assert descriptors <= after_warm_up[0] + 20
    assert memory <= after_warm_up[1] + 64 * 2**20


def test_the_same_through_gateway_and_frozen_instances(emulate: Emulate) -> None:
    """Fewer rounds, each with more in it: killed instances, clients that go away."""
    dice = random.Random(SEED)
    aws = emulate(
        USERS,
        aurora=AuroraOptions(resume_seconds=0.05),
        functions=FunctionOptions(concurrency=3),
        environ={"DB_IDLE_SESSION_TIMEOUT": "0.3"},
    )
    before = len(psutil.Process(os.getpid()).children(recursive=True))
    acknowledged: list[str] = []
    refused: list[str] = []
    statuses: Counter[int] = Counter()
    for number in range(150):
        kind = dice.random()
        if kind < 0.6:
            aws.run(make_trouble(aws, dice))
        elif kind < 0.7 and aws.functions.instances:
            aws.run(aws.functions.kill(dice.choice(aws.functions.instances)))
        elif kind < 0.75:
            time.sleep(0.4)  # a freeze longer than the idle session timeout
        name = f"u{number}"
        patience = 0.005 if dice.random() < 0.05 else 30
        try:
            reply = httpx2.post(
                f"{aws.url}/users", json={"name": name, "email": f"{name}@b"}, timeout=patience
            )
        except httpx2.TimeoutException:
            continue
        statuses[reply.status_code] += 1
        if reply.status_code == 201:
            acknowledged.append(name)
        elif "retry-after" in reply.headers:
            refused.append(name)
    assert set(statuses) <= {201, 500, 503}, statuses
    assert statuses[201] > 100, statuses
    time.sleep(0.5)
    there = Counter(row[0] for row in everything(aws, "select name from users"))
    assert max(there.values()) == 1
    assert not [each for each in acknowledged if each not in there]
    assert not [each for each in refused if each in there]
    aws.do("instances/reap")
    assert len(psutil.Process(os.getpid()).children(recursive=True)) <= before
