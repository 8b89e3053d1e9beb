"""What happened, in order: for the terminal, the console page and the tests."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .history import History

# What the page lists; states, which it draws, are in the history. A soak test must not fill the
# memory.
_KEPT = 5000
_MOST_LETTERS = 32_000_000


@dataclass
class Timeline:
    """Events are dictionaries with `at` (seconds since the epoch) and `kind`."""

    listener: Callable[[dict[str, Any]], None] | None = None
    events: deque[dict[str, Any]] = field(default_factory=deque)
    count: int = 0
    history: History = field(default_factory=History)
    _letters: int = 0

    def add(self, kind: str, **fields: Any) -> None:
        """Note an event that happens now."""
        event = {"n": self.count, "at": round(time.time(), 3), "kind": kind}
        for name, value in fields.items():
            # Bytes of a client's that are no text must not keep the page from being told.
            broken = isinstance(value, str) and not value.isascii()
            event[name] = value.encode("utf-8", "replace").decode() if broken else value
        self.count += 1
        self.events.append(event)
        self._letters += _letters_of(event)
        while len(self.events) > _KEPT or (self._letters > _MOST_LETTERS and len(self.events) > 1):
            self._letters -= _letters_of(self.events.popleft())
        self.history.take(event)
        if self.listener is not None:
            self.listener(event)


def _letters_of(event: dict[str, Any]) -> int:
    return sum(len(each) for each in event.values() if isinstance(each, str))
