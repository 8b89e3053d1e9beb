"""Metrics and traces of the users API, through the real runtime client and the emulated daemon."""

import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sunup.local.emulator import AuroraOptions, Emulator
from sunup.local.testing import Emulate
from tests.observing.test_metrics import check

USERS = Path(__file__).parents[2] / "examples" / "users"
SENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def events(aws: Emulator, kind: str, least: int) -> list[dict[str, Any]]:
    """Those of a kind; the daemon gets its datagram about when the client has its answer."""
    end = time.monotonic() + 10
    while True:
        found = [each for each in aws.timeline.events if each["kind"] == kind]
        if len(found) >= least or time.monotonic() > end:
            return found
        time.sleep(0.02)


@pytest.mark.parametrize("example", ["users", "users_flask"])
def test_a_request_is_a_trace_and_its_line_has_metrics(emulate: Emulate, example: str) -> None:
    aws = emulate(
        USERS.parent / example,
        tracing=True,
        environ={"METRICS": "emf"},
        aurora=AuroraOptions(resume_seconds=4),
    )
    root = "1-58406520-a006649127e371903a2de979"
    headers = {"X-Amzn-Trace-Id": f"Root={root}", "traceparent": SENT}
    assert httpx2.get(f"{aws.url}/users", headers=headers, timeout=30).status_code == 200
    (first,) = events(aws, "trace", 1)
    names = [name for name, _, _ in first["spans"]]
    assert names[0] == "INIT" or "INIT" in names
    assert "connect" in names
    statements = [text for name, _, text in first["spans"] if name == "PostgreSQL"]
    assert any(text.lower().startswith("select") for text in statements)
    document = json.loads(first["document"])
    assert document["trace_id"] == root
    # Asleep, and woken again: the wait is a span, and a metric.
    aws.do("aurora/pause")
    assert httpx2.get(f"{aws.url}/users", timeout=30).status_code == 200
    second = events(aws, "trace", 2)[1]
    (resume,) = [ms for name, ms, _ in second["spans"] if name == "resume"]
    assert 3500 < resume < 8000
    lines = [each["line"] for each in events(aws, "log", 1) if each["line"].startswith("{")]
    requests = [line for line in map(json.loads, lines) if "status" in line]
    assert requests[0]["trace_id"] == SENT[3:35]
    assert "cold_start" in check(requests[0])
    assert "resume_ms" in check(requests[1])
    assert requests[1]["resume_ms"] == pytest.approx(resume, abs=100)
    # And the one after is a plain success.
    assert httpx2.get(f"{aws.url}/users", timeout=30).status_code == 200
    assert [name for name, _, _ in events(aws, "trace", 3)[2]["spans"]].count("resume") == 0


def test_after_a_refused_wake_and_a_freeze_the_next_trace_has_no_fault(emulate: Emulate) -> None:
    aws = emulate(
        USERS,
        tracing=True,
        environ={"METRICS": "emf", "GATEWAY_TIMEOUT": "3"},
        aurora=AuroraOptions(resume_seconds=5),
    )
    assert httpx2.get(f"{aws.url}/users", timeout=30).status_code in (200, 503)
    before = len(events(aws, "trace", 1))
    aws.do("aurora/pause")
    answer = httpx2.get(f"{aws.url}/users", timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (503, "database_resuming")
    refused = json.loads(events(aws, "trace", before + 1)[-1]["document"])
    assert refused["fault"] is True
    assert refused["annotations"]["code"] == "database_resuming"
    time.sleep(5)  # frozen, while the database wakes up
    for number in (2, 3):
        assert httpx2.get(f"{aws.url}/users", timeout=30).status_code == 200
        plain = json.loads(events(aws, "trace", before + number)[-1]["document"])
        assert "fault" not in plain
        assert "code" not in plain["annotations"]


def test_what_is_no_segment_document_is_told(emulate: Emulate) -> None:
    aws = emulate(None, tracing=True)
    address = aws.functions.environ["AWS_XRAY_DAEMON_ADDRESS"]
    host, _, port = address.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.sendto(b"hello", (host, int(port)))
        sending.sendto(b'{"format": "json", "version": 1}\n{}', (host, int(port)))
    assert len(events(aws, "error", 2)) == 2
