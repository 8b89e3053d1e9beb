"""What a person writes of traffic: `200/day`, `9-18`, `mon-fri`, `50@12:30`, `5m`."""

import re

from sunup.local.errors import CommandError

from .setup import Range
from .traffic import DAY, WEEK, WEEKDAYS, Burst, Hours

_PERIODS = {"hour": 3600.0, "day": DAY, "week": WEEK, "month": 365 * DAY / 12}
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}
_MOST_PER_WEEK = 2_000_000


def rate(text: str, option: str, hours: Hours) -> float:
    """`200/day` as a number a week. A day is one on which people are there, and so is an hour."""
    found = re.fullmatch(
        r"(\d{1,3}(?:,\d{3})+|[\d_]+(?:\.\d+)?)(?:/(hour|day|week|month))?", text.strip()
    )
    try:
        count = float(found[1].replace("_", "").replace(",", "")) if found else -1
    except ValueError:
        count = -1
    if found is None or count < 0:
        raise CommandError(
            f"{option} {text!r} is no rate", "For example: 200/day, 15/hour, 30/week or 900/month."
        )
    period = found[2] or "day"
    a_week = {
        "hour": hours.in_a_week / 3600,
        "day": len(hours.days),
    }.get(period, WEEK / _PERIODS[period])
    if count * a_week > _MOST_PER_WEEK:
        raise CommandError(
            f"{option} {text!r} is {count * a_week:,.0f} a week, and at most "
            f"{_MOST_PER_WEEK:,} can be simulated",
            "A database that is asked that often does not sleep.",
        )
    return count * a_week


def hours(days: str, clock: str) -> Hours:
    """`mon-fri` (or `sat,sun`, `all`) and `9-18` (or `22-4`, `8:30-17`, `all`)."""
    begin, end = _clock(clock)
    return Hours(_days(days), begin, end)


def _days(text: str) -> tuple[int, ...]:
    if text.strip().lower() in ("all", ""):
        return tuple(range(7))
    found: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = (each.strip()[:3] for each in part.partition("-"))
        if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
            raise CommandError(
                f"--days {text!r} are no days", "For example: mon-fri, sat,sun or all."
            )
        at = WEEKDAYS.index(first)
        end = WEEKDAYS.index(last) if dash else at
        while True:
            found.add(at)
            if at == end:
                break
            at = (at + 1) % 7
    return tuple(sorted(found))


def _clock(text: str) -> tuple[float, float]:
    if text.strip().lower() in ("all", ""):
        return 0.0, 24.0
    first, dash, last = text.partition("-")
    begin, end = _time(first), _time(last)
    if not dash or begin is None or end is None or begin == end:
        raise CommandError(
            f"--hours {text!r} are no hours", "For example: 9-18, 8:30-17, 22-4 or all."
        )
    return begin, end


def _time(text: str) -> float | None:
    found = re.fullmatch(r"(\d{1,2})(?::(\d\d))?", text.strip())
    if found is None:
        return None
    value = int(found[1]) + int(found[2] or 0) / 60
    return value if value <= 24 and int(found[2] or 0) < 60 else None


def burst(text: str) -> Burst:
    """`50@12:30`: so many visits within a minute; `50@12:30/10m` within ten."""
    found = re.fullmatch(r"(\d+)@([\d:]+)(?:/(.+))?", text.strip())
    at = _time(found[2]) if found else None
    if found is None or at is None or at >= 24 or not 0 < int(found[1]) <= 10_000:
        raise CommandError(
            f"--burst {text!r} is no burst",
            "For example: 50@12:30 (50 visits within a minute) or 200@9/10m.",
        )
    return Burst(int(found[1]), at, seconds(found[3], "--burst") if found[3] else 60.0)


def seconds(text: str, option: str) -> float:
    """`300`, `90s`, `5m`, `2h`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    value = float(found[1]) * _UNITS[found[2] or "s"] if found else 0.0
    if not 0 < value <= 100 * DAY:
        raise CommandError(f"{option} {text!r} is no time", "For example: 30s, 5m or 2h.")
    return value


def a_range(text: str, option: str) -> Range:
    """`15`, or `13-30`."""
    parts = text.split("-")
    try:
        numbers = [float(each) for each in parts]
    except ValueError:
        numbers = []
    ordered = len(numbers) in (1, 2) and 0 <= numbers[0] <= numbers[-1] < 1e6
    if not ordered:
        raise CommandError(
            f"{option} {text!r} is neither a number nor a range", "For example: 15, or 13-30."
        )
    low, high = numbers[0], numbers[-1]
    return Range(low, low + (high - low) / 4, high)
