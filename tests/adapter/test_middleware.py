import asyncio
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


def serving(app: Any, **options: Any) -> TestClient:
    wrapped = RequestMiddleware(app, Settings(gateway_timeout=1.2))
    return TestClient(wrapped, raise_server_exceptions=False, **options)


def test_an_app_that_takes_too_long_is_cancelled() -> None:
    async def app(scope: Any, _: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await asyncio.sleep(20)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})

    client = serving(app)
    response = client.get("/slow")
    assert (response.status_code, response.json()["code"]) == (503, "deadline_exceeded")
    assert client.get("/").text == "fine"


def test_a_time_out_of_the_app_s_own_is_the_app_s_own() -> None:
    async def app(*_: Any) -> None:
        raise TimeoutError("somebody else's")

    assert serving(app).get("/").json() == {"error": "Internal Server Error"}


@pytest.mark.parametrize("in_parts", [False, True])
def test_only_a_whole_bare_page_is_replaced(in_parts: bool) -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        note_failure(DatabaseFull())
        await send({"type": "http.response.start", "status": 500, "headers": []})
        body = {"type": "http.response.body", "body": b"Internal Server Error"}
        await send({**body, "more_body": in_parts})
        if in_parts:
            await send({"type": "http.response.body", "body": b", and more"})

    response = serving(app).get("/")
    if in_parts:
        assert (response.status_code, response.text[-10:]) == (500, ", and more")
    else:
        assert (response.status_code, response.json()["code"]) == (503, "database_full")


@pytest.mark.parametrize("status", [200, 500])
def test_an_app_that_answers_and_raises_on_keeps_its_answer(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"my own words"})
        raise KeyError

    response = serving(app).get("/")
    assert (response.status_code, response.text) == (status, "my own words")
    assert "unhandled KeyError in the app" in caplog.text


def test_what_is_no_request_is_passed_on() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "hello"})
        await send({"type": "websocket.close"})

    with serving(app).websocket_connect("/") as socket:
        assert socket.receive_text() == "hello"
