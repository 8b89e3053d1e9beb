"""The emulator as pytest fixtures, which pytest finds once sunup is installed.

def test_a_sleeping_database_is_waited_for(emulate):
    aws = emulate("path/to/app", aurora=AuroraOptions(resume_seconds=2))
    aws.do("aurora/pause")
    assert httpx.get(f"{aws.url}/users").status_code == 200

pytest loads this module in every project: what is heavy, or needs `sunup[dev]`, is imported by the
fixtures that use it.
"""

import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .emulator import Emulator

Emulate = Callable[..., "Emulator"]

# How many of an emulator's events, and characters of each, are printed when its test ends.
_TOLD, _WIDEST = 100, 1000


@pytest.fixture(scope="session")
def sunup_postgres() -> Iterator[dict[str, str]]:
    """The `DB_*` variables of a PostgreSQL 18 that lives as long as the test session."""
    from . import postgres

    with (
        tempfile.TemporaryDirectory(prefix="sunup-test-") as folder,
        postgres.running(
            Path(folder) / "postgres", durable=False, max_connections=300
        ) as variables,
    ):
        yield variables


@pytest.fixture
def sunup_database(sunup_postgres: dict[str, str]) -> dict[str, str]:
    """The `DB_*` variables of an empty database for this test alone."""
    import psycopg

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
    What happened, and what the function logged, is shown with a test that fails.
    """
    from .emulator import Emulator, EmulatorOptions

    with ExitStack() as stack:

        def start(app: Path | str | None = None, **options: Any) -> Emulator:
            made = EmulatorOptions(**{"memory": 1769, **options})
            aws = stack.enter_context(Emulator(app, made, server=sunup_database))
            stack.callback(_tell, aws)
            return aws

        yield start


def _tell(aws: "Emulator") -> None:
    """Print the last events: pytest shows what a test printed when it fails."""
    for event in list(aws.timeline.events)[-_TOLD:]:
        fields = " ".join(f"{k}={v}" for k, v in event.items() if k not in ("n", "at", "kind"))
        moment = datetime.fromtimestamp(event["at"], UTC)
        print(f"{moment:%H:%M:%S.%f} {event['kind']}: {fields}"[:_WIDEST])  # noqa: T201
