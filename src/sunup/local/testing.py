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
def _sunup_templates() -> dict[str, tuple[dict[str, str], str]]:
    """For each app's folder what `_template` has made: once in a session."""
    return {}


@pytest.fixture
def sunup_app_database(
    sunup_postgres: dict[str, str],
    _sunup_templates: dict[str, tuple[dict[str, str], str]],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, str]:
    """The `DB_*` variables of the app's database for this test: migrated, and otherwise empty.

    The app is that of the test's folder: the nearest `[tool.sunup]` at or above it. The variables
    are in the environment, so that the app's own `Database` finds it. Each test gets a copy of the
    same name: what an earlier one left connected was ended, which sunup's connections bear.
    """
    from sunup.nearby import LEADING, is_app

    above = request.path.parents
    folder = next((each for each in above if is_app(str(each))), request.config.rootpath)
    if str(folder) not in _sunup_templates:
        _sunup_templates[str(folder)] = _template(sunup_postgres, folder)
    template, name = _sunup_templates[str(folder)]
    _execute(template, f'drop database if exists "{name}" with (force)')
    _execute(template, f'create database "{name}" template "{template["DB_NAME"]}"')
    variables = {**template, "DB_NAME": name}
    for key in LEADING:
        monkeypatch.delenv(key, raising=False)
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    _without_proxy(monkeypatch)
    return variables


def _template(server: dict[str, str], folder: Path) -> tuple[dict[str, str], str]:
    """A database with the app's migrations; and the name of what is copied from it."""
    from sunup.nearby import is_app

    from . import laptop, project
    from .migrations import of_project

    name = f"app_{uuid.uuid4().hex[:12]}"
    variables = {**server, "DB_NAME": f"{name}_template"}
    found = laptop.with_variables(project.find(folder), variables)
    migrated = of_project.has_any(found)
    if not migrated and not is_app(str(folder)):
        pytest.fail(
            f"sunup_app_database: no app with [tool.sunup] is at or above the test, and {folder} "
            "has no migrations.\nsunup_database is an empty database.",
            pytrace=False,
        )
    _execute(server, f'create database "{name}_template"')
    if migrated:
        of_project.upgrade(found)
    return variables, name


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
    for event in aws.timeline.events[-_TOLD:]:
        fields = " ".join(f"{k}={v}" for k, v in event.items() if k not in ("n", "at", "kind"))
        moment = datetime.fromtimestamp(event["at"], UTC)
        print(f"{moment:%H:%M:%S.%f} {event['kind']}: {fields}"[:_WIDEST])  # noqa: T201
