"""The users API in this process, answered by the Lambda handler."""

import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sunup.adapter.handler import Handler
from sunup.local.migrations import running as migrations
from sunup.local.migrations.importing import importable
from sunup.settings import Settings
from tests.adapter.test_handler import Context

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


Call = Callable[..., Reply]


@pytest.fixture(scope="session", params=["users", "users_asgi", "users_fastapi"])
def example(request: pytest.FixtureRequest) -> Path:
    """The folder of an app that keeps the users API's contract."""
    return EXAMPLES / str(request.param)


@pytest.fixture(scope="session")
def users_database(server: dict[str, str], example: Path) -> dict[str, str]:
    """A database with the migrations of the users API."""
    name = f"users_{uuid.uuid4().hex}"
    with psycopg.connect(
        host=server["DB_HOST"], user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(f'create database "{name}"'.encode())
    variables = {**server, "DB_NAME": name}
    migrations.upgrade(Settings.from_environment(variables), example / "migrations")
    return variables


@pytest.fixture(scope="session")
def users_handler(users_database: dict[str, str], example: Path) -> Iterator[Handler]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    patch = pytest.MonkeyPatch()
    for name, value in users_database.items():
        patch.setitem(os.environ, name, value)
    try:
        with importable(example):
            import lambda_function

            handler: Handler = lambda_function.handler
            yield handler
            from database import db

            handler.submit(db.close()).result()
            handler.close()
    finally:
        patch.undo()
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.fixture
def call(users_handler: Handler, users_database: dict[str, str]) -> Call:
    """Sends a request to the API, whose table is empty at first."""
    with psycopg.connect(
        host=users_database["DB_HOST"],
        user="postgres",
        dbname=users_database["DB_NAME"],
        autocommit=True,
    ) as connection:
        connection.execute("truncate users restart identity")
    return lambda *args, **options: send(users_handler, *args, **options)


def send(
    handler: Handler,
    method: str,
    path: str,
    content: Any = None,
    *,
    body: str | None = None,
    headers: dict[str, str] | None = None,
    is_base64: bool = False,
) -> Reply:
    path, _, query = path.partition("?")
    if content is not None:
        body = json.dumps(content)
    event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"content-type": "application/json", **(headers or {})},
        "requestContext": {
            "http": {"method": method, "sourceIp": "192.0.2.1"},
            "stage": "$default",
            "timeEpoch": int(time.time() * 1000),
        },
        "body": body,
        "isBase64Encoded": is_base64,
    }
    response = handler(event, Context())
    assert response["isBase64Encoded"] is False
    return Reply(response["statusCode"], response["headers"], response["body"])
