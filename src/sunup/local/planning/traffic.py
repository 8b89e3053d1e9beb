"""When requests come: a pattern of visits, and what comes besides."""

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

DAY = 86_400.0
WEEK = 7 * DAY
# Of AWS's bill: a twelfth of a year.
MONTH = 365 * DAY / 12

# Whose request it is. A visit is a person's: its wait counts.
VISIT, CRAWLER, PING, WAKE = range(4)
KINDS = ("visits", "crawlers", "pings", "wakes")

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Arrivals:
    """When requests come, in seconds from a Monday's midnight on, in order; `kinds` beside them.

    `seconds` is how long was looked at; `start` where in it that begins.
    """

    times: list[float]
    kinds: list[int]
    seconds: float
    start: float = 0.0


@dataclass(frozen=True)
class Hours:
    """When people are there: days of the week (0 is Monday), hours of the day (22-4 is a night).

    A night belongs to the day on which it begins.
    """

    days: tuple[int, ...] = tuple(range(7))
    begin: float = 0.0
    end: float = 24.0

    @property
    def length(self) -> float:
        """Of one day, in seconds."""
        return ((self.end - self.begin) % 24 or 24.0) * 3600

    @property
    def in_a_week(self) -> float:
        """Seconds of a week."""
        return self.length * len(self.days)

    def windows(self, begin: float, end: float) -> Iterator[tuple[float, float]]:
        """The times at which they are there, from the week's Monday on, cut at both ends."""
        day = int(begin // DAY) - 1
        while day * DAY < end:
            if day % 7 in self.days:
                opened = day * DAY + self.begin * 3600
                closed = min(end, opened + self.length)
                if closed > max(begin, opened):
                    yield max(begin, opened), closed
            day += 1


@dataclass(frozen=True)
class Burst:
    """So many visits within `seconds` from a time of day (in hours) on, on the days of `hours`."""

    visits: int
    at: float
    seconds: float = 60.0


@dataclass(frozen=True)
class Traffic:
    """`weekly` visits a week, by chance within `hours`, of `requests` each, `pause` seconds apart.

    `crawlers` is requests a week at any time; `ping` the seconds between those of a monitor, and
    `wakes` makes the times of a schedule that wakes the database.
    """

    weekly: float = 70.0
    hours: Hours = Hours()
    requests: int = 1
    pause: float = 8.0
    bursts: tuple[Burst, ...] = ()
    crawlers: float = 0.0
    ping: float | None = None
    wakes: Callable[[float, float], Iterator[float]] | None = None

    def arrivals(self, chance: random.Random, start: float, seconds: float) -> Arrivals:
        """Of a time that begins `start` seconds after a Monday's midnight."""
        end = start + seconds
        sources = [
            [(each, VISIT) for each in self._visits(chance, start, end)],
            [(each, CRAWLER) for each in _poisson(chance, self.crawlers / WEEK, start, end)],
            [(each, PING) for each in _regular(chance, self.ping, start, end)],
            [(each, WAKE) for each in (self.wakes(start, end) if self.wakes else ())],
        ]
        merged = list(heapq.merge(*sources))
        return Arrivals([at for at, _ in merged], [kind for _, kind in merged], seconds, start)

    def _visits(self, chance: random.Random, start: float, end: float) -> list[float]:
        times: list[float] = []
        rate = self.weekly / self.hours.in_a_week
        for opened, closed in self.hours.windows(start, end):
            times += _poisson(chance, rate, opened, closed)
        for burst in self.bursts:
            times += self._burst(chance, burst, start, end)
        if self.requests > 1:
            times += [each for first in times for each in self._rest(chance, first)]
            times = [each for each in times if each < end]
        times.sort()
        return times

    def _rest(self, chance: random.Random, at: float) -> Iterator[float]:
        """The other requests of a visit."""
        for _ in range(self.requests - 1):
            at += chance.expovariate(1 / self.pause)
            yield at

    def _burst(
        self, chance: random.Random, burst: Burst, start: float, end: float
    ) -> Iterator[float]:
        hours = self.hours
        # The small hours of a night are the next day's.
        later = DAY if hours.end <= hours.begin and burst.at < hours.begin else 0.0
        for day in range(int(start // DAY) - 1, int(end // DAY) + 1):
            begin = day * DAY + burst.at * 3600 + later
            if day % 7 in hours.days:
                times = (begin + chance.uniform(0, burst.seconds) for _ in range(burst.visits))
                yield from (each for each in times if start <= each < end)


def _poisson(chance: random.Random, rate: float, start: float, end: float) -> list[float]:
    """Independent of each other, `rate` a second."""
    times: list[float] = []
    if rate <= 0:
        return times
    at, gap = start, chance.expovariate
    while (at := at + gap(rate)) < end:
        times.append(at)
    return times


def _regular(
    chance: random.Random, every: float | None, start: float, end: float
) -> Iterator[float]:
    if every is None:
        return
    at = start + chance.uniform(0, every)
    while at < end:
        yield at
        at += every
