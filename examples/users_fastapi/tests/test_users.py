"""The API through FastAPI's client, and once through an AWS on this machine."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from app import app
from fastapi.testclient import TestClient

from sunup.local.emulator import AuroraOptions
from sunup.local.testing import Emulate

APP = Path(__file__).parent.parent
ADA = {"name": "Ada", "email": "ada@example.com"}


@pytest.fixture
def client(sunup_app_database: dict[str, str]) -> Iterator[TestClient]:
    """On a database of this test's own: migrated, and otherwise empty."""
    with TestClient(app) as client:
        yield client


def test_a_user_is_made_changed_and_removed(client: TestClient) -> None:
    made = client.post("/users", json=ADA)
    assert made.status_code == 201
    path = f"/users/{made.json()['id']}"
    assert client.get(path).json() == made.json()
    assert client.put(path, json={"name": "Ada L."}).json()["name"] == "Ada L."
    assert client.delete(path).status_code == 200
    assert client.get(path).status_code == 404


def test_an_address_is_taken_once(client: TestClient) -> None:
    client.post("/users", json=ADA)
    again = client.post("/users", json=ADA)
    assert (again.status_code, again.json()) == (409, {"error": "email already exists"})


def test_a_body_that_is_wrong_says_which_field(client: TestClient) -> None:
    answer = client.post("/users", json={"name": "Ada"})
    assert (answer.status_code, answer.json()["field"]) == (400, "email")


def test_the_first_request_waits_for_a_sleeping_database(emulate: Emulate) -> None:
    aws = emulate(APP, aurora=AuroraOptions(resume_seconds=1))
    aws.do("aurora/pause")
    with urllib.request.urlopen(f"{aws.url}/users", timeout=30) as response:
        assert response.read() == b"[]"
