"""Traces: the client's ids in the log, X-Ray's daemon, OpenTelemetry's API."""

import io
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from sunup.adapter.handler import Handler
from sunup.connecting import timing
from sunup.connecting.waking import Waking
from sunup.failures import DatabaseResuming
from sunup.observing import Outcome
from sunup.observing.aside import LIMIT, Aside
from sunup.observing.trace import MOST_SPANS, Trace, id_of, traceparent
from sunup.observing.xray import address_of
from sunup.request import note_failure, note_wait
from sunup.settings import Settings
from tests.adapter.test_events import event_2
from tests.adapter.test_handler import Context, reply

# W3C Trace Context, section 3.2.4, "Examples of HTTP traceparent Headers".
SENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ROOT, PARENT = "1-58406520-a006649127e371903a2de979", "4c721bf33e3caf8f"  # X-Ray's documentation


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    Waking.told = None
    logging.getLogger().handlers.clear()


class Daemon:
    """What X-Ray's daemon would be sent."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(5)
        self.address = "{}:{}".format(*self.socket.getsockname())

    def next(self) -> dict[str, Any]:
        header, _, document = self.socket.recv(70_000).partition(b"\n")
        assert json.loads(header) == {"format": "json", "version": 1}
        content: dict[str, Any] = json.loads(document)
        return content

    def is_silent(self) -> bool:
        self.socket.settimeout(0.2)
        try:
            self.socket.recv(70_000)
        except TimeoutError:
            return True
        return False


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    made = Daemon()
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", made.address)
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={ROOT};Parent={PARENT};Sampled=1;Lineage=1:a:0")
    yield made
    made.socket.close()


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/sleeping":
        note_failure(DatabaseResuming("not yet"))
        raise DatabaseResuming("not yet")
    note_wait(0.125, resuming=False)
    for number in range(100 if scope["path"] == "/many" else 1):
        timing.end(time.perf_counter() - 0.05, f"select 'Anna', {number}", 1)
    await reply(send)


@pytest.fixture
def handler() -> Iterator[Any]:
    made: list[Handler] = []

    def make(traces: str) -> Handler:
        made.append(Handler(app, settings=Settings(traces=traces), lifespan="off"))
        return made[-1]

    yield make
    for each in made:
        each.close()


def ask(handler: Handler, path: str = "/", **headers: str) -> int:
    event = event_2(rawPath=path)
    event["requestContext"]["http"]["method"] = "GET"
    event["headers"].update(headers)
    return int(handler(event, Context())["statusCode"])


def test_a_valid_traceparent_is_read() -> None:
    assert traceparent([("traceparent", SENT)]) == (SENT[3:35], SENT[36:52], True)
    # A later version may have more.
    assert traceparent([("traceparent", f"cc{SENT[2:]}-what-comes")]) is not None


@pytest.mark.parametrize(
    "value",
    [
        "", "00", SENT.upper(), SENT[:-1], f"{SENT}0", f"{SENT}-extra", f"ff{SENT[2:]}",
        f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{SENT[3:35]}-{'0' * 16}-01", f"{SENT}\nx",
        f"00-{SENT[3:35]}-00f067aa0ba902bz-01",
    ],
)  # fmt: skip
def test_an_invalid_one_is_none(value: str) -> None:
    assert traceparent([("traceparent", value)]) is None
    assert traceparent([("traceparent", SENT), ("traceparent", SENT)]) is None


def test_the_clients_id_is_in_each_line(handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = io.StringIO()
    monkeypatch.setattr(sys, "stdout", found)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "shop")
    made = handler("ids")
    ask(made, traceparent=SENT)
    ask(made, "/sleeping", traceparent="nonsense")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={ROOT};Parent={PARENT};Sampled=0")
    ask(made)
    lines = [json.loads(line) for line in found.getvalue().splitlines()]
    assert [each.get("trace_id") for each in lines] == [SENT[3:35], None, ROOT]


def test_without_it_nothing_is_noted(handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = io.StringIO()
    monkeypatch.setattr(sys, "stdout", found)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "shop")
    ask(handler("off"), traceparent=SENT)
    assert "trace_id" not in found.getvalue()
    assert Waking.told is None


def test_xray_gets_a_subsegment_for_each_piece_of_work(handler: Any, daemon: Daemon) -> None:
    made = handler("xray")
    before = time.time()
    assert ask(made) == 200
    first = daemon.next()
    assert (first["type"], first["trace_id"], first["parent_id"]) == ("subsegment", ROOT, PARENT)
    assert first["annotations"] == {"cold_start": True}
    assert first["http"] == {"request": {"method": "GET"}, "response": {"status": 200}}
    assert [each["name"] for each in first["subsegments"]] == ["INIT", "connect", "PostgreSQL"]
    init, connect, query = first["subsegments"]
    assert init["end_time"] <= before
    assert connect["end_time"] - connect["start_time"] == pytest.approx(0.125)
    assert query["sql"]["sanitized_query"] == "select ?, ?"
    assert query["end_time"] - query["start_time"] == pytest.approx(0.05, abs=0.01)
    # The next one is warm, and has INIT no more.
    assert ask(made) == 200
    second = daemon.next()
    assert [each["name"] for each in second["subsegments"]] == ["connect", "PostgreSQL"]
    assert second["annotations"] == {"cold_start": False}


def test_its_document_is_as_awss_own_sdk_writes_it(handler: Any, daemon: Daemon) -> None:
    from aws_xray_sdk.core.models.segment import Segment
    from aws_xray_sdk.core.models.subsegment import Subsegment

    segment = Segment("shop", traceid=ROOT)
    theirs = Subsegment("sunup", "local", segment)
    inner = Subsegment("PostgreSQL", "remote", segment)
    inner.set_sql({"database_type": "PostgreSQL", "sanitized_query": "select ?", "url": "x"})
    inner.close()
    theirs.add_subsegment(inner)
    theirs.put_http_meta("status", 200)
    theirs.put_annotation("cold_start", True)
    theirs.close()
    expected = json.loads(theirs.serialize())
    assert ask(handler("xray")) == 200
    ours = daemon.next()
    of_app = {"namespace", "in_progress"}
    assert expected.keys() - ours.keys() <= of_app
    for name in expected.keys() & ours.keys():
        assert type(expected[name]) is type(ours[name]), name
    query = ours["subsegments"][-1]
    theirs_inner = expected["subsegments"][0]
    assert theirs_inner.keys() - query.keys() <= {"in_progress", "trace_id", "type", "parent_id"}
    assert query["sql"].keys() == theirs_inner["sql"].keys()
    assert len(query["id"]) == len(theirs_inner["id"]) == 16


def test_a_failure_is_a_fault_with_its_code(handler: Any, daemon: Daemon) -> None:
    made = handler("xray")
    assert ask(made, "/sleeping") == 503
    found = daemon.next()
    assert (found["fault"], found["annotations"]["code"]) == (True, "database_resuming")
    assert ask(made) == 200
    assert "fault" not in daemon.next()


def test_what_is_not_sampled_is_not_sent(
    handler: Any, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = handler("xray")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={ROOT};Parent={PARENT};Sampled=0")
    assert ask(made) == 200
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "nonsense")
    assert ask(made) == 200
    monkeypatch.delenv("_X_AMZN_TRACE_ID")
    assert ask(made) == 200
    assert daemon.is_silent()


def test_many_statements_are_counted_and_left_out(handler: Any, daemon: Daemon) -> None:
    assert ask(handler("xray"), "/many") == 200
    found = daemon.next()
    assert len(found["subsegments"]) == MOST_SPANS
    assert found["annotations"]["left_out"] == 100 + 2 - MOST_SPANS  # INIT and connect besides


def test_nobody_who_listens_is_no_failure(
    handler: Any, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.socket.close()
    made = handler("xray")
    assert [ask(made) for _ in range(3)] == [200, 200, 200]
    for address in ("127.0.0.1:0", "", "garbage", "127.0.0.1:", "no.such.host.invalid:2000"):
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", address)
        made = handler("xray")
        assert [ask(made) for _ in range(2)] == [200, 200], address


def test_the_daemon_s_address_has_several_forms() -> None:
    assert address_of("127.0.0.1:2000") == (socket.AF_INET, ("127.0.0.1", 2000))
    assert address_of("tcp:127.0.0.1:2000 udp:127.0.0.2:2001")[1] == ("127.0.0.2", 2001)
    assert address_of("[::1]:2000")[0] == socket.AF_INET6


def test_otel_without_its_api_is_a_warning(
    handler: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sunup.observing.otel", None)
    assert ask(handler("otel")) == 200


def test_init_belongs_to_the_first_request_only(
    handler: Any, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = handler("xray")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={ROOT};Parent={PARENT};Sampled=0")
    assert ask(made) == 200
    assert Waking.told is None
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={ROOT};Parent={PARENT};Sampled=1")
    assert ask(made) == 200
    assert "INIT" not in [each["name"] for each in daemon.next()["subsegments"]]
    # Nor to any, where nobody waited for it.
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "provisioned-concurrency")
    made = handler("xray")
    assert Waking.told is None
    assert ask(made) == 200
    assert "INIT" not in [each["name"] for each in daemon.next()["subsegments"]]


def test_an_event_that_fails_is_a_fault(daemon: Daemon) -> None:
    def events(event: Any, context: Any) -> str:
        if event["fails"]:
            raise RuntimeError("broken on purpose")
        return "done"

    made = Handler(app, settings=Settings(traces="xray"), lifespan="off", events=events)
    try:
        with pytest.raises(RuntimeError, match="on purpose"):
            made({"fails": True}, Context())
        assert daemon.next()["fault"] is True
        assert made({"fails": False}, Context()) == "done"
        assert "fault" not in daemon.next()
    finally:
        made.close()


def test_a_statement_too_long_for_a_datagram_is_left_out(daemon: Daemon) -> None:
    from sunup.observing.xray import XRay
    from sunup.request import Request

    made, current = XRay(Settings()), Request("GET", "/")
    noted = made.begin(current, [])
    assert noted is not None
    for number in range(MOST_SPANS):
        noted.query(0.1, f"select {'column, ' * 400} from t{number}")
    made.end(noted, current, Outcome(200))
    found = daemon.next()
    assert found["annotations"]["left_out"] + len(found["subsegments"]) == MOST_SPANS
    assert len(found["subsegments"]) > MOST_SPANS / 3


class Kept(SpanExporter):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS


@pytest.fixture(scope="module")
def spans() -> Kept:
    kept = Kept()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    return kept


def test_opentelemetry_gets_spans_below_the_clients(handler: Any, spans: Kept) -> None:
    spans.spans.clear()
    made = handler("otel")
    assert ask(made, traceparent=SENT) == 200
    by_name = {each.name: each for each in spans.spans}
    assert by_name.keys() == {"GET", "INIT", "connect", "select"}
    request = by_name["GET"]
    assert request.parent is not None
    assert f"{request.parent.trace_id:032x}" == SENT[3:35]
    assert f"{request.parent.span_id:016x}" == SENT[36:52]
    assert request.attributes is not None
    assert request.attributes["http.response.status_code"] == 200
    query = by_name["select"]
    assert query.parent is not None
    assert request.context is not None
    assert query.parent.span_id == request.context.span_id
    assert dict(query.attributes or {}) == {
        "db.system.name": "postgresql",
        "db.namespace": "postgres",
        "db.query.text": "select ?, ?",
    }
    assert query.end_time is not None
    assert query.start_time is not None
    assert (query.end_time - query.start_time) / 1e9 == pytest.approx(0.05, abs=0.01)
    # Nothing is current any more, and a failure is one.
    assert not trace.get_current_span().get_span_context().is_valid
    spans.spans.clear()
    assert ask(made, "/sleeping") == 503
    (failed,) = spans.spans
    assert failed.attributes is not None
    assert failed.attributes["url.path"] == "/sleeping"
    assert failed.attributes["error.type"] == "database_resuming"
    assert failed.status.status_code is trace.StatusCode.ERROR
    assert ask(made) == 200


def test_what_the_app_traces_itself_lies_below(spans: Kept) -> None:
    spans.spans.clear()

    async def traced(scope: Any, receive: Any, send: Any) -> None:
        with trace.get_tracer("app").start_as_current_span("own"):
            carrier: dict[str, str] = {}
            propagate.inject(carrier)
            await reply(send, body=carrier["traceparent"].encode())

    made = Handler(traced, settings=Settings(traces="otel"), lifespan="off")
    try:
        event = event_2()
        event["requestContext"]["http"]["method"] = "GET"
        event["headers"]["traceparent"] = SENT
        body = made(event, Context())["body"]
    finally:
        made.close()
    assert body[3:35] == SENT[3:35]
    own, request = (
        next(each for each in spans.spans if each.name == name) for name in ("own", "GET")
    )
    assert own.parent is not None
    assert request.context is not None
    assert own.parent.span_id == request.context.span_id


def test_the_log_has_the_id_of_the_spans(
    handler: Any, spans: Kept, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "shop")
    spans.spans.clear()
    ask(handler("otel"))
    (line,) = capsys.readouterr().out.splitlines()
    assert {f"{each.context.trace_id:032x}" for each in spans.spans if each.context} == {
        json.loads(line)["trace_id"]
    }


def test_a_statement_lies_below_the_span_that_ran_it(spans: Kept) -> None:
    spans.spans.clear()

    async def traced(scope: Any, receive: Any, send: Any) -> None:
        with trace.get_tracer("app").start_as_current_span("own"):
            timing.end(time.perf_counter(), "select 1", 1)
        await reply(send)

    made = Handler(traced, settings=Settings(traces="otel"), lifespan="off")
    try:
        made(event_2(), Context())
    finally:
        made.close()
    own, query = (
        next(each for each in spans.spans if each.name == name) for name in ("own", "select")
    )
    assert query.parent is not None
    assert own.context is not None
    assert query.parent.span_id == own.context.span_id


def test_an_exporter_that_hangs_holds_nobody_up(
    handler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sunup.observing.otel import OpenTelemetry

    held, sent = threading.Event(), []
    monkeypatch.setattr(OpenTelemetry, "_send", lambda *_: sent.append(held.wait(20)))
    made = handler("otel")
    began = time.monotonic()
    assert [ask(made) for _ in range(4)] == [200] * 4
    # The first is waited for, the others know that it is not done.
    assert time.monotonic() - began < LIMIT + 0.4
    assert not sent
    # Once it goes on, what waited is sent, and the next ones are waited for again.
    held.set()
    end = time.monotonic() + 5
    while len(sent) < 4 and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.05)
    assert ask(made) == 200
    assert sent == [True] * 5


def test_work_aside_is_waited_for_a_little() -> None:
    aside = Aside("test")
    assert aside.do(lambda: None)
    assert not aside.do(lambda: time.sleep(0.2), until=time.time() + 0.05)
    assert not aside.do(lambda: None)  # behind the late one: nobody waits
    time.sleep(0.4)
    assert aside.do(lambda: None) or aside.do(lambda: None)

    def broken() -> None:
        raise SystemExit

    assert aside.do(broken)
    assert aside.do(lambda: None)


def test_a_tracer_that_fails_does_not_fail_the_request(
    handler: Any, daemon: Daemon, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from sunup.observing.xray import XRay

    made = handler("xray")

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as failing:
        failing.setattr(XRay, "end", broken)
        assert [ask(made), ask(made)] == [200, 200]
        failing.setattr(XRay, "begin", broken)
        assert ask(made) == 200
    # The one after is traced again, and has nothing of those.
    assert ask(made) == 200
    assert [each["name"] for each in daemon.next()["subsegments"]] == ["connect", "PostgreSQL"]


def test_an_id_is_the_clients_before_xrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={ROOT}")
    assert id_of([("traceparent", SENT)]) == SENT[3:35]
    assert id_of([]) == ROOT
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "")
    assert id_of([]) is None
    assert Trace("", "").spans == []
