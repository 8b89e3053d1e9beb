"""What one change to the deployment would be."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from .cron import at_times
from .setup import Setup
from .traffic import Arrivals, Hours, Traffic

_MEMORIES = (128, 256, 512, 1024, 1769)
# Aurora's own least (Aurora User Guide, auto-pause: 300 to 86,400 s).
_PAUSES = (300, 900, 3600)
_SESSIONS = (5, 60, 300)


@dataclass(frozen=True)
class Alternative:
    """A deployment that differs in one thing. `how` is the setting."""

    title: str
    how: str
    setup: Setup
    traffic: Traffic | Arrivals


def alternatives(setup: Setup, traffic: Traffic | Arrivals) -> Iterator[Alternative]:
    """Each that is open to this one."""
    if setup.engine == "aurora":
        yield from _of_the_pause(setup, traffic)
        yield from _of_a_schedule(setup, traffic)
        yield Alternative(
            "Aurora DSQL, which does not sleep",
            "sunup database create --engine dsql (docs/engines.md)",
            replace(setup, engine="dsql"),
            _without_wakes(traffic),
        )
    yield from _of_memory(setup, traffic)
    yield from _of_monitors(setup, traffic)


def _of_the_pause(setup: Setup, traffic: Traffic | Arrivals) -> Iterator[Alternative]:
    if setup.pause_after is None:
        yield Alternative(
            "pause after 300 s", "min_acu 0", replace(setup, pause_after=300.0), traffic
        )
        return
    for seconds in _PAUSES:
        if seconds != setup.pause_after:
            yield Alternative(
                f"pause after {seconds} s",
                f"SecondsUntilAutoPause = {seconds} (aws rds modify-db-cluster)",
                replace(setup, pause_after=float(seconds)),
                traffic,
            )
    for seconds in _SESSIONS:
        if seconds != setup.idle_session_timeout:
            yield Alternative(
                f"sessions end after {seconds} s",
                f"db_idle_session_timeout = {seconds}",
                replace(setup, idle_session_timeout=float(seconds)),
                traffic,
            )
    yield Alternative(
        "never pause", "a minimum of 0.5 ACU", replace(setup, pause_after=None), traffic
    )


def _of_a_schedule(setup: Setup, traffic: Traffic | Arrivals) -> Iterator[Alternative]:
    if not setup.sleeps or isinstance(traffic, Arrivals):
        return
    if traffic.wakes is not None:
        yield Alternative(
            "no wake schedule", "wake_schedule = null", setup, _without_wakes(traffic)
        )
        return
    hours = traffic.hours
    if hours.length >= 24 * 3600:
        return
    days = _days_of(hours)
    early = hours.begin * 60 - 2
    minute, hour = int(early % 60), int(early // 60 % 24)
    if early >= 0:
        yield Alternative(
            f"wake it at {hour}:{minute:02d}",
            f'wake_schedule = "cron({minute} {hour} ? * {days} *)"',
            setup,
            replace(traffic, wakes=at_times(hours.days, [(hour, minute)])),
        )
    if hours.end > hours.begin:
        # Aurora pauses 6 minutes after a wake: a wake each five keeps it awake.
        opens, closes = int(hours.begin), math.ceil(hours.end)
        keeping = [(at // 60, at % 60) for at in range(opens * 60, closes * 60, 5)]
        span = f"{opens}-{closes - 1}" if closes - 1 > opens else f"{opens}"
        yield Alternative(
            "keep it awake in those hours",
            f'wake_schedule = "cron(0/5 {span} ? * {days} *)"',
            setup,
            replace(traffic, wakes=at_times(hours.days, keeping)),
        )


def _of_memory(setup: Setup, traffic: Traffic | Arrivals) -> Iterator[Alternative]:
    for memory in _MEMORIES:
        if memory != setup.memory:
            yield Alternative(
                f"{memory} MB", f"lambda_memory = {memory}", replace(setup, memory=memory), traffic
            )


def _of_monitors(setup: Setup, traffic: Traffic | Arrivals) -> Iterator[Alternative]:
    if isinstance(traffic, Arrivals):
        return
    if traffic.ping is not None:
        yield Alternative(
            "no monitor that reaches the function",
            "let it ask for something that neither wakes nor counts",
            setup,
            replace(traffic, ping=None),
        )
    if traffic.crawlers:
        yield Alternative(
            "no crawlers",
            "authorization, or a firewall in front",
            setup,
            replace(traffic, crawlers=0.0),
        )


def _without_wakes(traffic: Traffic | Arrivals) -> Traffic | Arrivals:
    return traffic if isinstance(traffic, Arrivals) else replace(traffic, wakes=None)


def _days_of(hours: Hours) -> str:
    names = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
    days = sorted(hours.days)
    if len(days) == 7:
        return "*"
    if len(days) > 2 and days == list(range(days[0], days[-1] + 1)):
        return f"{names[days[0]]}-{names[days[-1]]}"
    return ",".join(names[each] for each in days)
