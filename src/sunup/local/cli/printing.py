"""The emulator's events as lines of a terminal."""

import json
import queue
import threading
import time
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.text import Text

_STATES = {
    "awake": "green",
    "pausing": "yellow",
    "asleep": "blue",
    "idle": "blue",
    "resuming": "yellow",
    "init": "yellow",
    "running": "green",
    "frozen": "blue",
    "gone": "dim",
}

# What the other lines already show.
_SILENT_LINES = ("START ", "END ")


class EventPrinter:
    """Prints one line per event, once `on` is set. Called from the emulator's thread."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.on = False
        self._events: queue.Queue[dict[str, Any]] = queue.Queue(maxsize=2000)
        self._printing: threading.Thread | None = None

    def __call__(self, event: dict[str, Any]) -> None:
        """Print one event."""
        if not self.on:
            return
        if self._printing is None:
            self._printing = threading.Thread(
                target=self._print, name="sunup-printing", daemon=True
            )
            self._printing.start()
        with suppress(queue.Full):  # nobody reads: what is too much is left out
            self._events.put_nowait(event)

    def _print(self) -> None:
        # In a thread of its own: a terminal that stands still must not hold up the event loop.
        while True:
            event = self._events.get()
            text = line(event) if self.on else None
            if text is None:
                continue
            clock = time.strftime("%H:%M:%S", time.localtime(event["at"]))
            try:
                self._console.print(Text(f"{clock} ", "dim") + text, soft_wrap=True)
            except (OSError, ValueError, SystemExit):
                # Nobody reads any more (`| head`); rich ends the process at a broken pipe.
                self.on = False


def line(event: dict[str, Any]) -> Text | None:
    """The event for a person; None for one that says nothing new."""
    kind = event["kind"]
    if kind == "aurora":
        return _assemble("aurora", (event["state"], _STATES[event["state"]]))
    if kind == "connections":
        return _assemble("aurora", f"connections {event['connections']}")
    if kind == "instance":
        name, state = event["instance"][:6], event["state"]
        reason = f" ({event['reason']})" if event.get("reason") else ""
        return _assemble("lambda", f"{name} ", (state, _STATES[state]), reason)
    if kind == "response":
        status = event["status"]
        style = "green" if status < 400 else "yellow" if status < 500 else "red"
        took = f" in {event['wait']:.2f} s"
        request = f"{event['method']} {event['path']} "
        return _assemble("gateway", request, (str(status), style), took)
    if kind == "log":
        return _log(event)
    if kind == "fault":
        return _assemble("fault", (event["fault"], "magenta"))
    if kind == "refused":
        return _assemble("aurora", ("refused: ", "red"), event["reason"])
    if kind == "pinned":
        return _assemble("proxy", ("pinned: ", "yellow"), event["reason"])
    if kind == "conflict":
        return _assemble("aurora", ("conflict: ", "yellow"), event["reason"])
    if kind == "trace":
        spans = ", ".join(
            f"{name} {ms} ms{f' {text[:40]}' if text else ''}" for name, ms, text in event["spans"]
        )
        return _assemble("trace", f"{event['ms']} ms  ", (spans, "dim"))
    if kind == "throttled":
        return _assemble("lambda", ("throttled: reserved concurrency is used up", "yellow"))
    if kind == "integration":
        return _assemble("gateway", ("integration error: ", "red"), event["error"])
    return None


def _log(event: dict[str, Any]) -> Text | None:
    text = event["line"]
    if text.startswith(_SILENT_LINES):
        return None
    name = f"{event['instance'][:6]} "
    if text.startswith("REPORT "):
        parts = [part for part in text.split("\t") if not part.startswith("REPORT")]
        return _assemble("lambda", name, ("  ".join(parts), "dim"))
    try:
        fields = json.loads(text)
    except ValueError:
        return _assemble("log", name, text)
    if not isinstance(fields, dict):
        return _assemble("log", name, text)
    for known in ("timestamp", "request_id", "method", "path", "status", "function", "_aws"):
        fields.pop(known, None)
    level, message = fields.pop("level", ""), fields.pop("message", "")
    rest = " ".join(f"{key}={value}" for key, value in fields.items())
    return _assemble("log", name, f"{level} {message}  ", (rest, "dim"))


def _assemble(part: str, *pieces: str | tuple[str, str]) -> Text:
    return Text.assemble((f"{part:<8}", "bold"), *pieces)
