"""What was measured, as text."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from measuring import Sample
from peers import Peer


@dataclass(frozen=True)
class Results:
    rounds: int
    warm: int
    samples: dict[int, dict[str, list[Sample]]]
    peers: dict[str, Peer]

    def median(self, memory: int, name: str, what: Callable[[Sample], float]) -> float:
        return statistics.median(map(what, self.samples[memory][name]))


def text(results: Results) -> str:
    lines = []
    for memory, samples in results.samples.items():
        lines.append(f"{memory} MB")
        for name in samples:
            f = lambda what: results.median(memory, name, what)
            lines.append(f"  {name:<36} INIT {f(lambda s: s.init):6.0f} first {f(lambda s: s.first):6.0f} ({f(lambda s: s.first_cpu):6.1f} cpu) cold {f(lambda s: s.cold):6.0f} p50 {f(lambda s: s.p50):6.1f} p99 {f(lambda s: s.p99):6.1f} cpu {f(lambda s: s.cpu):6.2f} MB {f(lambda s: s.peak_mb):5.0f} zip {results.peers[name].zipped/1e6:.1f} {results.peers[name].unpacked/1e6:.1f}")
    return "\n".join(lines)


def write(results: Results, folder: Path) -> None:
    raise NotImplementedError
