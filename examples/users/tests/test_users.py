"""The API as its clients see it, in an emulated AWS."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from sunup.local.emulator import Emulator, GatewayOptions
from sunup.local.emulator.aurora import AuroraOptions
from sunup.local.testing import Emulate

APP = Path(__file__).parent.parent


@pytest.fixture
def aws(emulate: Emulate) -> Emulator:
    return emulate(APP, aurora=AuroraOptions(resume_seconds=1))


def call(
    aws: Emulator, method: str, path: str, content: object = None, token: str | None = None
) -> tuple[int, Any]:
    data = None if content is None else json.dumps(content).encode()
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(aws.url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_user_is_made_changed_and_removed(aws: Emulator) -> None:
    status, user = call(aws, "POST", "/users", {"name": "Ada", "email": "ada@example.com"})
    assert status == 201
    path = f"/users/{user['id']}"
    assert call(aws, "GET", path) == (200, user)
    assert call(aws, "PUT", path, {"name": "Ada L."})[1]["name"] == "Ada L."
    assert call(aws, "DELETE", path)[0] == 200
    assert call(aws, "GET", path)[0] == 404


def test_a_body_that_is_wrong_says_which_field(aws: Emulator) -> None:
    status, answer = call(aws, "POST", "/users", {"name": "Ada"})
    assert status == 400
    assert answer["field"] == "email"


def test_the_first_request_waits_for_a_sleeping_database(aws: Emulator) -> None:
    aws.do("aurora/pause")
    assert call(aws, "GET", "/users") == (200, [])


def test_who_calls_is_known_behind_a_jwt(emulate: Emulate) -> None:
    aws = emulate(APP, gateway=GatewayOptions(authorization="JWT"))
    assert call(aws, "GET", "/me")[0] == 401
    token = aws.token(sub="ada", scope="users.read")
    status, me = call(aws, "GET", "/me", token=token)
    assert (status, me["id"], me["kind"]) == (200, "ada", "jwt")
