"""Percentiles and ranges."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Of several months: the median, and the range of nine in ten."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        ordered = sorted(values)
        return cls(percentile(ordered, 0.5), percentile(ordered, 0.05), percentile(ordered, 0.95))


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of values in order, between the neighbours; 0 of none."""
    if not ordered:
        return 0.0
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
