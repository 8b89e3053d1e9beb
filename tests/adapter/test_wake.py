"""The event of a schedule that wakes the database before people come."""

import time
from pathlib import Path

import pytest

import sunup.asyncpg
import sunup.psycopg
from sunup import Handler
from sunup.adapter.events import UnknownEvent
from sunup.failures import DatabaseUnreachable
from sunup.local.emulator import AuroraOptions
from sunup.local.testing import Emulate
from sunup.settings import Settings

WAKE = {"sunup": "wake"}


async def app(scope: object, receive: object, send: object) -> None:
    raise AssertionError("nobody asked the app")


@pytest.mark.parametrize("room", ["asyncpg", "psycopg"])
def test_the_database_is_connected_to_and_the_app_is_not_asked(
    settings: Settings, room: str
) -> None:
    database = getattr(sunup, room).Database(settings)
    handler = Handler(app, database=database, lifespan="off")
    for _ in range(2):
        assert handler(WAKE) == {"awake": True}
    handler._shut_down()
    handler.close()


def test_a_database_that_is_not_there_is_an_error_of_the_event(tmp_path: Path) -> None:
    settings = Settings(host=str(tmp_path), user="x", connect_timeout=0.5)
    handler = Handler(app, database=sunup.psycopg.Database(settings), lifespan="off")
    with pytest.raises(DatabaseUnreachable):
        handler(WAKE)
    handler.close()


def test_without_a_database_nobody_handles_it() -> None:
    handler = Handler(app, lifespan="off")
    with pytest.raises(UnknownEvent):
        handler(WAKE)
    handler.close()


def test_a_sleeping_database_is_awake_when_it_is_answered(
    emulate: Emulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = emulate(None, aurora=AuroraOptions(resume_seconds=2))
    environ = {**aws.environ, **aws.iam.current.environment()}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    database = sunup.psycopg.Database(Settings.from_environment(environ))
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "provisioned-concurrency")
    handler = Handler(app, database=database, lifespan="off")
    aws.do("aurora/pause")
    began = time.monotonic()
    assert handler(WAKE) == {"awake": True}
    assert time.monotonic() - began > 1.8
    handler._shut_down()
    handler.close()
