"""The function's log as requests: what Lambda reports and what sunup logs, joined by request."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sunup.local.aws import explained
from sunup.local.errors import CommandError

_REPORT = re.compile(
    r"REPORT RequestId: (\S+).*?Duration: ([\d.]+) ms.*?Billed Duration: (\d+) ms"
    r".*?Memory Size: (\d+) MB.*?Max Memory Used: (\d+) MB(?:.*?Init Duration: ([\d.]+) ms)?"
    r"(?:.*?Status: (\w+))?",
    re.DOTALL,
)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

# Seconds between two looks at the log. A line takes a few seconds to arrive as it is.
POLL = 2.0


@dataclass
class Request:
    """One invocation. Times in ms, memory in MB; `at` in seconds since the epoch."""

    id: str
    at: float
    method: str = ""
    path: str = ""
    status: int | None = None
    duration_ms: float | None = None
    billed_ms: float | None = None
    init_ms: float | None = None
    cold: bool = False
    connect_ms: float | None = None
    resume_ms: float | None = None
    query_ms: float | None = None
    queries: int | None = None
    memory_mb: int | None = None
    limit_mb: int | None = None
    # How often a transaction was run again; what the receipt was for, and how often its work ran.
    retries: int = 0
    receipt: str = ""
    runs: int = 0
    code: str = ""
    cause: str = ""
    outcome: str = ""
    lines: list[str] = field(default_factory=list)
    # What the app logged itself, below ERROR.
    own: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether somebody should look at it."""
        return (self.status or 0) >= 500 or self.outcome not in ("", "success") or bool(self.lines)


class Reader:
    """Joins lines to requests. A request is done when Lambda has reported it."""

    def __init__(self) -> None:
        self._open: dict[str, Request] = {}

    def read(self, at: float, message: str) -> Iterator[Request | str]:
        """Take one line; yields requests that are done, and lines that belong to none."""
        text = message.rstrip()
        report = _REPORT.match(text)
        if report:
            yield self._reported(at, _fields(report))
            return
        content = _json(text)
        if content is None:
            if text and not text.startswith(("START ", "END ", "INIT_START", "RestoreReport")):
                yield text
            return
        if "type" in content and isinstance(content.get("record"), dict):
            yield from self._platform(at, content)
            return
        request_id = content.get("request_id") or content.get("requestId")
        if not isinstance(request_id, str):
            if content.get("level") in ("WARNING", "WARN", "ERROR", "CRITICAL", "FATAL"):
                yield _line(content)
            return
        request = self._open.setdefault(request_id, Request(request_id, at))
        if "status" in content and "path" in content:
            self._told(request, content)
        elif content.get("level") in ("ERROR", "CRITICAL", "FATAL"):
            request.lines.append(_line(content))
        elif content.get("message"):
            request.own.append(_line(content))

    def rest(self) -> Iterator[Request]:
        """The requests that have not been reported, oldest first."""
        waiting = sorted(self._open.values(), key=lambda each: each.at)
        self._open.clear()
        yield from waiting

    def _platform(self, at: float, content: dict[str, Any]) -> Iterator[Request | str]:
        record, kind = content["record"], content["type"]
        if kind == "platform.report":
            metrics = record.get("metrics", {})
            yield self._reported(
                at,
                {
                    "id": record.get("requestId", ""),
                    "duration_ms": metrics.get("durationMs"),
                    "billed_ms": metrics.get("billedDurationMs"),
                    "init_ms": metrics.get("initDurationMs"),
                    "limit_mb": metrics.get("memorySizeMB"),
                    "memory_mb": metrics.get("maxMemoryUsedMB"),
                    "outcome": record.get("status", ""),
                },
            )
        elif kind == "platform.initReport" and record.get("status") not in (None, "success"):
            yield f"INIT {record.get('status')}: {record.get('errorType', '')}".rstrip(": ")

    def _reported(self, at: float, fields: dict[str, Any]) -> Request:
        request = self._open.pop(fields["id"], None) or Request(fields["id"], at)
        for name, value in fields.items():
            # sunup's own duration leaves out what the runtime does around it.
            if value is not None and name != "id":
                setattr(request, name, value)
        request.cold = request.cold or request.init_ms is not None
        return request

    def _told(self, request: Request, content: dict[str, Any]) -> None:
        for name in ("method", "path", "status", "duration_ms", "connect_ms", "resume_ms"):
            setattr(request, name, content.get(name, getattr(request, name)))
        for name in ("query_ms", "queries", "code", "cause", "retries", "receipt", "runs"):
            setattr(request, name, content.get(name, getattr(request, name)))
        request.cold = bool(content.get("cold_start"))


def events(client: Any, group: str, since: float, *, follow: bool) -> Iterator[dict[str, Any]]:
    """The log's events from `since` (seconds since the epoch) on, oldest first. `CommandError`."""
    start = int(since * 1000)
    seen: set[str] = set()
    while True:
        token: dict[str, str] = {}
        begin = start
        while True:
            with explained(f"read the log group {group}"):
                try:
                    page = client.filter_log_events(logGroupName=group, startTime=begin, **token)
                except client.exceptions.ResourceNotFoundException:
                    raise CommandError(
                        f"there is no log group {group}",
                        "Check that the app is deployed in this region, or pass --group.",
                    ) from None
            for event in page.get("events", []):
                if event["eventId"] not in seen:
                    seen.add(event["eventId"])
                    # Lines can arrive late: go on a little before the newest.
                    start = max(start, event["timestamp"] - 10_000)
                    yield event
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
        if not follow:
            return
        yield {}
        time.sleep(POLL)


def is_refusal(line: str) -> bool:
    """Whether a line of the gateway's log is about a request that failed."""
    content = _json(line) or {}
    return not str(content.get("status", "")).startswith(("1", "2", "3"))


def seconds_of(text: str) -> float:
    """`90s`, `15m`, `2h`, `1d` in seconds. Raises `CommandError`."""
    found = re.fullmatch(r"(\d+)([smhd])", text.strip())
    if not found:
        raise CommandError(
            f"--since {text!r} is not a duration", "Use a number with a unit: 90s, 15m, 2h or 1d."
        )
    return int(found[1]) * _UNITS[found[2]]


def _fields(report: re.Match[str]) -> dict[str, Any]:
    identity, duration, billed, limit, used, init, status = report.groups()
    return {
        "id": identity,
        "duration_ms": float(duration),
        "billed_ms": float(billed),
        "limit_mb": int(limit),
        "memory_mb": int(used),
        "init_ms": float(init) if init else None,
        "outcome": status or "",
    }


def _json(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _line(content: dict[str, Any]) -> str:
    text = f"{content.get('level', '')} {content.get('message', '')}".strip()
    exception = content.get("exception") or content.get("errorMessage")
    return f"{text}\n{exception}" if exception else text
