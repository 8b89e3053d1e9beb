from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from sunup import RequestMiddleware, deadline
from sunup.failures import DatabaseFull
from sunup.request import note_failure
from sunup.settings import Settings


async def fine(_: Request) -> PlainTextResponse:
    return PlainTextResponse(str(deadline.remaining()))


async def full(_: Request) -> PlainTextResponse:
    failure = DatabaseFull()
    note_failure(failure)
    raise failure


async def broken(_: Request) -> PlainTextResponse:
    raise KeyError("secret")


app: Any = Starlette(routes=[Route("/fine", fine), Route("/full", full), Route("/broken", broken)])


@pytest.fixture
def client() -> TestClient:
    return TestClient(RequestMiddleware(app, Settings(gateway_timeout=5)))


def test_a_request_has_a_deadline(client: TestClient) -> None:
    assert 3.5 < float(client.get("/fine").text) <= 4


def test_a_database_s_failure_is_a_503_whatever_the_framework_made_of_it(
    client: TestClient,
) -> None:
    response = client.get("/full")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"
    assert response.json()["code"] == "database_full"


def test_an_exception_is_a_500_and_in_the_log(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = client.get("/broken")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "unhandled KeyError in the app" in caplog.text


def test_each_request_has_a_log_line(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "sunup.request")
    client.get("/fine?secret=1")
    assert [each.getMessage() for each in caplog.records if each.name == "sunup.request"] == [
        "GET /fine 200"
    ]
