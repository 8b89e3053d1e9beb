"""One JSON object a line on Lambda, readable lines on a terminal.

Times are in the time zone of `TZ`. Exceptions are written without the values that PostgreSQL quotes
in them: logs hold no personal data.
"""

import json
import logging
import re
import sys
import time
import traceback

from . import request
from .failures import plain_text, sqlstate_of
from .settings import Settings, on_lambda

# What a LogRecord has by itself; everything else on it came by `extra=` and is shown.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_COLOURS = {"DEBUG": "2", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


def configure(settings: Settings, *, json_lines: bool | None = None) -> None:
    """Send all logging to standard output (Lambda) or standard error, as `LOG_LEVEL` says.

    Replaces the handlers of the root logger, Lambda's own among them: each line would be twice.
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
    # asyncio tells at DEBUG which selector it uses, and nothing else.
    logging.getLogger("asyncio").setLevel(max(root.level, logging.INFO))


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: time, level, message, request id, `extra` fields, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            "time": _time(record.created),
            "level": record.levelname,
            "message": record.getMessage(),
        }
        if record.name != "sunup.request":
            line["logger"] = record.name
        current = request.current.get()
        if current is not None and current.id is not None:
            line["request_id"] = current.id
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
        message = record.getMessage()
        text = f"{self._paint('2', clock)} {level} {message}"
        if fields:
            text += f"  {self._paint('2', fields)}"
        if record.exc_info and record.exc_info[1] is not None:  # asyncio passes False
            text += "\n" + exception_text(record.exc_info[1])
        return text

    def _paint(self, code: str | None, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour and code else text


# Fields of the request line that its message has already.
_IN_MESSAGE = frozenset({"method", "path", "status", "request_id"})


# What a traceback writes before each line of an exception in a group.
_MARGIN = r"(?: *\| )?"


def exception_text(error: BaseException) -> str:
    """A traceback without the values that database errors quote, wherever they are quoted."""
    text = "".join(traceback.format_exception(error))
    # The longest first, and all at once: a message may be a part of another's.
    plain = sorted(_plain_messages(error).items(), key=lambda each: -len(each[0]))
    if plain:
        messages = (map(re.escape, message.splitlines(keepends=True)) for message, _ in plain)
        pattern = "|".join(f"({_MARGIN.join(lines)})" for lines in messages)
        text = re.sub(pattern, lambda found: plain[(found.lastindex or 0) - 1][1], text)
    return text.rstrip()


def _plain_messages(error: BaseException) -> dict[str, str]:
    """What to write instead of the messages that quote values, of all that `error` is made of."""
    plain: dict[str, str] = {}
    seen: set[int] = set()
    chain: list[BaseException | None] = [error]
    while chain:
        each = chain.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        chain += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
        state = sqlstate_of(each)
        if state is None:
            continue
        plain[str(each)] = plain_text(each)
        cause = each.__cause__
        if state[:2] == "22" and cause is not None and sqlstate_of(cause) is None:
            # asyncpg could not encode an argument, and the reason quotes it.
            plain[str(cause)] = "a value was not accepted"
    plain.pop("", None)
    return plain


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _time(moment: float) -> str:
    local = time.localtime(moment)
    offset = time.strftime("%z", local)
    milliseconds = int(moment % 1 * 1000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", local)
    return f"{stamp}.{milliseconds:03d}{offset[:3]}:{offset[3:5]}"


def _colour() -> bool:
    import os

    return sys.stderr.isatty() and "NO_COLOR" not in os.environ
