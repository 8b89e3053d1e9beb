"""The emulator as pytest fixtures: `pytest_plugins = ["sunup.testing"]` in a conftest.py.

def test_a_sleeping_database_is_waited_for(emulate):
    aws = emulate("path/to/app", aurora=AuroraOptions(resume_seconds=2))
    aws.do("aurora/pause")
    assert httpx.get(f"{aws.url}/users").status_code == 200
"""

import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from .emulator import Emulator, EmulatorOptions, postgres

Emulate = Callable[..., Emulator]


@pytest.fixture(scope="session")
def sunup_postgres() -> Iterator[dict[str, str]]:
    """The `DB_*` variables of a PostgreSQL 18 that lives as long as the test session."""
    with (
        tempfile.TemporaryDirectory(prefix="sunup-test-") as folder,
        postgres.running(
            Path(folder) / "postgres", durable=False, max_connections=300
        ) as variables,
    ):
        yield variables


@pytest.fixture
def sunup_database(sunup_postgres: dict[str, str]) -> dict[str, str]:
    """The `DB_*` variables of an empty database of this test's own."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(
        host=sunup_postgres["DB_HOST"], user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(f'create database "{name}"'.encode())
    return {**sunup_postgres, "DB_NAME": name}


@pytest.fixture
def emulate(sunup_database: dict[str, str]) -> Iterator[Emulate]:
    """Starts an AWS for an app: `emulate(app, memory=256, ...)`, with `EmulatorOptions`' names.

    It has an empty database, in which the app's migrations are applied, and ends with the test.
    """
    with ExitStack() as stack:

        def start(app: Path | str | None = None, **options: Any) -> Emulator:
            made = EmulatorOptions(**{"memory": 1769, **options})
            return stack.enter_context(Emulator(app, made, server=sunup_database))

        yield start
