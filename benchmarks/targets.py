"""All targets in one table: each benchmark notes its own with `--write`, and which are met.

python benchmarks/targets.py --write docs/benchmarks
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from terminal import folder, machine

KEPT = "targets.json"


@dataclass(frozen=True)
class Target:
    """A figure and its limit: at most, or at least. Both are as they are written in the table."""

    figure: str
    limit: float
    value: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def note(place: Path, benchmark: str, found: Iterable[Target]) -> None:
    """Keep what a benchmark has found, in place of what it found before, and write the table."""
    kept = read(place)
    kept[benchmark] = {
        "machine": machine().rsplit(", ", 1)[0],
        "date": datetime.now(UTC).date().isoformat(),
        "targets": [asdict(each) for each in found],
    }
    text = json.dumps(kept, indent=1, sort_keys=True) + "\n"
    (place / KEPT).write_text(text, encoding="utf-8")
    (place / "targets.md").write_text(page(kept), encoding="utf-8")


def read(place: Path) -> dict[str, dict[str, object]]:
    path = place / KEPT
    content: dict[str, dict[str, object]] = {}
    if path.is_file():
        content = json.loads(path.read_text(encoding="utf-8"))
    return content


def page(kept: dict[str, dict[str, object]]) -> str:
    lines = [
        "# Targets",
        "",
        "What `make bench` measures against a limit: ratios within one run, and sizes. Each row is the last run of its",
        "benchmark with `--write`; the machines are virtual and shared.",
        "",
        "| benchmark | figure | target | measured | |",
        "|---|---|---|---|---|",
    ]
    count = met = 0
    for benchmark, found in sorted(kept.items()):
        for content in found["targets"]:  # type: ignore[attr-defined]  # as `note` writes it
            each = Target(**content)
            count += 1
            met += each.met
            bound = "at least" if each.at_least else "at most"
            said = "met" if each.met else "**missed**"
            lines.append(
                f"| [{benchmark}]({benchmark}.md) | {each.figure} | {bound} {each.limit:g} | "
                f"{each.value:.2f} | {said} |"
            )
    lines += ["", f"{met} of {count} are met.", ""]
    runs: dict[str, list[str]] = {}
    for benchmark, found in sorted(kept.items()):
        runs.setdefault(f"{found['machine']}, {found['date']}", []).append(benchmark)
    lines += [f"- {place}: {', '.join(names)}" for place, names in runs.items()]
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=folder, required=True, help="the benchmarks' folder")
    place = parser.parse_args().write
    text = page(read(place))
    (place / "targets.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
