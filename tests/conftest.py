"""A real PostgreSQL for each test process, a database for each test, a clean environment."""

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from sunup.emulator import postgres
from sunup.settings import Settings

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the credentials or settings of whoever runs it."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "DB_", "SUNUP_")) or name in {
            "LOG_LEVEL",
            "TZ",
            "DATABASE_URL",
            "GATEWAY_TIMEOUT",
        }:
            monkeypatch.delenv(name)
    # Nor does botocore look into a home folder or ask an instance's metadata.
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def server() -> Iterator[dict[str, str]]:
    """The `DB_*` variables of a PostgreSQL 18 of this test process."""
    with (
        tempfile.TemporaryDirectory(prefix="sunup-test-") as folder,
        postgres.running(Path(folder) / "postgres", durable=False) as variables,
    ):
        yield variables


@pytest.fixture
def database(server: dict[str, str]) -> dict[str, str]:
    """The `DB_*` variables of a database of this test's own."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(
        host=server["DB_HOST"], user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(f'create database "{name}"'.encode())
    return {**server, "DB_NAME": name}


@pytest.fixture
def settings(database: dict[str, str]) -> Settings:
    """The settings to reach it."""
    return Settings.from_environment(database)


@pytest.fixture
def admin(database: dict[str, str]) -> Callable[[str], list[tuple[object, ...]]]:
    """Runs one statement on a connection of its own, to do things to the app's."""

    def run(statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(
            host=database["DB_HOST"],
            user="postgres",
            dbname=database["DB_NAME"],
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    return run
