"""The API through Flask's own client, and once through an AWS on this machine."""

import urllib.request
from pathlib import Path

import pytest
from app import app
from flask.testing import FlaskClient

from sunup.local.emulator import AuroraOptions
from sunup.local.testing import Emulate

APP = Path(__file__).parent.parent
ADA = {"name": "Ada", "email": "ada@example.com"}


@pytest.fixture
def client(sunup_app_database: dict[str, str]) -> FlaskClient:
    """On a database of this test's own: migrated, and otherwise empty."""
    return app.test_client()


def test_a_user_is_made_changed_and_removed(client: FlaskClient) -> None:
    made = client.post("/users", json=ADA)
    assert made.status_code == 201
    user = made.get_json()
    path = f"/users/{user['id']}"
    assert client.get(path).get_json() == user
    assert client.put(path, json={"name": "Ada L."}).get_json()["name"] == "Ada L."
    assert client.delete(path).status_code == 200
    assert client.get(path).status_code == 404


def test_an_address_is_taken_once(client: FlaskClient) -> None:
    client.post("/users", json=ADA)
    again = client.post("/users", json=ADA)
    assert (again.status_code, again.get_json()) == (409, {"error": "email already exists"})


def test_a_body_that_is_wrong_says_which_field(client: FlaskClient) -> None:
    answer = client.post("/users", json={"name": "Ada"})
    assert (answer.status_code, answer.get_json()["field"]) == (400, "email")


def test_the_first_request_waits_for_a_sleeping_database(emulate: Emulate) -> None:
    aws = emulate(APP, aurora=AuroraOptions(resume_seconds=1))
    aws.do("aurora/pause")
    with urllib.request.urlopen(f"{aws.url}/users", timeout=30) as response:
        assert response.read() == b"[]"
