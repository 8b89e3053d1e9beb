"""What was measured: as a table, as ratios against the targets, and as a picture."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import peers
import picture
import targets as table_of_targets
from measuring import Sample, percentile
from peers import Peer
from targets import Target
from terminal import machine

FULL = 1769  # From this memory on a function has a whole processor.


@dataclass(frozen=True)
class Results:
    rounds: int
    warm: int
    samples: dict[int, dict[str, list[Sample]]]
    peers: dict[str, Peer]

    def median(self, memory: int, name: str, what: Callable[[Sample], float]) -> float:
        return statistics.median(map(what, self.samples[memory][name]))

    def requests(self, memory: int, name: str, share: float) -> float:
        """A percentile of all warm requests of all processes, in milliseconds."""
        every = [took for one in self.samples[memory][name] for took in one.warm]
        return percentile(every, share)


COLUMNS = (
    "INIT ms",
    "first request ms",
    "cold response ms",
    "warm p50 ms",
    "warm p99 ms",
    "warm processor ms",
    "peak MB",
)


def rows(results: Results, memory: int) -> Iterator[tuple[str, ...]]:
    for name in results.samples[memory]:
        figures = (
            f"{results.median(memory, name, lambda s: s.init):.0f}",
            f"{results.median(memory, name, lambda s: s.first):.0f}",
            f"{results.median(memory, name, lambda s: s.cold):.0f}",
            f"{results.requests(memory, name, 0.5):.1f}",
            f"{results.requests(memory, name, 0.99):.1f}",
            f"{results.median(memory, name, lambda s: s.cpu):.2f}",
            f"{results.median(memory, name, lambda s: s.peak_mb):.0f}",
        )
        yield (name, *figures)


def targets(results: Results, ours: str) -> list[Target]:
    """Ratios of one of our apps in this run, those for which both sides were measured."""
    memory = min(results.samples)
    names = results.samples[memory]
    found = []

    def ratio(figure: str, limit: float, peer: str, what: Callable[[Sample], float]) -> None:
        if peer in names:
            value = results.median(memory, ours, what) / results.median(memory, peer, what)
            found.append(Target(figure, limit, value))

    for limit, peer in (
        (0.10, peers.NODE),
        (0.15, peers.BUNDLED),
        (0.80, peers.CONNECTED),
        (0.12, peers.FASTAPI),
        (1.25, peers.FLOOR),
    ):
        ratio(f"cold response / {peer}", limit, peer, lambda s: s.cold)
    ratio(f"INIT / {peers.NODE}", 0.30, peers.NODE, lambda s: s.init)
    ratio(f"processor time, warm / {peers.NODE}", 0.60, peers.NODE, lambda s: s.cpu)
    ratio(f"peak memory / {peers.NODE}", 0.45, peers.NODE, lambda s: s.peak_mb)
    package = results.peers[ours]
    found.append(Target("zip in MB", 5, package.zipped / 1e6))
    found.append(Target("unpacked in MB", 16, package.unpacked / 1e6))
    return found


def judged(results: Results) -> str:
    """The targets as a table with a column for each of our apps."""
    apps = [name for name in (peers.SUNUP, peers.SUNUP_ASGI) if name in results.peers]
    columns = [targets(results, name) for name in apps]
    rows = [
        (
            each[0].figure,
            f"{each[0].limit:.2f}",
            *(f"{one.value:.2f}{', met' if one.met else ''}" for one in each),
        )
        for each in zip(*columns, strict=True)
    ]
    return table(("ratio or size", "at most", *apps), rows) if apps else ""


def table(head: tuple[str, ...], body: list[tuple[str, ...]]) -> str:
    """A Markdown table, which reads well in a terminal too."""
    widths = [max(len(row[at]) for row in (head, *body)) for at in range(len(head))]

    def line(row: tuple[str, ...]) -> str:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        return f"| {' | '.join(cells)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(head), f"| {' | '.join(rule)} |", *map(line, body)])


def text(results: Results) -> str:
    parts = []
    for memory in results.samples:
        full = ": a whole processor" if memory == FULL else ""
        parts += [f"### {memory} MB{full}", table(("", *COLUMNS), list(rows(results, memory)))]
    sizes = [
        (name, f"{peer.zipped / 1e6:.1f}", f"{peer.unpacked / 1e6:.1f}")
        for name, peer in results.peers.items()
    ]
    parts += ["### Packages", table(("", "zip MB", "unpacked MB"), sizes)]
    if found := judged(results):
        parts += [f"### sunup against the others, at {min(results.samples)} MB", found]
    return "\n\n".join(parts)


def of_fastapi(results: Results) -> list[Target]:
    """The same app with the same libraries, on sunup and as it is usually built."""
    memory = min(results.samples)
    if not {peers.SUNUP_FASTAPI, peers.FASTAPI} <= results.samples[memory].keys():
        return []
    theirs = results.median(memory, peers.FASTAPI, lambda s: s.cold)
    return [
        Target(
            f"{name}: cold response / {peers.FASTAPI}",
            0.35,
            results.median(memory, name, lambda s: s.cold) / theirs,
        )
        for name in (peers.SUNUP_FASTAPI, peers.SUNUP_SNAPSTART)
        if name in results.samples[memory]
    ]


def write(results: Results, folder: Path) -> None:
    """`cold-start.md` and `cold-start.svg`."""
    found = of_fastapi(results)
    for name in (peers.SUNUP, peers.SUNUP_ASGI):
        if name in results.peers:
            found += [
                Target(f"{name}: {each.figure}", each.limit, each.value)
                for each in targets(results, name)
            ]
    table_of_targets.note(folder, "cold-start", found)
    bars = [
        (
            name,
            results.median(memory, name, lambda s: s.init),
            results.median(memory, name, lambda s: s.cold),
        )
        for memory in (min(results.samples),)
        for name in results.samples[memory]
    ]
    title = f"Process start to first response with a query, {min(results.samples)} MB"
    (folder / "cold-start.svg").write_text(picture.bars(title, bars))
    (folder / "cold-start.md").write_text(
        f"""# Cold starts, measured

Written by `make bench` (`benchmarks/cold_start.py`): do not edit. {machine()}.

Medians of {results.rounds} fresh processes each, which took turns, and {results.warm} warm requests in each process,
through the emulator: the real runtime client, TLS, tokens; INIT at the full processor, requests at the share of the memory
setting. Files are in the page cache. Node runs with a small Runtime API client in JavaScript
(`benchmarks/peers/node/runtime.mjs`), which is lighter than Lambda's own. What differs on Lambda: the sandbox, the
distance to the database, and the disk. With SnapStart INIT has passed when the release was made: the first request
begins with the restore's hooks and connects; what restoring itself takes is Lambda's, and not in it.

![Bars of INIT and the first request for each app](cold-start.svg)

{text(results)}
"""
    )
