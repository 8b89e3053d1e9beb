import asyncio
import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sunup import deadline
from sunup.adapter.handler import Handler
from sunup.adapter.http import Answer
from sunup.failures import ConnectionLost, DatabaseResuming, DatabaseUnavailable
from sunup.request import note_executed, note_failure
from sunup.settings import Settings, SettingsError
from sunup.statements import Change

from .test_events import event_1, event_2
from .test_lattice import version_1 as lattice_event
from .test_load_balancer import event as balancer_event

Send = Callable[[dict[str, Any]], Awaitable[None]]
_ = Answer


class Context:
    def __init__(self, remaining: float = 30) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self._end = time.time() + remaining

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end - time.time()) * 1000)


@pytest.fixture
def make() -> Iterator[Callable[..., Handler]]:
    made: list[Handler] = []

    def handler(app: Any, **options: Any) -> Handler:
        made.append(Handler(app, **options))
        return made[-1]

    yield handler
    for each in made:
        each.close()


Make = Callable[..., Handler]


async def reply(send: Send, status: int = 200, body: bytes = b"ok") -> None:
    headers = [(b"Content-Type", b"text/plain")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: dict[str, Any], receive: Any, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError
    message = await receive()
    seen = {
        "method": scope["method"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode(),
        "query": scope["query_string"].decode(),
        "body": message["body"].decode(),
        "remaining": deadline.remaining(),
    }
    await reply(send, body=json.dumps(seen).encode())


def test_an_asgi_app_answers_an_event(make: Make) -> None:
    response = make(echo)(event_2(rawPath="/a b"), Context())
    assert response["statusCode"] == 200
    assert response["headers"] == {"content-type": "text/plain"}
    seen = json.loads(response["body"])
    assert (seen["method"], seen["path"], seen["raw_path"]) == ("POST", "/a b", "/a%20b")
    assert seen["body"] == "Hello"


def test_a_wsgi_app_answers_an_event(make: Make) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("201 Created", [("X-Seen", environ["PATH_INFO"]), ("Set-Cookie", "a=1")])
        return [environ["wsgi.input"].read(), b" ", environ["QUERY_STRING"].encode()]

    response = make(app)(event_1(body="in"), Context())
    assert response["statusCode"] == 201
    assert response["multiValueHeaders"] == {"x-seen": ["/my/path"], "set-cookie": ["a=1"]}


def test_the_deadline_reaches_the_app(make: Make) -> None:
    now = int(time.time() * 1000)
    response = make(echo)(event_2(requestContext={"timeEpoch": now}), Context(remaining=60))
    assert 28 < json.loads(response["body"])["remaining"] <= 29
    response = make(echo)(event_2(requestContext={"timeEpoch": now}), Context(remaining=10))
    assert 8 < json.loads(response["body"])["remaining"] <= 9


def test_an_app_that_is_too_slow_is_cancelled_and_answered_for(make: Make) -> None:
    cancelled = threading.Event()

    async def slow(scope: dict[str, Any], _: Any, __: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        try:
            await asyncio.sleep(30)
        finally:
            cancelled.set()

    began = time.monotonic()
    response = make(slow)(event_2(), Context(remaining=1.5))
    assert time.monotonic() - began < 1.4
    assert response["statusCode"] == 503
    assert json.loads(response["body"])["code"] == "deadline_exceeded"
    assert "retry-after" not in response["headers"]  # a POST may have done something
    assert cancelled.wait(1)


BLOCKS_WSGI = """
def app(environ, start_response):
    try:
        time.sleep(2)
    except Exception:
        start_response("500 Oh", [])  # as a framework does
        return []
"""
BLOCKS_ASGI = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    time.sleep(2)
"""


@pytest.mark.parametrize("app", [BLOCKS_ASGI, BLOCKS_WSGI])
def test_an_app_that_blocks_is_answered_for_as_well(app: str) -> None:
    script = f"""
import time
from sunup import Handler
from tests.adapter.test_events import event_2
from tests.adapter.test_handler import Context
{app}
handler = Handler(app)
began = time.monotonic()
response = handler(event_2(), Context(remaining=1.3))
assert time.monotonic() - began < 1.25
assert response["statusCode"] == 503, response
assert "deadline_exceeded" in response["body"]
print("answered")
"""
    # pytest-timeout has this process's alarm.
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout.endswith("answered\n"), done.stderr


def fails_with(failure: DatabaseUnavailable, status: int | None) -> Any:
    async def app(scope: dict[str, Any], _: Any, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        note_failure(failure)
        if not failure.nothing_executed:
            note_executed(Change.PERHAPS, known=False)
        if status is None:
            raise failure
        await reply(send, status, b"Internal Server Error")

    return app


@pytest.mark.parametrize("status", [None, 500])
def test_a_resuming_database_is_a_503_also_when_the_framework_made_it_a_500(
    make: Make, status: int | None
) -> None:
    response = make(fails_with(DatabaseResuming("host secret.example.com"), status))(
        event_2(), Context()
    )
    assert response["statusCode"] == 503
    assert response["headers"]["retry-after"] == "5"
    assert json.loads(response["body"]) == {
        "error": "The database is waking up",
        "code": "database_resuming",
        "executed": "no",
    }


def test_the_app_s_own_answer_to_a_failure_stands(make: Make) -> None:
    response = make(fails_with(DatabaseResuming(), 202))(event_2(), Context())
    assert response["statusCode"] == 202


def test_a_lost_connection_is_repeatable_only_for_a_safe_method(make: Make) -> None:
    handler = make(fails_with(ConnectionLost("gone"), None))
    post = handler(event_2(), Context())
    assert post["statusCode"] == 500
    assert "retry-after" not in post["headers"]
    assert json.loads(post["body"])["code"] == "connection_lost"
    get = handler(event_1(), Context())
    assert get["statusCode"] == 503
    assert get["multiValueHeaders"]["retry-after"] == ["1"]


def test_an_unforeseen_exception_is_a_bare_500_and_a_log_line_with_its_cause(
    make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")

    async def app(scope: dict[str, Any], _: Any, __: Send) -> None:
        if scope["type"] == "http":
            raise LookupError("the secret reason")

    context = Context()
    response = make(app)(event_2(), context)
    assert response["statusCode"] == 500
    assert response["body"] == '{"error": "Internal Server Error"}'
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["level"] for line in lines] == ["ERROR", "ERROR"]
    assert "LookupError: the secret reason" in lines[0]["exception"]
    assert lines[0]["request_id"] == lines[1]["request_id"] == context.aws_request_id
    assert (lines[1]["status"], lines[1]["path"], lines[1]["cold_start"]) == (500, "/my/path", True)


def test_only_the_first_request_is_a_cold_start(
    make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    handler = make(echo)
    handler(event_2(), Context())
    handler(event_2(), Context())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("cold_start") for line in lines] == [True, None]
    assert "parameter1" not in json.dumps(lines)  # the query string may hold personal data


def test_the_lifespan_runs_once_and_its_state_reaches_each_request(make: Make) -> None:
    steps: list[str] = []

    async def app(scope: dict[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["n"] = 7
            steps.append("up")
            await send({"type": "lifespan.startup.complete"})
            await receive()
            steps.append("down")
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await reply(send, body=str(scope["state"]["n"]).encode())

    handler = make(app)
    assert handler(event_2(), Context())["body"] == "7"
    assert handler(event_2(), Context())["body"] == "7"
    assert steps == ["up"]
    handler.close()
    assert steps == ["up", "down"]
    handler.close = lambda limit=None: None  # type: ignore[method-assign]


def test_a_start_up_that_fails_ends_init(make: Make) -> None:
    async def app(_: dict[str, Any], receive: Any, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no licence"})

    with pytest.raises(RuntimeError, match="startup failed: no licence"):
        make(app)


def test_a_broken_body_is_a_400(make: Make) -> None:
    response = make(echo)(event_2(body="%", isBase64Encoded=True), Context())
    assert response["statusCode"] == 400


def test_the_log_stream_is_told_where_lambda_gives_one(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        "x-lambda-log-stream"
        not in make(echo, log_stream_header=True)(event_2(), Context())["headers"]
    )
    monkeypatch.setenv("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/23/[$LATEST]abc")
    response = make(echo, log_stream_header=True)(event_2(), Context())
    assert response["headers"]["x-lambda-log-stream"] == "2026/11/23/[$LATEST]abc"


class FakeDatabase:
    settings = Settings(host="localhost", password="x")

    def __init__(self) -> None:
        self.threads: list[str] = []

    async def start(self) -> None:
        self.threads.append(threading.current_thread().name)


@pytest.mark.parametrize(
    ("kind", "starts"),
    [
        (None, True),
        ("on-demand", True),
        ("provisioned-concurrency", False),
        ("snap-start", False),
        ("lambda-managed-instances", False),
    ],
)
def test_a_database_is_woken_at_init_only_when_a_request_waits_behind_it(
    make: Make, monkeypatch: pytest.MonkeyPatch, kind: str | None, starts: bool
) -> None:
    if kind is not None:
        monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", kind)
    database = FakeDatabase()
    make(echo, database=database)(event_2(), Context())
    assert database.threads == (["sunup-loop"] if starts else [])


def test_connecting_begins_before_the_app_is_imported(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"slow_{uuid.uuid4().hex}"
    (tmp_path / f"{module}.py").write_text(
        "import time\nimported = time.monotonic()\ntime.sleep(0.3)\n"
        "async def app(scope, receive, send): raise NotImplementedError\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    moments: list[float] = []

    class Timed(FakeDatabase):
        async def start(self) -> None:
            moments.append(time.monotonic())

    make(f"{module}:app", database=Timed())
    assert moments[0] < sys.modules[module].imported + 0.1


def test_a_wrong_setting_of_the_database_ends_init(make: Make) -> None:
    class Wrong:
        @property
        def settings(self) -> Settings:
            raise SettingsError("DB_HOST", None, "a host")

        def start(self) -> None:
            raise AssertionError

    with pytest.raises(SettingsError, match="DB_HOST is not set"):
        make(echo, database=Wrong())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere:app", "a module that exists"),
        ("json:nothing", "a name in the module 'json'"),
        ("json", "module:name"),
        ("json:__name__", "an ASGI or WSGI app, not str"),
        ("json:loads", r"an app; loads\(\) makes one: json:loads\(\)"),
    ],
)
def test_an_app_that_cannot_be_found_is_named(make: Make, name: str, says: str) -> None:
    with pytest.raises(SettingsError, match=f"app is '{name}'; expected {says}"):
        make(name)


def test_a_load_balancer_and_lattice_are_answered_in_their_own_form(make: Make) -> None:
    handler = make(echo)
    balanced = handler(balancer_event(), Context())
    assert balanced["statusDescription"] == "200 OK"
    assert json.loads(balanced["body"])["raw_path"] == "/a%2Fb"
    lattice = handler(lattice_event(), Context())
    assert json.loads(lattice["body"])["query"] == "order-id=42&x=%20"


def test_a_malformed_event_is_the_client_s_mistake_and_no_crash(make: Make) -> None:
    response = make(echo)(event_2(headers=["no"]), Context())
    assert response["statusCode"] == 400
    assert json.loads(response["body"])["error"] == "the event's headers is not an object"


def test_other_invocations_go_to_the_function_that_is_named(make: Make) -> None:
    seen: list[object] = []

    def jobs(event: Any, context: Any) -> dict[str, Any]:
        seen.append((event, context.aws_request_id))
        return {"batchItemFailures": []}

    handler = make(echo, events=jobs)
    context = Context()
    assert handler({"Records": [1]}, context) == {"batchItemFailures": []}
    assert seen == [({"Records": [1]}, context.aws_request_id)]
    assert handler(event_2(), Context())["statusCode"] == 200
    with pytest.raises(TypeError, match=r"Handler\(\.\.\., events=function\)"):
        make(echo)({"Records": []}, Context())


def test_a_coroutine_for_other_invocations_runs_on_the_app_s_loop(make: Make) -> None:
    loops: set[object] = set()

    async def app(scope: dict[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] == "http":
            loops.add(asyncio.get_running_loop())
            await reply(send)
        else:
            raise NotImplementedError

    async def jobs(event: Any, _: Any) -> int:
        loops.add(asyncio.get_running_loop())
        return len(event)

    handler = make(app, events=jobs)
    assert handler({"a": 1, "b": 2}, Context()) == 2
    handler(event_2(), Context())
    assert len(loops) == 1


@pytest.mark.parametrize("base_path", ["v1", "/v1", "/v1/"])
def test_a_base_path_of_a_custom_domain_is_the_root_of_the_app(make: Make, base_path: str) -> None:
    async def app(scope: dict[str, Any], _: Any, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await reply(send, body=f"{scope['root_path']} {scope['path']}".encode())

    handler = make(app, base_path=base_path)
    assert handler(event_2(rawPath="/v1/users"), Context())["body"] == "/v1 /v1/users"
    assert handler(event_2(rawPath="/v10/users"), Context())["body"] == " /v10/users"
    staged = event_2(rawPath="/test/v1/users", requestContext={"stage": "test"})
    assert handler(staged, Context())["body"] == "/test/v1 /test/v1/users"


def test_priming_asks_the_app_once_in_init(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    async def app(scope: dict[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        asked.append(f"{scope['method']} {scope['path']}?{scope['query_string'].decode()}")
        assert deadline.remaining() <= 29
        await reply(send)

    handler = make(app, prime="/health?deep=1")
    assert asked == ["GET /health?deep=1"]
    assert not caplog.records
    handler(event_2(), Context())
    assert len(asked) == 2
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "provisioned-concurrency")
    make(app, prime="/health")
    assert len(asked) == 2


def test_priming_with_a_path_that_is_none_is_told(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await reply(send, 404)

    handler = make(app, prime="/bookz?limit=1")
    assert "priming with /bookz was answered 404" in capfd.readouterr().err
    assert handler(event_2(), Context())["statusCode"] == 404


def test_a_database_that_sleeps_does_not_hold_up_priming(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def app(scope: dict[str, Any], _: Any, __: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await asyncio.sleep(deadline.remaining())
        raise DatabaseResuming

    monkeypatch.setattr("sunup.adapter.priming.LIMIT", 0.3)
    began = time.monotonic()
    handler = make(app, prime="/")
    assert time.monotonic() - began < 1
    response = handler(event_2(), Context(remaining=1.2))
    assert json.loads(response["body"])["code"] == "database_resuming"


def test_what_is_no_path_cannot_be_primed(make: Make) -> None:
    with pytest.raises(ValueError, match="prime is 'health'; expected a path"):
        make(echo, prime="health")
