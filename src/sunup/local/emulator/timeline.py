"""What happened, in order: for the terminal, the console page and the tests."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from .history import History

# What the page lists; states, which it draws, are in the history. A soak test must not fill the
# memory.
_KEPT = 5000
_MOST_LETTERS = 32_000_000


@dataclass
class Timeline:
    """Events are dictionaries with `at` (seconds since the epoch) and `kind`.

    Tests read and add in their thread what the emulator adds and reads in its own.
    """

    listener: Callable[[dict[str, Any]], None] | None = None
    count: int = 0
    history: History = field(default_factory=History)
    _events: deque[dict[str, Any]] = field(default_factory=deque)
    _letters: int = 0
    _lock: Lock = field(default_factory=Lock)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Those that are kept, the oldest first: a copy."""
        with self._lock:
            return list(self._events)

    def since(self, at: float) -> dict[str, Any]:
        """What was when from a moment on, in seconds since the epoch, as JSON."""
        with self._lock:
            return self.history.since(at)

    def add(self, kind: str, **fields: Any) -> None:
        """Note an event that happens now."""
        event: dict[str, Any] = {"n": 0, "at": round(time.time(), 3), "kind": kind}
        for name, value in fields.items():
            # Bytes of a client's that are no text must not keep the page from being told.
            broken = isinstance(value, str) and not value.isascii()
            event[name] = value.encode("utf-8", "replace").decode() if broken else value
        with self._lock:
            event["n"] = self.count
            self.count += 1
            self._keep(event)
            self.history.take(event)
        if self.listener is not None:
            self.listener(event)

    def _keep(self, event: dict[str, Any]) -> None:
        self._events.append(event)
        self._letters += _letters_of(event)
        while len(self._events) > _KEPT or (
            self._letters > _MOST_LETTERS and len(self._events) > 1
        ):
            self._letters -= _letters_of(self._events.popleft())


def _letters_of(event: dict[str, Any]) -> int:
    return sum(len(each) for each in event.values() if isinstance(each, str))
