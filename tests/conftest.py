"""A real PostgreSQL for each test process, a database for each test, a clean environment."""

import logging
import os
from collections.abc import Callable, Iterator

import psycopg
import pytest

from sunup.settings import Settings

# These wait for clocks the longest.
SLOW = (
    *("test_waking", "test_soak", "test_sequences", "test_connections", "test_users_fuzz"),
    *("test_guides", "test_new", "test_killing"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each of several processes begin with a part of the slow tests: none is left for the end.

    pytest-xdist (`--dist=worksteal`) gives each process a run of the list to begin with.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = [each for each in items if each.path.stem in SLOW]
    others = [each for each in items if each.path.stem not in SLOW]
    ordered: list[pytest.Item] = []
    for number in range(processes):
        ordered += slow[number::processes]
        ordered += others[
            number * len(others) // processes : (number + 1) * len(others) // processes
        ]
    items[:] = ordered


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the credentials or settings of whoever runs it."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "DB_", "SUNUP_")) or name in {
            "CI",  # a laptop's tests: what differs in a CI sets it
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


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """A `Handler` sends all logging to what is standard output now: the next test's is another."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def server(sunup_postgres: dict[str, str]) -> dict[str, str]:
    """The `DB_*` variables of a PostgreSQL 18 of this test process."""
    return sunup_postgres


@pytest.fixture
def database(sunup_database: dict[str, str]) -> dict[str, str]:
    """The `DB_*` variables of a database of this test's own."""
    return sunup_database


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
