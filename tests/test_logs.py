import io
import json
import logging
import sys
import time
from collections.abc import Iterator

import asyncpg
import pytest

from sunup import logs, request
from sunup.settings import Settings


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    time.tzset()


def json_lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_on_lambda_each_event_is_one_json_object_in_the_zone_of_tz(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    logs.configure(Settings.from_environment())
    token = request.current.set(request.Request(id="r-1"))
    logging.getLogger("shop").info("sold\ntwo", extra={"count": 2})
    request.current.reset(token)
    [line] = json_lines(capsys.readouterr().out)
    assert str(line.pop("time"))[-6:] == "+09:00"
    assert line == {
        "level": "INFO",
        "message": "sold\ntwo",
        "logger": "shop",
        "request_id": "r-1",
        "count": 2,
    }


def test_lambda_s_own_handler_does_not_write_the_line_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
    logs.configure(Settings(), json_lines=True)
    logging.getLogger("shop").warning("once")
    assert len(json_lines(capsys.readouterr().out)) == 1


@pytest.mark.parametrize(("level", "seen"), [("DEBUG", 3), ("INFO", 2), ("ERROR", 1)])
def test_the_level_decides(level: str, seen: int, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_level=level), json_lines=True)
    logger = logging.getLogger("shop")
    logger.debug("d")
    logger.info("i")
    logger.error("e")
    assert len(json_lines(capsys.readouterr().out)) == seen


def test_an_exception_is_in_the_line_with_its_cause_but_without_the_row_s_values(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(Settings(), json_lines=True)
    detail = "Key (email)=(someone@example.com) already exists."
    fields = {"C": "23505", "M": "duplicate key", "D": detail, "S": "ERROR", "V": "ERROR"}
    try:
        try:
            raise asyncpg.PostgresError.new(fields)
        except asyncpg.PostgresError as error:
            raise RuntimeError("the sale failed") from error
    except RuntimeError:
        logging.getLogger("shop").exception("oops")
    text = capsys.readouterr().out
    [line] = json_lines(text)
    assert "RuntimeError: the sale failed" in str(line["exception"])
    assert "duplicate key" in str(line["exception"])
    assert "someone" not in text


def test_on_a_terminal_lines_are_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.delenv("NO_COLOR", raising=False)
    logs.configure(Settings())
    logging.getLogger("sunup.request").warning("GET /users 503", extra={"resume_ms": 28000})
    assert "GET /users 503" in stream.getvalue()
    assert "resume_ms=28000" in stream.getvalue()
    assert "\033[33m" in stream.getvalue()


def test_when_piped_lines_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings())
    logging.getLogger("shop").error("no colours")
    assert "\033" not in capsys.readouterr().err


def test_a_record_that_says_no_exception_is_written() -> None:
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "pending", (), None)
    record.exc_info = False  # type: ignore[assignment]  # as asyncio's own handler passes it
    assert json.loads(logs.JsonFormatter().format(record))["message"] == "pending"
    assert logs.LineFormatter(colour=False).format(record).endswith("pending")
