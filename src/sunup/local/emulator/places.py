"""The sessions of an instance, and how many there may be."""

from collections.abc import Iterator
from typing import Protocol

from .timeline import Timeline


class Seated(Protocol):
    """A session that can be ended."""

    def end(self, *, graceful: bool) -> None:
        """Throw the client out: with the server's words, or by cutting the line."""


class Places:
    """At most `limit` sessions that are logged in, or being logged in."""

    def __init__(self, limit: int, timeline: Timeline) -> None:
        self._limit = limit
        self._timeline = timeline
        self._taken: set[Seated] = set()
        # The most at once so far.
        self.most = 0

    def __len__(self) -> int:
        return len(self._taken)

    def __iter__(self) -> Iterator[Seated]:
        return iter(list(self._taken))

    def enter(self, session: Seated) -> bool:
        """Take a place; false when none is left."""
        if len(self._taken) >= self._limit:
            self._timeline.add("refused", reason="too many clients")
            return False
        self._taken.add(session)
        self.most = max(self.most, len(self._taken))
        self._timeline.add("connections", connections=len(self._taken))
        return True

    def leave(self, session: Seated) -> None:
        """Give the place back."""
        if session in self._taken:
            self._taken.discard(session)
            self._timeline.add("connections", connections=len(self._taken))

    def end_all(self, *, graceful: bool) -> None:
        """End each session."""
        for session in self:
            session.end(graceful=graceful)
