"""How much memory is best."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from sunup.local.planning import Prices
from sunup.local.planning.statistics import percentile

from .sandbox import Sample

# Of what the process used at most, the sandbox has to have more.
_ROOM = 1.25
# Of the price: more speed for as good as nothing is taken.
_AS_GOOD_AS = 1.10
# Of the requests: cold starts, in the price of a million.
COLD_SHARE = 0.01
_MILLION = 1_000_000


@dataclass(frozen=True)
class Measured:
    """Of one memory setting. Times in milliseconds, medians of the starts; memory in MB.

    `dollars` is Lambda's price of a million requests, one in a hundred of them cold, the free part
    left out.
    """

    memory: int
    init: float
    first: float
    cold: float
    warm_p50: float
    warm_p95: float
    warm_p99: float
    warm_processor: float
    peak_mb: float
    dollars: float


def measured(memory: int, samples: Sequence[Sample], prices: Prices) -> Measured:
    """Several starts with the same memory."""
    init = statistics.median([each.init for each in samples])
    first = statistics.median([each.first for each in samples])
    cold = statistics.median([each.init + each.first for each in samples])
    warm = sorted(length for each in samples for length in each.warm)
    mean = sum(warm) / len(warm)
    seconds = (1 - COLD_SHARE) * mean + COLD_SHARE * (cold + mean)
    dollars = (
        prices.lambda_million_requests
        + _MILLION * seconds * memory / 1024 * prices.lambda_gb_second
    )
    return Measured(
        memory,
        init=in_ms(init),
        first=in_ms(first),
        cold=in_ms(cold),
        warm_p50=in_ms(percentile(warm, 0.5)),
        warm_p95=in_ms(percentile(warm, 0.95)),
        warm_p99=in_ms(percentile(warm, 0.99)),
        warm_processor=in_ms(statistics.median([each.processor[2] for each in samples])),
        peak_mb=round(max(each.peak_mb for each in samples), 1),
        dollars=round(dollars, 3),
    )


def recommended(found: Sequence[Measured]) -> Measured:
    """Of those with room for the process: the fastest that costs as good as the cheapest."""
    fitting = [each for each in found if each.memory >= each.peak_mb * _ROOM] or [
        max(found, key=lambda each: each.memory)
    ]
    least = min(each.dollars for each in fitting)
    return max(
        (each for each in fitting if each.dollars <= least * _AS_GOOD_AS),
        key=lambda each: each.memory,
    )


def in_ms(seconds: float) -> float:
    """Milliseconds, as a report has them."""
    return round(seconds * 1000, 2)
