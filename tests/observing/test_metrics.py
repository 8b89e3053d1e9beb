"""Metrics in log lines, against CloudWatch's schema and against another maker's lines."""

import json
import logging
from typing import Any

import jsonschema
import pytest

from sunup.adapter.handler import Handler
from sunup.failures import DatabaseResuming
from sunup.observing import metrics
from sunup.request import note_failure, note_wait
from sunup.settings import Settings
from tests.adapter.test_events import event_2
from tests.adapter.test_handler import Context, reply

# CloudWatch User Guide, "Specification: Embedded metric format", "EMF schema" (read 2026-11).
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "properties": {
                            "Namespace": {"type": "string", "minLength": 1, "maxLength": 1024},
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {
                                    "type": "array",
                                    "minItems": 1,
                                    "maxItems": 30,
                                    "items": {"type": "string", "minLength": 1, "maxLength": 250},
                                },
                            },
                            "Metrics": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "properties": {
                                        "Name": {
                                            "type": "string",
                                            "minLength": 1,
                                            "maxLength": 1024,
                                        },
                                        "Unit": {
                                            "enum": [
                                                "Count",
                                                "Milliseconds",
                                                "Seconds",
                                                "Bytes",
                                                "None",
                                            ]
                                        },
                                        "StorageResolution": {"enum": [1, 60]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}


@pytest.fixture(autouse=True)
def _on_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "shop")


Out = pytest.CaptureFixture[str]


def answered(
    capsys: Out, status: int = 200, level: str = "INFO", **options: Any
) -> list[dict[str, Any]]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/sleeping":
            note_failure(DatabaseResuming("not yet"))
            raise DatabaseResuming("not yet")
        note_wait(0.25, resuming=True)
        await reply(send, status)

    settings = Settings(metrics="emf", log_level=level)
    handler = Handler(app, settings=settings, lifespan="off")
    try:
        for path in options.get("paths", ("/", "/")):
            handler(event_2(rawPath=path), Context())
    finally:
        handler.close()
        logging.getLogger().handlers.clear()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def check(line: dict[str, Any]) -> list[str]:
    """The names of its metrics, each of which is there as the specification says."""
    jsonschema.validate(line, SCHEMA)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    for names in directive["Dimensions"]:
        for name in names:
            assert isinstance(line[name], str)
    named = [each["Name"] for each in directive["Metrics"]]
    for name in named:
        assert isinstance(line[name], int | float)
        assert not isinstance(line[name], bool)
    return named


def test_a_line_is_a_metric_as_cloudwatch_reads_it(capsys: Out) -> None:
    first, second = answered(capsys)
    assert check(first) == ["cold_start", "resume_ms"]
    assert check(second) == ["resume_ms"]
    assert first["function"] == "shop"
    assert (first["cold_start"], second["resume_ms"]) == (1, 250)
    # It is the request's own line still.
    assert (first["message"], first["status"], first["path"]) == ("POST / 200", 200, "/")


def test_a_failure_counts_by_its_code(capsys: Out) -> None:
    first, second = answered(capsys, paths=("/sleeping", "/"))
    assert check(first) == ["cold_start", "errors", "database_resuming"]
    assert (first["status"], first["database_resuming"], first["errors"]) == (503, 1, 1)
    # And the one after it is a plain success.
    assert (second["status"], check(second)) == (200, ["resume_ms"])


def test_it_is_written_whatever_the_level_is(capsys: Out) -> None:
    assert [each["level"] for each in answered(capsys, level="ERROR")] == ["INFO", "INFO"]


def test_a_line_without_metrics_is_an_ordinary_one() -> None:
    fields = {"status": 200, "path": "/"}
    assert metrics.with_metrics(dict(fields), 1.0, 200) == fields


def test_it_has_the_shape_of_powertools_lines(capsys: Out) -> None:
    """AWS's own library for Python, which CloudWatch is known to understand."""
    from aws_lambda_powertools.metrics import Metrics, MetricUnit

    theirs = Metrics(namespace="sunup", service="shop")
    theirs.add_metric(name="resume_ms", unit=MetricUnit.Milliseconds, value=250)
    (directive,) = theirs.serialize_metric_set()["_aws"]["CloudWatchMetrics"]
    (ours,) = answered(capsys)[1]["_aws"]["CloudWatchMetrics"]
    assert directive["Metrics"] == ours["Metrics"]
    assert directive.keys() == ours.keys()
    assert [type(each) for each in directive["Dimensions"]] == [
        type(each) for each in ours["Dimensions"]
    ]


def test_a_code_is_not_taken_for_a_field_that_is_there() -> None:
    made = metrics.with_metrics({"status": 503, "code": "status"}, 1.0, 503)
    assert made["status"] == 503
