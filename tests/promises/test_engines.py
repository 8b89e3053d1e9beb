"""One package in front of each engine: the same answers, and what only that engine does."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from sunup import deadline
from sunup.asyncpg import Database as AsyncpgDatabase
from sunup.failures import TokenRefused, TransactionConflict
from sunup.local.emulator import DsqlOptions, Emulator
from sunup.local.testing import Emulate
from sunup.psycopg import Database as PsycopgDatabase
from sunup.settings import Settings

from ..local.emulator.dsql.clients import connect

USERS = Path(__file__).parent.parent.parent / "examples" / "users"
ENGINES = ["aurora", "rds-proxy", "dsql", "neon", "neon-pooler"]
KEY = {"idempotency-key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The users API as `sunup package` packs it, for this Python."""
    made = tmp_path_factory.mktemp("package") / "users.zip"
    arch = "arm64" if "aarch64" in sys.platform else "x86_64"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    command = [sys.executable, "-m", "sunup.local.cli", "package", str(USERS), "-o", str(made)]
    subprocess.run([*command, "--python", version, "--arch", arch], check=True, capture_output=True)
    return made


@pytest.mark.parametrize("engine", ENGINES)
def test_one_zip_gives_the_same_answers_on_each_engine(
    emulate: Emulate, package: Path, engine: str
) -> None:
    aws = emulate(package, engine=engine, migrations=USERS / "migrations")
    user = {"name": "クラスメソ太", "email": "mesota@example.com"}
    with httpx2.Client(base_url=aws.url, timeout=30) as client:
        made = client.post("/users", json=user, headers=KEY)
        assert made.status_code == 201, made.text
        again = client.post("/users", json=user, headers=KEY)
        assert (again.json(), again.headers["idempotent-replayed"]) == (made.json(), "true")
        assert client.post("/users", json=user).status_code == 409
        taken = client.post("/users", json=user, headers={"idempotency-key": "another-one"})
        assert taken.status_code == 409
        number = made.json()["id"]
        changed = client.put(f"/users/{number}", json={"name": "Mesota"})
        assert (changed.status_code, changed.json()["name"]) == (200, "Mesota")
        assert [each["id"] for each in client.get("/users").json()] == [number]
        assert client.delete(f"/users/{number}").status_code == 200
        assert client.get("/users").json() == []
        assert client.post("/users", json=user).status_code == 201


@pytest.fixture
def dsql(emulate: Emulate, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """An emulated Aurora DSQL with a counter, and the credentials of its `admin`."""
    aws = emulate(engine="dsql", dsql=DsqlOptions(wake_seconds=1.5))
    for name, value in aws.admin_environ.items():
        monkeypatch.setenv(name, value)
    with connect(aws) as connection:
        connection.execute("create table counter (id int primary key, n int not null)")
        connection.execute("insert into counter values (1, 0)")
    return aws


def settings_of(aws: Emulator, **changes: Any) -> Settings:
    return replace(Settings.from_environment(aws.admin_environ), **changes)


def counted(aws: Emulator) -> int:
    with connect(aws) as connection:
        found = connection.execute("select n from counter").fetchone()
    assert found is not None
    return int(found[0])


async def test_of_fifty_writers_none_loses_an_update_and_each_is_retried_or_told(
    dsql: Emulator,
) -> None:
    db = AsyncpgDatabase(settings_of(dsql, pool_size=50))

    async def add_one(connection: Any) -> None:
        found = await connection.fetchval("select n from counter where id = 1")
        await connection.execute("update counter set n = $1 where id = 1", found + 1)

    async def write() -> str:
        try:
            with deadline.within(25):
                await db.run(add_one)
        except TransactionConflict as told:
            return "told" if told.nothing_executed else "wrong"
        return "done"

    outcomes = Counter(await asyncio.gather(*[write() for _ in range(50)]))
    assert outcomes["done"] >= 25, outcomes
    assert outcomes.keys() <= {"done", "told"}
    assert counted(dsql) == outcomes["done"]
    assert await write() == "done"
    await db.close()


def test_threads_of_a_sync_app_do_not_either(dsql: Emulator) -> None:
    db = PsycopgDatabase(settings_of(dsql, pool_size=8))

    def add_one(connection: psycopg.Connection[Any]) -> None:
        row = connection.execute("select n from counter where id = 1").fetchone()
        assert row is not None
        connection.execute("update counter set n = %s where id = 1", (row[0] + 1,))

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(db.run, add_one) for _ in range(24)]:
            done.result(60)
    assert counted(dsql) == 24
    db.close()


def test_an_inactive_cluster_that_refuses_is_waited_for(dsql: Emulator) -> None:
    dsql.do("aurora/pause")
    db = PsycopgDatabase(settings_of(dsql))
    began = time.monotonic()
    with deadline.within(20), db.connection() as connection:
        connection.execute("update counter set n = n + 1")
    assert 1.2 < time.monotonic() - began < 5
    assert counted(dsql) == 1
    db.close()


async def test_a_connection_whose_time_is_over_is_replaced_and_a_transaction_run_again(
    emulate: Emulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = emulate(engine="dsql", dsql=DsqlOptions(connection_lifetime=1.0))
    for name, value in aws.admin_environ.items():
        monkeypatch.setenv(name, value)
    with connect(aws) as connection:
        connection.execute("create table counter (id int primary key, n int not null)")
        connection.execute("insert into counter values (1, 0)")
    db = AsyncpgDatabase(settings_of(aws))
    runs = []

    async def slowly(connection: Any) -> None:
        runs.append(1)
        await connection.execute("update counter set n = n + 1")
        if len(runs) == 1:
            await asyncio.sleep(1.3)
        await connection.execute("select 1")

    await db.run(slowly)
    assert len(runs) == 2
    assert counted(aws) == 1
    await asyncio.sleep(1.3)
    async with db.connection() as another:
        assert await another.fetchval("select n from counter") == 1
    await db.close()


async def test_a_connection_is_not_handed_out_when_its_hour_is_nearly_over(dsql: Emulator) -> None:
    db = AsyncpgDatabase(settings_of(dsql, pool_size=1))
    async with db.connection() as connection:
        first: Any = connection
        assert 2900 < first.retires - time.time() < 3400
        first.retires = time.time() - 1
    async with db.connection() as another:
        assert another is not first
        assert await another.fetchval("select 1") == 1
    assert first.is_closed()
    await db.close()


@pytest.mark.parametrize("kind", [AsyncpgDatabase, PsycopgDatabase])
async def test_a_role_that_is_not_the_caller_s_is_told_at_once_with_the_reason(
    kind: Any, dsql: Emulator
) -> None:
    stranger = f"stranger_{time.time_ns()}"  # roles are the server's, which other tests share
    with connect(dsql) as connection:
        connection.execute(f"create role {stranger} with login")
    db = kind(settings_of(dsql, user=stranger))
    began = time.monotonic()
    refused = pytest.raises(TokenRefused, match="not authorized to perform: dsql:DbConnect")
    if kind is AsyncpgDatabase:
        with refused:
            async with db.connection():
                pass
        await db.close()
    else:
        with refused, db.connection():
            pass
        db.close()
    assert time.monotonic() - began < 3
