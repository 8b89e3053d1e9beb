"""EventBridge Scheduler's expressions as times of a week."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from sunup.local.errors import CommandError

from .traffic import DAY

_NAMES = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
_UNITS = {"minute": 60.0, "hour": 3600.0, "day": DAY}

Times = Callable[[float, float], Iterator[float]]


def at_times(days: Sequence[int], clock: Sequence[tuple[int, int]]) -> Times:
    """These hours and minutes on these days of the week (0 is Monday)."""

    def times(start: float, end: float) -> Iterator[float]:
        for day in range(int(start // DAY), int(end // DAY) + 1):
            if day % 7 in days:
                for hour, minute in clock:
                    at = day * DAY + hour * 3600 + minute * 60
                    if start <= at < end:
                        yield at

    return times


def scheduled(expression: str) -> Times:
    """Of `cron(...)` with each day of the month, or `rate(...)`. Raises `CommandError`.

    EventBridge Scheduler User Guide, "Schedule types": minute, hour, day of month, month, day of
    week (1 is Sunday), year.
    """
    text = expression.strip()
    if found := re.fullmatch(r"rate\(([1-9]\d*) (minute|hour|day)s?\)", text):
        every = int(found[1]) * _UNITS[found[2]]
        return lambda start, end: _each(every, start, end)
    found = re.fullmatch(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)", text)
    if found is None or found[3] not in ("?", "*") or found[4] != "*" or found[6] != "*":
        raise CommandError(
            f"the schedule {expression!r} cannot be simulated",
            "Use one of days of the week, such as cron(45 7 ? * MON-FRI *), or rate(1 hour).",
        )
    try:
        minutes = _numbers(found[1], 0, 59, {})
        hours = _numbers(found[2], 0, 23, {})
        days = sorted({(each - 2) % 7 for each in _numbers(found[5], 1, 7, _NAMES)})
    except ValueError:
        raise CommandError(
            f"the schedule {expression!r} cannot be read",
            "For example: cron(45 7 ? * MON-FRI *), or rate(1 hour).",
        ) from None
    return at_times(days, [(hour, minute) for hour in hours for minute in minutes])


def _each(every: float, start: float, end: float) -> Iterator[float]:
    at = start // every * every
    while at < end:
        if at >= start:
            yield at
        at += every


def _numbers(text: str, low: int, high: int, names: Mapping[str, int]) -> list[int]:
    """A field's: `*`, `5`, `MON-FRI`, `0/5`, and lists of these. Raises `ValueError`."""
    found: set[int] = set()
    for part in text.split(","):
        body, slash, step = part.partition("/")
        first, dash, last = body.partition("-")
        if first == "*" or (first == "?" and names):
            begin, end = low, high
        else:
            begin = _number(first, names)
            end = _number(last, names) if dash else high if slash else begin
        if not low <= begin <= high or not low <= end <= high:
            raise ValueError(text)
        if end < begin:  # FRI-MON
            found.update(range(begin, high + 1))
            begin = low
        found.update(range(begin, end + 1, _number(step, {}) if slash else 1))
    return sorted(found)


def _number(text: str, names: Mapping[str, int]) -> int:
    if text.upper() in names:
        return names[text.upper()]
    if not re.fullmatch(r"[0-9]{1,2}", text):
        raise ValueError(text)
    return int(text)
