"""`sunup logs` on moto's CloudWatch Logs, with lines in the form of Lambda's documentation."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from tests.local.cli.cloud import FakeTerraform, moto_server
from tests.local.cli.conftest import Cli

GROUP = "/aws/lambda/users"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with moto_server(monkeypatch):
        client = botocore.session.Session().create_client("logs")
        client.create_log_group(logGroupName=GROUP)
        client.create_log_stream(logGroupName=GROUP, logStreamName="s")

        def write(*lines: Any, ago: float = 60) -> None:
            now = int((time.time() - ago) * 1000)
            messages = [each if isinstance(each, str) else json.dumps(each) for each in lines]
            client.put_log_events(
                logGroupName=GROUP,
                logStreamName="s",
                logEvents=[
                    {"timestamp": now + i, "message": text} for i, text in enumerate(messages)
                ],
            )

        yield write


def told(request: str, **fields: Any) -> dict[str, Any]:
    return {
        "timestamp": "2026-11-23T10:00:00.000+00:00",
        "level": "INFO",
        "message": "x",
        "method": "GET",
        "path": "/users",
        "status": 200,
        "duration_ms": 12.5,
        "request_id": request,
        **fields,
    }


def report(request: str, init: float | None = None, status: str = "success") -> dict[str, Any]:
    metrics = {
        "durationMs": 14.25,
        "billedDurationMs": 15,
        "memorySizeMB": 256,
        "maxMemoryUsedMB": 61,
        **({} if init is None else {"initDurationMs": init}),
    }
    record = {"requestId": request, "metrics": metrics, "status": status}
    return {"time": "2026-11-23T10:00:00.000Z", "type": "platform.report", "record": record}


def test_requests_are_rows_with_cold_start_wake_and_queries(
    log: Any, app_dir: Path, cli: Cli
) -> None:
    log(
        {"type": "platform.initStart", "record": {"initializationType": "on-demand"}},
        {"type": "platform.start", "record": {"requestId": "a"}},
        told("a", cold_start=True, resume_ms=15200.4, queries=1, query_ms=3.21, rows=1),
        report("a", init=310.5),
        told("b", method="POST", status=201),
        report("b"),
    )
    status, out, err = cli("logs", app_dir)
    assert (status, err) == (0, "")
    head, first, second = out.splitlines()
    assert head.split()[-1] == "request"
    assert first.split()[1:] == ["200", "14.2", "310", "15200", "3.2", "61", "GET", "/users"]
    assert second.split()[1:] == ["201", "14.2", "61", "POST", "/users"]
    assert "\033" not in out


def test_what_was_run_again_and_what_a_key_was_good_for_stand_in_the_row(
    log: Any, app_dir: Path, cli: Cli
) -> None:
    log(
        told("a", method="POST", status=201, retries=3),
        report("a"),
        told("b", method="POST", status=201, receipt="new", runs=2),
        report("b"),
        told("c", method="POST", status=201, receipt="replayed"),
        report("c"),
    )
    first, second, third = cli("logs", app_dir)[1].splitlines()[1:]
    assert first.endswith("POST /users  3 retries")
    assert second.endswith("POST /users  receipt new  1 retry")
    assert third.endswith("POST /users  receipt replayed")


def test_lambda_s_text_format_is_understood_too(log: Any, app_dir: Path, cli: Cli) -> None:
    log(
        "INIT_START Runtime Version: python:3.13.v1",
        "START RequestId: a Version: $LATEST",
        told("a"),
        "END RequestId: a",
        "REPORT RequestId: a\tDuration: 14.25 ms\tBilled Duration: 15 ms\tMemory Size: 256 MB\t"
        "Max Memory Used: 61 MB\tInit Duration: 310.50 ms\t\n",
    )
    row = cli("logs", app_dir)[1].splitlines()[1].split()
    assert row[1:] == ["200", "14.2", "310", "61", "GET", "/users"]


def test_failures_are_shown_with_their_reason(log: Any, app_dir: Path, cli: Cli) -> None:
    log(
        told("ok"),
        report("ok"),
        told("w", status=503, code="database_resuming", cause="The database is waking up. Try"),
        report("w"),
        {"level": "ERROR", "message": "unhandled KeyError in the app", "exception": "Traceback\n  x", "request_id": "e"},
        told("e", status=500),
        report("e"),
        report("t", status="timeout"),
        {"type": "platform.initReport", "record": {"status": "error", "errorType": "Runtime.ImportModuleError"}},
        "Segmentation fault",
    )  # fmt: skip
    out = cli("logs", app_dir, "--errors")[1]
    assert out.count("GET /users") == 2
    for words in (
        "database_resuming",
        "The database is waking up. Try",
        "unhandled KeyError in the app\n          Traceback",
        "timeout",
        "INIT error: Runtime.ImportModuleError",
        "Segmentation fault",
    ):
        assert words in out
    lines = [json.loads(line) for line in cli("logs", app_dir, "--json")[1].splitlines()]
    assert [(each["id"], each["status"]) for each in lines] == [
        ("ok", 200), ("w", 503), ("e", 500), ("t", None),
    ]  # fmt: skip


def test_only_the_time_that_is_asked_for_and_all_pages_of_it(
    log: Any, app_dir: Path, cli: Cli
) -> None:
    log(told("old"), report("old"), ago=7200)
    for start in range(0, 300, 100):
        log(*(told(f"r{number}") for number in range(start, start + 100)))
    assert len(cli("logs", app_dir, "--since", "30m")[1].splitlines()) == 301
    log(told("x"), report("x"), ago=10_000)
    assert "No request in the last 1s." in cli("logs", app_dir, "--since", "1s")[1]


def test_the_group_is_terraform_s_output(
    log: Any, app_dir: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terraform = FakeTerraform(tmp_path / "fake", monkeypatch)
    arn = "arn:aws:lambda:eu-central-1:123456789012:function:users"
    terraform.answers({"lambda_log_group_name": "/elsewhere", "lambda_function_arn": arn})
    assert "there is no log group /elsewhere" in cli("logs", app_dir)[2]
    log(told("a"), report("a"))
    assert cli("logs", app_dir, "--group", GROUP)[0] == 0


def test_a_wrong_time_is_told(app_dir: Path, cli: Cli) -> None:
    assert (
        "--since 'yesterday' is not a duration" in cli("logs", app_dir, "--since", "yesterday")[2]
    )


def test_following_goes_on_with_new_lines(
    log: Any, app_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(told("a"), report("a"))
    looks = 0

    def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise KeyboardInterrupt
        log(told(f"later{looks}"), report(f"later{looks}"), ago=0)

    monkeypatch.setattr("sunup.local.cloud.logs.time.sleep", sleep)
    status, out, _ = cli("logs", app_dir, "--follow")
    assert status == 130
    assert out.count("GET /users") == 3


def test_on_aurora_dsql_a_conflict_and_a_refused_token_are_rows_too(
    log: Any, app_dir: Path, cli: Cli
) -> None:
    host = "abcdefghijklmnopqrstuvwxyz.dsql.eu-central-1.on.aws"
    (app_dir / ".env").write_text(f"DB_HOST={host}\nDB_USER=users_app\nDB_MIGRATION_USER=admin\n")
    for number, code in enumerate(("transaction_conflict", "token_refused")):
        log(told(f"r{number}", status=503, code=code, cause=f"for {code}"), report(f"r{number}"))
    status, out, err = cli("logs", app_dir, "--errors")
    assert (status, err) == (0, "")
    assert "transaction_conflict\n          for transaction_conflict" in out
    assert "token_refused\n          for token_refused" in out
