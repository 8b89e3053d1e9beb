import asyncio
import gc
import io
import json
import logging
import sys
import time
import traceback
from collections.abc import Iterator

import asyncpg
import psycopg
import pytest
import sqlalchemy

from sunup import logs, request
from sunup.integrations.sqlalchemy import create_engine
from sunup.privacy import strip_data
from sunup.psycopg import Database
from sunup.settings import Settings


@pytest.fixture(autouse=True)
def time_zone() -> Iterator[None]:
    yield
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
    assert str(line.pop("timestamp"))[-6:] == "+09:00"
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


TABLE = "create table person (email text primary key, age int)"
INSERT = "insert into person values ('someone@example.com', 1)"
# The message of the first has a DETAIL, the others' have the value on the first line, where LINE
# and CONTEXT follow, or (asyncpg, psycopg) in the cause.
STATEMENTS = (INSERT, "select 'someone@example.com'::int", "select 'someone@example.com'::date")


def psycopg_errors(settings: Settings) -> list[Exception]:
    return [failed(settings, statement) for statement in STATEMENTS]


def failed(settings: Settings, statement: str) -> Exception:
    with psycopg.connect(host=settings.host, user="postgres", dbname=settings.database) as db:
        db.execute(TABLE.replace("table", "temporary table").encode())
        db.execute(INSERT.encode())
        with pytest.raises(psycopg.Error) as raised:
            db.execute(statement.encode())
        db.rollback()
    return raised.value


def asyncpg_errors(settings: Settings) -> list[Exception]:
    async def run() -> list[Exception]:
        db = await asyncpg.connect(host=settings.host, user="postgres", database=settings.database)
        await db.execute(TABLE.replace("table", "temporary table"))
        await db.execute(INSERT)
        errors: list[Exception] = []
        for statement, *arguments in (
            *((each,) for each in STATEMENTS),
            ("select $1::uuid", "someone@example.com"),
        ):
            with pytest.raises(asyncpg.PostgresError) as raised:
                await db.fetch(statement, *arguments)
            errors.append(raised.value)
        await db.close()
        return errors

    return asyncio.run(run())


@pytest.fixture(params=[psycopg_errors, asyncpg_errors])
def errors(request: pytest.FixtureRequest, settings: Settings) -> list[Exception]:
    found: list[Exception] = request.param(settings)
    assert all("someone@example.com" in str(each) for each in found)
    return found


def raised_by(*causes: Exception) -> Exception:
    """The causes as an app may hand them on: in groups, as causes and contexts, and quoted."""
    wrapped: list[Exception] = []
    for each in causes:
        quoting = LookupError(f"cannot be sold: {each}")
        quoting.__cause__ = each
        meanwhile = KeyError("in the meantime")
        meanwhile.__context__ = each
        wrapped += [quoting, meanwhile, ExceptionGroup("inner", [each])]
    outer = ExceptionGroup("outer", [ExceptionGroup("middle", wrapped), ValueError("other")])
    outer.add_note("for the one who is\non duty")
    return outer


def test_no_value_is_written_of_the_errors_in_groups_and_their_causes(
    errors: list[Exception],
) -> None:
    for text in (
        logs.exception_text(raised_by(*errors)),
        *(logs.exception_text(raised_by(each)) for each in errors),
        *(logs.exception_text(ExceptionGroup("one", [each])) for each in errors),
        *(logs.exception_text(each) for each in errors),
    ):
        assert "someone" not in text
    text = logs.exception_text(raised_by(*errors))
    assert "duplicate key value violates unique constraint" in text
    assert "InvalidTextRepresentation" in text
    assert "KeyError: 'in the meantime'" in text
    assert "ValueError: other" in text
    assert "| for the one who is\n  | on duty" in text


def test_no_value_is_written_that_somebody_has_repeated(
    errors: list[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(Settings(), json_lines=True)
    logger = logging.getLogger("shop")
    for error in errors:
        for quoting in (
            RuntimeError(f"{error!r}"),
            KeyError(str(error)),
            ValueError(" ".join(str(error).split())),
        ):
            quoting.__cause__ = error
            logger.error("it failed: %s", quoting, exc_info=quoting)
        logger.error("it failed: %s and %r", error, error)
        logger.error("it failed", extra={"error": error})
        detail = getattr(error, "detail", None) or ""
        logger.error("it failed: %s", detail, exc_info=error)
    written = capsys.readouterr().out
    assert "someone" not in written
    assert "duplicate key value violates unique constraint" in written


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_no_value_is_written_of_a_task_s_exception_that_nobody_fetched(
    errors: list[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    gc.collect()  # what earlier tests have left
    logs.configure(Settings(), json_lines=True)

    async def fail(error: Exception) -> None:
        raise error

    for error in errors:
        task = asyncio.create_task(fail(error))
        await asyncio.wait([task])
        del task
    gc.collect()
    written = capsys.readouterr().out
    assert written.count("Task exception was never retrieved") >= len(errors)
    assert "someone" not in written


def test_an_exception_that_the_runtime_will_log_has_no_value_in_it(errors: list[Exception]) -> None:
    for error in errors:
        error.add_note(f"as it said: {error}")
        quoting = LookupError(f"cannot be sold: {error!r}", 1)
        quoting.__cause__ = error
        strip_data(quoting)
        assert "someone" not in "".join(traceback.format_exception(quoting))


def test_a_message_that_is_the_beginning_of_another_s_hides_nothing() -> None:
    def asyncpg_error(**detail: str) -> Exception:
        fields = {"C": "23505", "M": "duplicate key", "S": "ERROR", "V": "ERROR", **detail}
        return asyncpg.PostgresError.new(fields)

    short, long = asyncpg_error(), asyncpg_error(D="Key (a)=(someone)\u2028\r\n(b)\n\n| exists.")
    for pair in ([short, long], [long, short]):
        text = logs.exception_text(ExceptionGroup("both", pair))
        assert "someone" not in text
        assert "exists" not in text
        assert text.count("duplicate key") == 2


def test_no_value_is_written_of_what_sqlalchemy_wraps(settings: Settings) -> None:
    engine = create_engine(Database(settings))
    # Not in a line of code that a traceback shows.
    parameters = {"email": "someone"}
    insert = "insert into person values (:email)"
    with engine.begin() as db:
        db.execute(sqlalchemy.text(TABLE))
        db.execute(sqlalchemy.text(insert), parameters)
    errors: list[Exception] = []
    for statement in (insert, "select cast(:email as int)"):
        with pytest.raises(sqlalchemy.exc.DBAPIError) as raised, engine.begin() as db:
            db.execute(sqlalchemy.text(statement), parameters)
        errors.append(raised.value)
    engine.dispose()
    assert all("someone" in str(each) for each in errors)
    text = logs.exception_text(raised_by(*errors))
    assert "someone" not in text
    assert "[SQL: insert into person values" in text


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
