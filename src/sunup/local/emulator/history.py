"""What was when, for an hour: kept apart from the events, which come by the hundred a second.

Everything is bounded. What is recent is kept exactly, what is older more coarsely.
"""

import uuid
from collections import deque
from itertools import pairwise
from typing import Any

# Seconds that are kept; how many parts may be new since the last joining; and what cannot be seen:
# so much of a view's width.
KEPT = 3600.0
_MOST = 300
_PARTS = 150

# Transitions of the database, marks: rare.
_RARE = 500
_LANES = 60


class Runs:
    """When something was busy: `[from, to, seconds busy]`; `to` of the last may be open.

    What lies close together is joined, the older the more: at a distance that cannot be seen in a
    view that reaches as far back. Of what was joined the busy seconds are still known.
    """

    def __init__(self) -> None:
        self.parts: list[list[Any]] = []
        self._most = _MOST

    def begin(self, at: float) -> None:
        """Busy from now on."""
        if not self.parts or self.parts[-1][1] is not None:
            self.parts.append([at, None, 0.0])
            if len(self.parts) > self._most:
                self._join(at)

    def end(self, at: float) -> None:
        """Idle from now on."""
        if self.parts and self.parts[-1][1] is None:
            last = self.parts[-1]
            last[1] = at
            last[2] += at - last[0]

    def _join(self, now: float) -> None:
        joined: list[list[Any]] = []
        for each in self.parts:
            last = joined[-1] if joined else None
            if last is not None and each[1] is not None:
                near = each[0] - last[1] < (now - each[1]) / _PARTS
                if near and each[1] - last[0] < max(1.0, (now - each[1]) / 4):
                    last[1], last[2] = each[1], last[2] + each[2]
                    continue
            if each[1] is None or each[1] > now - KEPT:
                joined.append(each)
        self.parts = joined
        self._most = len(joined) + _MOST  # not at each beginning

    def since(self, at: float) -> list[list[Any]]:
        """What was busy after a moment."""
        return [each for each in self.parts if each[1] is None or each[1] > at]


class Steps:
    """A number over time, `[at, value]`: of close values, the older the more, the highest."""

    def __init__(self) -> None:
        self.points: list[list[float]] = []
        self._most = _MOST

    def note(self, at: float, value: float) -> None:
        """It is `value` from now on."""
        self.points.append([at, value])
        if len(self.points) > self._most:
            self._thin(at)

    def _thin(self, now: float) -> None:
        kept: list[list[float]] = []
        for point, (ends, _) in pairwise([*self.points, [float("inf"), 0.0]]):
            if ends < now - KEPT:
                continue
            width = (now - point[0]) / _PARTS
            if kept and point[0] - kept[-1][0] < width and ends - kept[-1][0] < width:
                kept[-1][1] = max(kept[-1][1], point[1])
            else:
                kept.append(list(point))
        self.points = kept
        self._most = len(kept) + _MOST

    def since(self, at: float) -> list[list[float]]:
        """From the value that it had at a moment on."""
        before = [each for each in self.points if each[0] <= at][-1:]
        return before + [each for each in self.points if each[0] > at]


class History:
    """Fed with the timeline's events; `run` names this emulator among those on the same port."""

    def __init__(self) -> None:
        self.run = uuid.uuid4().hex[:8]
        self._database: deque[tuple[float, str]] = deque(maxlen=_RARE)
        self._marks: deque[tuple[float, str]] = deque(maxlen=_RARE)
        self._connections = Steps()
        self._lanes: dict[str, dict[str, Any]] = {}
        # Of each second: answers by their class, and the longest wait in milliseconds.
        self._seconds: deque[list[int]] = deque(maxlen=int(KEPT) + 2)
        self._waiting: dict[int, dict[str, Any]] = {}

    def take(self, event: dict[str, Any]) -> None:
        """Note what an event of the timeline says."""
        kind, at = event["kind"], event["at"]
        if kind == "aurora":
            self._database.append((at, event["state"]))
        elif kind == "connections":
            self._connections.note(at, event["connections"])
        elif kind == "fault":
            self._marks.append((at, event["fault"]))
        elif kind == "instance":
            self._of_instance(event["instance"], event["state"], at, event.get("reason"))
        elif kind == "request":
            self._waiting[event["id"]] = event
        elif kind == "response":
            self._waiting.pop(event["id"], None)
            self._answered(int(at), event["status"], round(event["wait"] * 1000))

    def since(self, at: float) -> dict[str, Any]:
        """Everything from a moment on, as JSON."""
        database = list(self._database)
        first = max((n for n, each in enumerate(database) if each[0] <= at), default=0)
        lanes = [each for each in self._lanes.values() if (each["gone"] or float("inf")) > at]
        return {
            "database": database[first:],
            "marks": [each for each in self._marks if each[0] > at],
            "connections": self._connections.since(at),
            "lanes": [each | {"runs": each["runs"].since(at)} for each in lanes],
            "seconds": [each for each in self._seconds if each[0] >= int(at)],
            "waiting": list(self._waiting.values())[-50:],
        }

    def _of_instance(self, name: str, state: str, at: float, reason: str | None) -> None:
        lane = self._lanes.get(name)
        if lane is None:
            lane = {
                "id": name,
                "began": at,
                "ready": None,
                "gone": None,
                "reason": "",
                "runs": Runs(),
            }
            self._lanes[name] = lane
            if len(self._lanes) > _LANES:
                gone = [each for each, one in self._lanes.items() if one["gone"]]
                if gone:
                    del self._lanes[gone[0]]
        if state != "init" and lane["ready"] is None:
            lane["ready"] = at
        if state == "running":
            lane["runs"].begin(at)
        else:
            lane["runs"].end(at)
        if state == "gone":
            lane["gone"], lane["reason"] = at, reason or ""

    def _answered(self, second: int, status: int, wait: int) -> None:
        if not self._seconds or self._seconds[-1][0] < second:
            self._seconds.append([second, 0, 0, 0, 0])
        bucket = self._seconds[-1]
        bucket[1 if status < 400 else 2 if status < 500 else 3] += 1
        bucket[4] = max(bucket[4], wait)
