"""When requests came, from a log: of a web server, a load balancer, API Gateway, or sunup's own.

Only the time is taken from a line: no address, no path, nothing of a person is kept.
"""

import gzip
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from sunup.local.errors import CommandError

from .traffic import CRAWLER, DAY, VISIT, Arrivals

# [10/Oct/2000:13:55:36 -0700]: Apache's and nginx's common format, and API Gateway's $requestTime;
# with a blank, werkzeug's.
_COMMON = re.compile(r"(\d{1,2}/[A-Z][a-z]{2}/\d{4})[: ](\d\d:\d\d:\d\d)(?: ([+-]\d{4}))?")
# 2026-10-01T12:00:00.123456Z: a load balancer's, journald's, any JSON's. CloudFront has a tab, Go
# slashes.
_ISO = re.compile(
    r"(?<![\d.])(\d{4})[-/](\d\d)[-/](\d\d)[T \t](\d\d:\d\d:\d\d)(?:[.,]\d{1,9})?"
    r"(?:Z|[+-]\d\d:?\d\d)?"
)
_KEYS = (
    *("requestTimeEpoch", "requestTime", "timestamp", "@timestamp", "time", "ts", "at", "datetime"),
    *("time_iso8601", "time_local", "start_time", "asctime", "date"),
)
# What calls itself one, or is a program that nobody sits in front of.
_BOT = re.compile(
    r"(?<!cu)bot\b|crawl|spider|slurp|facebookexternalhit|\b(?:curl|wget|python-|httpx|aiohttp|"
    r"go-http-client|java|okhttp|kube-probe|elb-health|headlesschrome|zgrab|masscan|nmap)",
    re.IGNORECASE,
)
_AGENT_KEYS = (
    "userAgent",
    "user_agent",
    "http_user_agent",
    "userAgentString",
    "ua",
    "cs(User-Agent)",
)
_QUOTED = re.compile(r'"([^"]*)"')
_REQUEST = re.compile(r"[A-Z]+ \S+ HTTP/|https?://|-$|$")
# Seconds of the epoch, in seconds, milli-, micro- and nanoseconds.
_SCALES = (1.0, 1e3, 1e6, 1e9)
# Of this century: what else is written there is no time of a request.
_FIRST, _LAST = 946_684_800.0, 4_102_444_800.0

_LEAST = 3600.0
_LONG = 400 * DAY


def read(paths: list[Path], only: str | None, note: Callable[[str], None]) -> Arrivals:
    """The requests of all files, in the log's own clock; `-` is standard input.

    `only` is a regular expression that a line must match. What looks like a crawler by its user
    agent counts as one. `note` is told what was left out. Raises `CommandError`.
    """
    wanted = _pattern(only)
    found: list[tuple[float, int]] = []
    without = 0
    for line in chain.from_iterable(_lines(each) for each in paths):
        if not line.strip() or line.startswith("#") or (wanted and not wanted.search(line)):
            continue
        at = moment(line)
        if at is None:
            without += 1
        else:
            found.append((at, CRAWLER if _BOT.search(_agent(line)) else VISIT))
    names = ", ".join(map(str, paths))
    if not found:
        what = " that match --only" if only else ""
        raise CommandError(
            f"{names} has no lines with a time{what}",
            "Pass an access log: common or combined format, JSON lines, or any with ISO times.",
        )
    if without:
        note(f"{without:,} of {without + len(found):,} lines have no time, and were left out")
    found.sort()
    first, last = found[0][0], found[-1][0]
    seconds = last - first
    if seconds < _LEAST:
        raise CommandError(
            f"{names} covers {seconds:.0f} s only", "Pass a log of a day at least, best of a week."
        )
    if seconds > _LONG:
        note(f"the log covers {seconds / DAY:,.0f} days: is one of its times wrong?")
    if seconds < 6 * DAY:
        note(f"the log covers {seconds / DAY:.1f} days: a week has its rhythm, which is not in it")
    # From a Monday's midnight on, in the log's own clock.
    start = datetime.fromtimestamp(first, UTC)
    monday = (start - timedelta(days=start.weekday())).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    zero = monday.timestamp()
    return Arrivals(
        [at - zero for at, _ in found],
        [kind for _, kind in found],
        seconds + seconds / len(found),
        first - zero,
    )


def moment(line: str) -> float | None:
    """When a line says that it was, in seconds of its own clock; None where it does not say."""
    text = line.strip()
    content = _json(text)
    if content is None:
        return _of(text)
    for key in _KEYS:
        if key == "date" and "time" in content:
            continue  # CloudFront's, which are one
        if key in content and (at := _of(str(content[key]))) is not None:
            return at
    if "date" in content and "time" in content:
        return _of(f"{content['date']} {content['time']}")
    return _of(text)


def _json(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _agent(line: str) -> str:
    """What a client calls itself: of JSON by its key, else what is quoted and is no request."""
    content = _json(line.strip())
    if content is not None:
        return " ".join(str(content.get(key, "")) for key in _AGENT_KEYS)
    if "\t" in line:  # CloudFront's: the path and the referrer begin otherwise
        parts = [each for each in line.split("\t") if not each.startswith(("/", "http"))]
        return " ".join(parts[9:])
    return " ".join(each for each in _QUOTED.findall(line) if not _REQUEST.match(each))


def _of(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    for scale in _SCALES:
        if _FIRST <= number / scale < _LAST:
            return number / scale
    # The earlier one: a later one is part of the request.
    places = [each for each in (_COMMON.search(text), _ISO.search(text)) if each]
    for each in sorted(places, key=lambda match: match.start()):
        try:
            if each.re is _COMMON:
                when = datetime.strptime(f"{each[1]} {each[2]} +0000", "%d/%b/%Y %H:%M:%S %z")
            else:
                when = datetime.fromisoformat(f"{each[1]}-{each[2]}-{each[3]}T{each[4]}+00:00")
        except ValueError:
            continue
        # As its own clock shows it: what counts is when people are there.
        at = when.timestamp()
        if _FIRST <= at < _LAST:
            return at
    return None


def _pattern(only: str | None) -> re.Pattern[str] | None:
    try:
        return None if only is None else re.compile(only)
    except re.error as error:
        raise CommandError(
            f"--only {only!r} is no regular expression: {error}", "For example: --only 'GET /api/'."
        ) from None


def _lines(path: Path) -> Iterator[str]:
    try:
        with _opened(path) as file:
            yield from file
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"{path} cannot be read: {reason}", "Pass an access log.") from None


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    if str(path) == "-":
        if sys.stdin is None:
            raise CommandError("standard input is closed", "Pass a file: --log access.log")
        yield sys.stdin
    elif path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
            yield file
    else:
        with path.open(encoding="utf-8", errors="replace") as plain:
            yield plain
