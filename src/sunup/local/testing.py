"""The emulator as pytest fixtures, which pytest finds once sunup is installed.

def test_a_sleeping_database_is_waited_for(emulate):
    aws = emulate("path/to/app", aurora=AuroraOptions(resume_seconds=2))
    aws.do("aurora/pause")
    assert httpx.get(f"{aws.url}/users").status_code == 200

pytest loads this module in every project: what is heavy, or needs `sunup[dev]`, is imported by the
fixtures that use it.
"""

import os
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

    with postgres.throwaway(max_connections=300) as variables:
        yield variables


@pytest.fixture
def sunup_database(sunup_postgres: dict[str, str]) -> dict[str, str]:
    """The `DB_*` variables of an empty database for this test alone."""
    name = f"test_{uuid.uuid4().hex}"
    _execute(sunup_postgres, f'create database "{name}"')
    return {**sunup_postgres, "DB_NAME": name}


@pytest.fixture(scope="session")
def _sunup_template(
    sunup_postgres: dict[str, str], pytestconfig: pytest.Config
) -> tuple[dict[str, str], str]:
    """A database with the app's migrations, made once; and the name of what is copied from it."""
    from dataclasses import replace

    from . import project
    from .migrations import of_project

    name = f"app_{uuid.uuid4().hex[:12]}"
    variables = {**sunup_postgres, "DB_NAME": f"{name}_template"}
    _execute(sunup_postgres, f'create database "{name}_template"')
    found = replace(project.find(pytestconfig.rootpath), environ=variables)
    if of_project.has_any(found):
        of_project.upgrade(found)
    return variables, name


@pytest.fixture
def sunup_app_database(
    _sunup_template: tuple[dict[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The `DB_*` variables of the app's database for this test: migrated, and otherwise empty.

    They are in the environment, so that the app's own `Database` finds it. Each test gets a copy of
    the same name: what an earlier one left connected was ended, which sunup's connections bear.
    """
    template, name = _sunup_template
    _execute(template, f'drop database if exists "{name}" with (force)')
    _execute(template, f'create database "{name}" template "{template["DB_NAME"]}"')
    variables = {**template, "DB_NAME": name}
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    _without_proxy(monkeypatch)
    return variables


def _execute(variables: dict[str, str], statement: str) -> None:
    import psycopg

    with psycopg.connect(
        host=variables["DB_HOST"], user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(statement.encode())


def _without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes to this machine goes through no proxy of the environment."""
    for name in ("no_proxy", "NO_PROXY"):
        there = os.environ.get(name, "")
        monkeypatch.setenv(name, f"{there},localhost,127.0.0.1,::1".lstrip(","))


@pytest.fixture
def emulate(sunup_database: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulate]:
    """Starts an AWS for an app: `emulate(app, memory=256, ...)`, with `EmulatorOptions`' names.

    It has an empty database, in which the app's migrations are applied, and ends with the test.
    What happened, and what the function logged, is shown with a test that fails.
    """
    from .emulator import Emulator, EmulatorOptions

    _without_proxy(monkeypatch)
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
