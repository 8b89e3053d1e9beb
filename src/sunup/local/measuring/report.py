"""All that was measured, as data: for the page, for JSON, and to compare with an earlier one."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sunup.local.errors import CommandError
from sunup.local.packaging.build import Part
from sunup.local.planning.statistics import percentile

from .imports import Import
from .memory import Measured, in_ms
from .profile import Profile
from .sandbox import Sample

FORMAT = 1
_OF_A_MEMORY = ("memory", "cold", "warm_p50", "peak_mb")
_OF_THE_PLACE = ("app", "path", "python", "machine")
# Seconds: less of a module's own code is not worth a word.
_NOTABLE = 0.02


@dataclass(frozen=True)
class Dear:
    """An import that costs, in milliseconds, and what would avoid it."""

    module: str
    saved_ms: float
    saved_processor_ms: float
    own_ms: float
    modules: int
    chain: tuple[str, ...]
    advice: str


@dataclass(frozen=True)
class Report:
    """`memories` are in ascending order. Sizes in bytes, times in milliseconds."""

    app: str
    path: str
    status: int
    python: str
    machine: str
    date: str
    starts: int
    requests: int
    shares: bool
    memories: list[Measured]
    recommended: int
    init_processor_ms: float
    zipped: int
    unpacked: int
    parts: list[Part]
    imports: list[Dear]
    # What the first request imports, in milliseconds of a whole processor.
    to_move: list[tuple[str, float]]
    # Work of INIT besides importing: (what, on the clock, of the processor), in milliseconds.
    work: list[tuple[str, float, float]]
    needs: Mapping[str, float]
    notes: list[str]

    def at(self, memory: int) -> Measured:
        """What was measured with so much memory."""
        return next(each for each in self.memories if each.memory == memory)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"format": FORMAT, **asdict(self)}


def dear(found: Sequence[Import], advice: Sequence[str]) -> list[Dear]:
    """Imports with what would avoid them."""
    return [
        Dear(
            each.module,
            in_ms(each.saved),
            in_ms(each.saved_processor),
            in_ms(each.own),
            each.modules,
            each.chain,
            words,
        )
        for each, words in zip(found, advice, strict=True)
    ]


def work_of(profile: Profile) -> list[tuple[str, float, float]]:
    """What INIT did besides importing, in order; and what modules of the app did by themselves."""
    every = list(profile.walk())
    nodes = [node for node in every if node.kind == "work" and node is not profile.main]
    nodes.sort(key=lambda node: node.begin)
    own = [node for node in every if node.kind == "app" and node.own >= _NOTABLE]
    return [(node.name, in_ms(node.length), in_ms(node.processor)) for node in nodes] + [
        (f"code of {node.name}", in_ms(node.own), in_ms(node.own_processor))
        for node in sorted(own, key=lambda node: -node.own)
    ]


def needs_of(samples: Sequence[Sample]) -> dict[str, float]:
    """What `sunup plan` wants to know of an app, in seconds: from starts with a whole processor."""
    warm = sorted(length for each in samples for length in each.warm)
    processor = statistics.median([each.processor[2] for each in samples])
    return {
        "init": round(statistics.median([each.init for each in samples]), 5),
        "processor": round(processor, 6),
        "first_processor": round(
            max(0.0, statistics.median([each.processor[1] for each in samples]) - processor), 6
        ),
        "queries": round(max(0.0, percentile(warm, 0.5) - processor), 6),
        "log_bytes": round(statistics.median([each.log_bytes for each in samples]), 1),
    }


def check(before: Mapping[str, Any]) -> None:
    """Raise `CommandError` for another file than a report, or one of another version."""
    if before.get("format") != FORMAT:
        raise CommandError(
            f"the earlier report has the format {before.get('format')!r}, not {FORMAT}",
            "Measure that version again, with this sunup.",
        )
    try:
        figures = [
            *(float(each[name]) for each in before["memories"] for name in _OF_A_MEMORY),
            float(before["init_processor_ms"]),
            float(before["zipped"]),
        ]
        known = all(isinstance(before[name], str) for name in _OF_THE_PLACE)
    except (KeyError, TypeError, ValueError):
        figures, known = [], False
    if not known or not figures or not all(map(math.isfinite, figures)):
        raise CommandError(
            "the earlier report is not what sunup measure --json writes",
            "Make one: sunup measure --json > before.json",
        )


def compared(now: Report, before: Mapping[str, Any]) -> list[tuple[str, str, float, float]]:
    """What differs from a report that was checked: (what, unit, before, now)."""
    earlier = {each["memory"]: each for each in before["memories"]}
    common = [each for each in now.memories if each.memory in earlier]
    rows: list[tuple[str, str, float, float]] = []
    for each in common:
        old, place = earlier[each.memory], f"{each.memory} MB"
        rows += [
            (f"cold response, {place}", "ms", float(old["cold"]), each.cold),
            (f"warm p50, {place}", "ms", float(old["warm_p50"]), each.warm_p50),
            (f"peak memory, {place}", "MB", float(old["peak_mb"]), each.peak_mb),
        ]
    return [
        *rows,
        ("INIT's processor time", "ms", float(before["init_processor_ms"]), now.init_processor_ms),
        ("package", "MB", float(before["zipped"]) / 1e6, now.zipped / 1e6),
    ]


def differing(now: Report, before: Mapping[str, Any]) -> list[str]:
    """Where the two are of different things: what a reader has to know."""
    return [
        f"the earlier report is of another {name}: {before[name]}, not {getattr(now, name)}"
        for name in _OF_THE_PLACE
        if before[name] != getattr(now, name)
    ]
