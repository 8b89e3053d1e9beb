"""The users API in this process, answered by the Lambda handler."""

import base64
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from sunup.adapter.handler import Handler
from sunup.local import project
from sunup.local.emulator import Emulator, EmulatorOptions
from sunup.local.migrations import of_project
from sunup.local.migrations.importing import importable
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


ALL = ["users", "users_asgi", "users_fastapi", "users_flask", "users_django"]
# Django's settings are a process's: for a process that is Django's alone.
DJANGO_HERE = "SUNUP_DJANGO_HERE"
IN_THIS_PROCESS = ALL if DJANGO_HERE in os.environ else ALL[:-1]


# The same apps on Aurora DSQL, emulated.
ON_DSQL = ["users", "users_fastapi", "users_flask", "users_django"]


@pytest.fixture(scope="session", params=[*ALL, *(f"{name} on dsql" for name in ON_DSQL)])
def contracted(request: pytest.FixtureRequest) -> str:
    """An app that keeps the users API's contract, and the engine that is not the usual one."""
    return str(request.param)


@pytest.fixture(scope="session")
def example(contracted: str) -> Path:
    """The app's folder."""
    return EXAMPLES / contracted.partition(" ")[0]


@pytest.fixture(scope="session")
def real_database(server: dict[str, str], contracted: str) -> dict[str, str]:
    """A database for the users API, whatever stands in front of it."""
    del contracted  # for each its own
    name = f"users_{uuid.uuid4().hex}"
    with psycopg.connect(
        host=server["DB_HOST"], user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(f'create database "{name}"'.encode())
    return {**server, "DB_NAME": name}


@pytest.fixture(scope="session")
def users_database(
    real_database: dict[str, str], example: Path, contracted: str
) -> Iterator[dict[str, str]]:
    """How the app reaches it; with its migrations where the app is in this process."""
    if contracted.endswith("dsql") and example.name in IN_THIS_PROCESS:
        options = EmulatorOptions(engine="dsql", migrations=example / "migrations")
        with Emulator(None, options, server=real_database) as aws:
            yield aws.environ
        return
    variables = real_database
    if example.name in IN_THIS_PROCESS:  # else the emulator does it, as the tables' owner
        of_project.upgrade(replace(project.find(example), environ=variables))
    yield variables


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
            if example.name == "users_django":
                from django.conf import settings

                settings.DEBUG, settings.DEBUG_PROPAGATE_EXCEPTIONS = False, True  # as on Lambda
            yield handler
            if example.name != "users_django":
                from database import db

                closing = db.close()
                if closing is not None:
                    handler.submit(closing).result()
            handler.close()
    finally:
        patch.undo()
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.fixture(scope="session")
def sender(
    request: pytest.FixtureRequest,
    example: Path,
    contracted: str,
    users_database: dict[str, str],
) -> Iterator[Call]:
    """Sends a request. Django's settings count for a whole process, so it has one of its own."""
    if example.name in IN_THIS_PROCESS:
        yield partial(send, request.getfixturevalue("users_handler"))
        return
    engine: Any = "dsql" if contracted.endswith("dsql") else "aurora"
    options = EmulatorOptions(memory=1769, engine=engine, environ={"SECRET_KEY": "a test's"})
    with Emulator(example, options, server=users_database) as aws:
        yield partial(through, aws)


@pytest.fixture(autouse=True)
def credentials(
    request: pytest.FixtureRequest, clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app in this process signs a token when it connects anew."""
    if "users_database" in request.fixturenames:
        for name, value in request.getfixturevalue("users_database").items():
            if name.startswith("AWS_"):
                monkeypatch.setenv(name, value)


@pytest.fixture
def call(sender: Call, real_database: dict[str, str]) -> Call:
    """Sends a request to the API, whose table is empty at first."""
    with psycopg.connect(
        host=real_database["DB_HOST"],
        user="postgres",
        dbname=real_database["DB_NAME"],
        autocommit=True,
    ) as connection:
        connection.execute("truncate users, sunup_receipts restart identity")
    return sender


def through(
    aws: Emulator,
    method: str,
    path: str,
    content: Any = None,
    *,
    body: str | None = None,
    headers: dict[str, str] | None = None,
    is_base64: bool = False,
) -> Reply:
    """The same request, by HTTP."""
    data = json.dumps(content) if content is not None else body or ""
    response = httpx2.request(
        method,
        aws.url + path,
        content=base64.b64decode(data) if is_base64 else data.encode(),
        headers={"content-type": "application/json", **(headers or {})},
        timeout=30,
    )
    return Reply(response.status_code, dict(response.headers), response.text)


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
