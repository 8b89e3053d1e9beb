"""When requests come."""

import random
from itertools import pairwise
from statistics import fmean

import pytest

from sunup.local.errors import CommandError
from sunup.local.planning import Range, Traffic, reading
from sunup.local.planning.cron import scheduled
from sunup.local.planning.traffic import DAY, PING, VISIT, WAKE, WEEK, Burst, Hours


def times(
    traffic: Traffic, kind: int = VISIT, start: float = 0.0, seconds: float = WEEK
) -> list[float]:
    found = traffic.arrivals(random.Random(1), start, seconds)
    assert found.times == sorted(found.times)
    assert all(start <= at < start + seconds for at in found.times)
    return [at for at, each in zip(found.times, found.kinds, strict=True) if each == kind]


def test_visits_come_when_people_are_there() -> None:
    office = Hours((0, 1, 2, 3, 4), 9, 18)
    found = times(Traffic(weekly=5000, hours=office), seconds=10 * WEEK)
    assert {int(at // DAY) % 7 for at in found} == {0, 1, 2, 3, 4}
    assert {int(at % DAY // 3600) for at in found} == set(range(9, 18))
    assert len(found) == pytest.approx(50_000, rel=0.02)


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    found = times(Traffic(weekly=2000, hours=Hours((4,), 22, 4)), seconds=4 * WEEK)
    fridays = [at for at in found if int(at // DAY) % 7 == 4]
    saturdays = [at for at in found if int(at // DAY) % 7 == 5]
    assert len(fridays) + len(saturdays) == len(found)
    assert all(at % DAY >= 22 * 3600 for at in fridays)
    assert all(at % DAY < 4 * 3600 for at in saturdays)


def test_a_visit_has_several_requests() -> None:
    found = times(Traffic(weekly=700, requests=4, pause=8), seconds=20 * WEEK)
    assert len(found) == pytest.approx(4 * 700 * 20, rel=0.03)


def test_a_burst_comes_at_its_time_on_its_days() -> None:
    bursts = (Burst(50, 12.5, 60),)
    found = times(Traffic(weekly=0, hours=Hours((1, 3)), bursts=bursts))
    assert len(found) == 100
    assert all(12.5 * 3600 <= at % DAY <= 12.5 * 3600 + 60 for at in found)


def test_a_burst_in_the_small_hours_is_the_next_day_s() -> None:
    found = times(Traffic(weekly=0, hours=Hours((4,), 22, 4), bursts=(Burst(3, 2),)))
    assert {int(at // DAY) for at in found} == {5}
    assert len(found) == 3


def test_a_monitor_is_regular() -> None:
    found = times(Traffic(weekly=0, ping=300), PING)
    assert {round(b - a) for a, b in pairwise(found)} == {300}


@pytest.mark.parametrize(
    ("expression", "first", "count"),
    [
        ("cron(45 7 ? * MON-FRI *)", 7.75 * 3600, 5),
        ("cron(0/15 9-10 ? * 2 *)", 9 * 3600, 8),
        ("cron(30 6 * * ? *)", 6.5 * 3600, 7),
        ("cron(0 8 ? * FRI-MON *)", 8 * 3600, 4),
        ("rate(12 hours)", 0.0, 14),
    ],
)
def test_a_wake_schedule_is_eventbridges(expression: str, first: float, count: int) -> None:
    found = times(Traffic(weekly=0, wakes=scheduled(expression)), WAKE)
    assert (found[0], len(found)) == (first, count)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "cron(1 2)",
        "cron(0 8 1 * ? *)",
        "cron(99 8 ? * MON *)",
        "at(2026-01-01T00:00:00)",
        "cron(0/-1 8 ? * MON *)",
        "cron(MON 8 ? * MON *)",
        "cron(+5 8 ? * MON *)",
        "cron(? 8 ? * MON *)",
        "cron(1_0 8 ? * MON *)",
        "cron(0/0 8 ? * MON *)",
    ],
)
def test_another_schedule_is_refused(expression: str) -> None:
    with pytest.raises(CommandError):
        scheduled(expression)


@pytest.mark.parametrize(
    ("text", "weekly"),
    [
        ("200/day", 1000),
        ("200", 1000),
        ("15/hour", 15 * 45),
        ("30/week", 30),
        ("1_000/day", 5000),
        ("1,000/day", 5000),
        ("2.5/day", 12.5),
    ],
)
def test_a_rate_is_of_the_days_on_which_people_are_there(text: str, weekly: float) -> None:
    assert reading.rate(text, "--visits", reading.hours("mon-fri", "9-18")) == weekly


@pytest.mark.parametrize(
    "text", ["", "many", "-3/day", "5/minute", "1e9/day", "nan", "99999999/day", "1.2.3", "1,5/day"]
)
def test_a_wrong_rate_is_told(text: str) -> None:
    with pytest.raises(CommandError, match="--visits"):
        reading.rate(text, "--visits", Hours())


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ("mon-fri", (0, 1, 2, 3, 4)),
        ("sat,sun", (5, 6)),
        ("fri-mon", (0, 4, 5, 6)),
        ("all", tuple(range(7))),
        ("Monday", (0,)),
    ],
)
def test_days_are_read(days: str, expected: tuple[int, ...]) -> None:
    assert reading.hours(days, "all").days == expected


@pytest.mark.parametrize(
    ("days", "clock"),
    [
        ("xyz", "all"),
        ("mon-", "all"),
        ("all", "9"),
        ("all", "9-9"),
        ("all", "25-3"),
        ("all", "9:75-10"),
    ],
)
def test_wrong_days_and_hours_are_told(days: str, clock: str) -> None:
    with pytest.raises(CommandError, match="are no"):
        reading.hours(days, clock)


def test_bursts_and_times_are_read() -> None:
    assert reading.burst("50@12:30") == Burst(50, 12.5, 60)
    assert reading.burst("200@9/10m") == Burst(200, 9, 600)
    assert reading.seconds("90s", "--ping") == 90
    for wrong in ("50", "0@9", "50@25", "50@9/x"):
        with pytest.raises(CommandError):
            reading.burst(wrong)


def test_a_range_is_drawn_within_itself() -> None:
    found = reading.a_range("13-30", "--resume-seconds")
    chance = random.Random(1)
    drawn = [found.sample(chance) for _ in range(5000)]
    assert 13 <= min(drawn) < 14 < 28 < max(drawn) <= 30
    assert fmean(drawn) < 21.5  # more often near the lower end
    assert reading.a_range("15", "--acu") == Range.exactly(15)
    for wrong in ("", "30-13", "a", "-1", "1-2-3"):
        with pytest.raises(CommandError):
            reading.a_range(wrong, "--acu")
