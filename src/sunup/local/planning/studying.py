"""Many months, what they cost, and what one change would do."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from sunup.local.errors import CommandError

from .alternatives import Alternative, alternatives
from .bill import bill
from .prices import Prices
from .setup import Setup
from .simulation import Run, simulate
from .statistics import Spread, percentile
from .traffic import MONTH, VISIT, WEEK, Arrivals, Traffic

# What is compared: so many requests are simulated for each change, and two months at least.
_COMPARED_REQUESTS = 60_000
# Of a month: a few seconds, and some 100 MB.
_MOST_REQUESTS = 1_000_000


@dataclass(frozen=True)
class Part:
    """A part of the bill, in US dollars a month; `amount` is that of the median month."""

    name: str
    dollars: Spread
    amount: str


@dataclass(frozen=True)
class Outcome:
    """What a month is like. Times in seconds, `waited` and the like as shares of the visits."""

    dollars: Spread
    parts: list[Part]
    awake_hours: Spread
    resumes: float
    visits: float
    waited: Spread
    # Of those that waited: the median, of twenty nineteen, the longest.
    wait: tuple[float, float, float]
    # In an hour's seconds: of all visits together, a month.
    waiting_hours: float
    refused: float
    lost: float
    failures: dict[str, float]
    cold: float
    instances: int
    connections: int


@dataclass(frozen=True)
class Change:
    """What one change would do: to the bill (US dollars a month), to the waits."""

    title: str
    how: str
    dollars: float
    waited: float
    waiting_hours: float
    # Of the visits: those that gave up.
    lost: float
    # The bill, and what the waiting and the lost visits are worth.
    total: float


@dataclass(frozen=True)
class Plan:
    """What `study` found. `typical` is the run whose database was awake as long as the median's."""

    outcome: Outcome
    changes: list[Change]
    # What is now, over the same months as the changes.
    now: Change
    typical: Run
    arrivals: Arrivals
    months: int
    # The months over which the changes are compared.
    compared: int
    sleeps: bool


@dataclass(frozen=True)
class _Worth:
    waiting_hour: float
    lost_visit: float


@dataclass(frozen=True)
class _Month:
    number: int
    run: Run
    lines: list[tuple[str, float, str]]

    @property
    def dollars(self) -> float:
        return sum(each[1] for each in self.lines)


def study(
    setup: Setup,
    traffic: Traffic | Arrivals,
    prices: Prices | None = None,
    *,
    months: int = 12,
    seed: int = 1,
    waiting_hour: float = 20.0,
    lost_visit: float = 1.0,
    tell: Callable[[str], None] = lambda text: None,
) -> Plan:
    """Simulate so many months, each with what is not known drawn anew; of a log the same again.

    `waiting_hour` is what an hour of people's waiting is worth, `lost_visit` a visit that gives up,
    in US dollars: the changes are in the order of the bill and these together. `tell` is told what
    is being done. Raises `CommandError` for more requests than can be simulated.
    """
    _check(traffic)
    worth = _Worth(waiting_hour, lost_visit)
    prices = prices or Prices()
    tell(f"{months} months")
    simulated = [_month(setup, traffic, prices, seed, number) for number in range(months)]
    outcome = _outcome(simulated)
    requests = max(1, sum(simulated[0].run.requests.values()))
    compared = max(2, min(months, _COMPARED_REQUESTS // requests)) if months > 1 else 1
    now = _change(Alternative("as it is", "", setup, traffic), simulated[:compared], worth)
    changes = []
    for each in alternatives(setup, traffic):
        tell(each.title)
        tried = [
            _month(each.setup, each.traffic, prices, seed, number) for number in range(compared)
        ]
        changes.append(_change(each, tried, worth))
    changes.sort(key=lambda each: each.total)
    by_hours = sorted(simulated, key=lambda each: each.run.awake_seconds)
    typical = by_hours[len(by_hours) // 2]
    arrivals = _arrivals(traffic, seed, typical.number)
    return Plan(outcome, changes, now, typical.run, arrivals, months, compared, setup.sleeps)


def _month(
    setup: Setup, traffic: Traffic | Arrivals, prices: Prices, seed: int, number: int
) -> _Month:
    # Each of what is drawn has a source of its own: a change leaves the others as they are.
    arrivals = _arrivals(traffic, seed, number)
    unknown = random.Random(f"{seed} {number} unknown")
    acu, dpu = setup.acu.sample(unknown), setup.app.dpu.sample(unknown)
    run = simulate(setup, arrivals, random.Random(f"{seed} {number} run"))
    lines = bill(setup, run, prices, acu=acu, dpu=dpu)
    return _Month(number, run, [(each.part, each.dollars, each.amount) for each in lines])


def _arrivals(traffic: Traffic | Arrivals, seed: int, number: int) -> Arrivals:
    if isinstance(traffic, Arrivals):
        return traffic
    return traffic.arrivals(random.Random(f"{seed} {number} traffic"), number * MONTH, MONTH)


def _check(traffic: Traffic | Arrivals) -> None:
    if isinstance(traffic, Arrivals):
        return
    weeks = MONTH / WEEK
    expected = weeks * (traffic.weekly * traffic.requests + traffic.crawlers)
    expected += sum(each.visits for each in traffic.bursts) * traffic.requests * 31
    expected += 0 if traffic.ping is None else MONTH / traffic.ping
    if expected > _MOST_REQUESTS:
        raise CommandError(
            f"that is {expected:,.0f} requests a month, and at most {_MOST_REQUESTS:,} can be "
            "simulated",
            "A database that is asked that often does not sleep: simulate a part of it.",
        )


def _outcome(months: Sequence[_Month]) -> Outcome:
    runs = [each.run for each in months]
    shares = [MONTH / each.seconds for each in runs]
    visits = [each.requests[VISIT] for each in runs]
    waits = sorted(length for each in runs for _, length in each.waits)
    failures: Counter[str] = Counter()
    for run in runs:
        failures.update(run.failures)
    by_cost = sorted(months, key=lambda each: each.dollars)
    middle = by_cost[len(by_cost) // 2]
    return Outcome(
        dollars=Spread.of([each.dollars for each in months]),
        parts=[
            Part(name, Spread.of([each.lines[at][1] for each in months]), amount)
            for at, (name, _, amount) in enumerate(middle.lines)
        ],
        awake_hours=Spread.of(
            [each.awake_seconds * share / 3600 for each, share in zip(runs, shares, strict=True)]
        ),
        resumes=fmean(len(each.awake) for each in runs) * shares[0],
        visits=fmean(visits) * shares[0],
        waited=Spread.of(
            [len(run.waits) / max(1, count) for run, count in zip(runs, visits, strict=True)]
        ),
        wait=(percentile(waits, 0.5), percentile(waits, 0.95), waits[-1] if waits else 0.0),
        waiting_hours=_waiting_hours(runs),
        refused=sum(each.refused for each in runs) / max(1, sum(visits)),
        lost=sum(each.lost for each in runs) / max(1, sum(visits)),
        failures={code: count / len(runs) * shares[0] for code, count in sorted(failures.items())},
        cold=sum(each.cold_starts for each in runs)
        / max(1, sum(each.invocations for each in runs)),
        instances=max(each.instances for each in runs),
        connections=max(each.connections for each in runs),
    )


def _change(each: Alternative, months: Sequence[_Month], worth: _Worth) -> Change:
    runs = [month.run for month in months]
    dollars = median(month.dollars for month in months)
    hours = _waiting_hours(runs)
    visits = sum(run.requests[VISIT] for run in runs)
    lost = fmean(run.lost * MONTH / run.seconds for run in runs)
    return Change(
        each.title,
        each.how,
        dollars,
        sum(len(run.waits) for run in runs) / max(1, visits),
        hours,
        sum(run.lost for run in runs) / max(1, visits),
        dollars + hours * worth.waiting_hour + lost * worth.lost_visit,
    )


def _waiting_hours(runs: Sequence[Run]) -> float:
    """Of a month, what all visits waited together."""
    return fmean(
        sum(length for _, length in run.waits) * MONTH / run.seconds / 3600 for run in runs
    )
