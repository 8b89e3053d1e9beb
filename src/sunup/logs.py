"""One JSON object per line on Lambda, readable lines on a terminal.

Times are in the time zone of `TZ`. Exceptions are written without the values that PostgreSQL quotes
in them: logs hold no personal data.
"""

import json
import logging
import sys
import time
import traceback

from . import request
from .privacy import without_values
from .settings import Settings, on_lambda

# What every LogRecord has; everything else on it came by `extra=` and is shown.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_COLOURS = {"DEBUG": "2", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


def configure(settings: Settings, *, json_lines: bool | None = None) -> None:
    """Send all logging to standard output (Lambda) or standard error, as `LOG_LEVEL` says.

    Replaces the handlers of the root logger, Lambda's own among them: each line would appear twice.
    `json_lines` is true on Lambda unless given.
    """
    as_json = on_lambda() if json_lines is None else json_lines
    if hasattr(time, "tzset"):
        time.tzset()
    handler = logging.StreamHandler(sys.stdout if as_json else sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else LineFormatter(colour=_colour()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    # asyncio logs at DEBUG which selector it uses, and nothing else.
    logging.getLogger("asyncio").setLevel(max(root.level, logging.INFO))


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: timestamp, level, message, ids, `extra` fields, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            # Lambda Developer Guide, "Log-level filtering": a line without a time that it knows
            # counts as INFO, and an ERROR would be dropped by a filter for warnings.
            "timestamp": _time(record.created),
            "level": record.levelname,
            "message": _message(record),
        }
        if record.name != "sunup.request":
            line["logger"] = record.name
        current = request.current.get()
        if current is not None and current.id is not None:
            line["request_id"] = current.id
        if current is not None and current.trace_id is not None:
            line["trace_id"] = current.trace_id
        line.update(_extra(record))
        if record.exc_info and record.exc_info[1] is not None:  # asyncio passes False
            line["exception"] = exception_text(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


class LineFormatter(logging.Formatter):
    """A record for a person: time of day, level, message, fields."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """The line or, with an exception, lines."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = self._paint(_COLOURS.get(record.levelname), f"{record.levelname:<7}")
        fields = " ".join(
            f"{name}={value}" for name, value in _extra(record).items() if name not in _IN_MESSAGE
        )
        message = _message(record)
        text = f"{self._paint('2', clock)} {level} {message}"
        if fields:
            text += f"  {self._paint('2', fields)}"
        if record.exc_info and record.exc_info[1] is not None:  # asyncio passes False
            text += "\n" + exception_text(record.exc_info[1])
        return text

    def _paint(self, code: str | None, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour and code else text


# Fields of the request line that its message already has.
_IN_MESSAGE = frozenset({"method", "path", "status", "request_id", "function", "_aws"})


def exception_text(error: BaseException) -> str:
    """A traceback without the values that database errors quote, wherever they are quoted."""
    return without_values("".join(traceback.format_exception(error)), error).rstrip()


def _message(record: logging.LogRecord) -> str:
    """The message, without the values that exceptions quote in it."""
    message = record.getMessage()
    errors = [record.exc_info[1] if record.exc_info else None]
    if isinstance(record.args, tuple):
        errors += [each for each in record.args if isinstance(each, BaseException)]
    return without_values(message, *(each for each in errors if each is not None))


def _extra(record: logging.LogRecord) -> dict[str, object]:
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    for name, value in extra.items():
        if isinstance(value, BaseException):
            extra[name] = without_values(str(value), value)
    return extra


def _time(moment: float) -> str:
    local = time.localtime(moment)
    offset = time.strftime("%z", local)
    milliseconds = int(moment % 1 * 1000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", local)
    return f"{stamp}.{milliseconds:03d}{offset[:3]}:{offset[3:5]}"


def _colour() -> bool:
    import os

    return sys.stderr.isatty() and "NO_COLOR" not in os.environ
