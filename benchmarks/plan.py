"""`sunup plan` against the emulator: the same requests, simulated, and through real processes.

Time is scaled: Aurora pauses after seconds, instances are ended after seconds. Each pattern has an
emulated AWS of its own, and all run side by side.

python benchmarks/plan.py [--write FOLDER] [--seconds 300] [--seed 1]
"""

import argparse
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx2
import report
import targets
from targets import Target
from terminal import folder, machine, positive, progress

from sunup.local.emulator import AuroraOptions, Emulator, EmulatorOptions, FunctionOptions
from sunup.local.emulator.options import GatewayOptions
from sunup.local.planning import App, Arrivals, Range, Run, Setup, Traffic, simulate
from sunup.local.planning.statistics import percentile
from sunup.local.planning.traffic import DAY, WEEK, Burst, Hours

APP = Path(__file__).resolve().parents[1] / "examples" / "users"

# What the emulator is told, and the simulation alike.
SETUP = Setup(
    app=App(init=0.35),  # with a new process, which Lambda does not count
    pause_after=6.0,
    idle_session_timeout=1.2,
    resume=Range.exactly(1.5),
    deep_resume=Range.exactly(1.5),
    instance_idle=Range.exactly(12.0),
    concurrency=4,
    # Processes that start at once on two processors take half a second.
    noticed=0.9,
)
# Where the database is not awake before the deadline: two seconds here.
SLOW = replace(
    SETUP, gateway_timeout=3.0, resume=Range.exactly(4.0), deep_resume=Range.exactly(4.0)
)


@dataclass(frozen=True)
class Pattern:
    """`traffic` is by the week: `scale` weeks' worth of it comes."""

    name: str
    setup: Setup
    traffic: Traffic


def patterns(seconds: float) -> list[Pattern]:
    """None of them was used to find anything: what is simulated is what the emulator does."""
    many = WEEK / 11
    return [
        Pattern("now and then, alone", SETUP, Traffic(weekly=many)),
        Pattern(
            "bursts, and pages of three requests",
            SETUP,
            Traffic(
                weekly=WEEK / 25,
                requests=3,
                pause=1.5,
                bursts=tuple(
                    Burst(visits=6, at=at / 3600, seconds=2.0) for at in range(20, int(seconds), 55)
                ),
            ),
        ),
        Pattern(
            "a monitor each 12 s, visits in between",
            SETUP,
            Traffic(weekly=WEEK / 10, ping=12.0, hours=Hours()),
        ),
        Pattern("a wake that takes longer than the gateway waits", SLOW, Traffic(weekly=WEEK / 17)),
    ]


@dataclass
class Seen:
    """What clients and the database saw."""

    awake: float = 0.0
    waits: list[float] = field(default_factory=list)
    refused: int = 0
    visits: int = 0


def opened(setup: Setup) -> Emulator:
    """An emulated AWS with these times."""
    assert setup.pause_after is not None
    options = EmulatorOptions(
        environ={
            "DB_IDLE_SESSION_TIMEOUT": str(setup.idle_session_timeout),
            "GATEWAY_TIMEOUT": str(setup.gateway_timeout),
        },
        aurora=AuroraOptions(
            pause_after=setup.pause_after,
            resume_seconds=setup.resume.low,
            authentication_timeout=setup.authentication_timeout,
        ),
        functions=FunctionOptions(
            concurrency=setup.concurrency, instance_idle=setup.instance_idle.low
        ),
        gateway=GatewayOptions(timeout=setup.gateway_timeout),
    )
    return Emulator(APP, options)


def emulated(aws: Emulator, setup: Setup, arrivals: Arrivals) -> Seen:
    """Send the requests through the emulator."""
    seen = Seen()
    with ThreadPoolExecutor(50) as pool:
        aws.do("aurora/pause")
        before = aws.state()["aurora"]["awake_seconds"]
        began = time.monotonic()
        for at, kind in zip(arrivals.times, arrivals.kinds, strict=True):
            time.sleep(max(0.0, began + at - time.monotonic()))
            pool.submit(_come, aws.url, setup, seen, person=kind == 0)
        time.sleep(max(0.0, began + arrivals.seconds - time.monotonic()))
        seen.awake = aws.state()["aurora"]["awake_seconds"] - before
    return seen


_lock = threading.Lock()


def _come(url: str, setup: Setup, seen: Seen, *, person: bool) -> None:
    began = time.monotonic()
    for attempt in range(8):
        answer = httpx2.get(f"{url}/users", timeout=30)
        if answer.status_code == 200 or not person:
            break
        if not attempt:
            with _lock:
                seen.refused += 1
        time.sleep(float(answer.headers.get("retry-after", 1)))
    took = time.monotonic() - began
    with _lock:
        seen.visits += person
        if person and took >= setup.noticed:
            seen.waits.append(took)


def compare(wanted: list[Pattern], seconds: float, seed: int) -> list[tuple[Run, Seen]]:
    """The same requests both ways."""
    arrivals = [each.traffic.arrivals(random.Random(seed), 0.0, seconds) for each in wanted]
    setups = [each.setup for each in wanted]
    runs = [
        simulate(setup, each, random.Random(seed))
        for setup, each in zip(setups, arrivals, strict=True)
    ]
    with ExitStack() as stack, ThreadPoolExecutor(len(wanted)) as pool:
        # One after the other: Alembic migrates one database at a time.
        opens = [stack.enter_context(opened(each)) for each in setups]
        return list(zip(runs, pool.map(emulated, opens, setups, arrivals), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=folder, help="a folder for the table")
    parser.add_argument("--seconds", type=positive, default=300)
    parser.add_argument("--seed", type=positive, default=1)
    arguments = parser.parse_args()
    wanted = patterns(arguments.seconds)
    progress(f"{len(wanted)} emulated AWS for {arguments.seconds} s")
    found = compare(wanted, arguments.seconds, arguments.seed)
    progress("")
    rows = [
        row(pattern.name, run, seen) for pattern, (run, seen) in zip(wanted, found, strict=True)
    ]
    text = report.table(
        (
            "",
            "visits",
            "awake s: emulated",
            "simulated",
            "",
            "waits: emulated",
            "simulated",
            "wait p50: emulated",
            "simulated",
            "first refused: emulated",
            "simulated",
        ),
        rows,
    )
    text += f"\n\n{lone(arguments.seed)}\n\n{quick()}"
    print(text)
    if arguments.write is not None:
        page = f"# `sunup plan`, against the emulator\n\n{machine()}\n\n{text}\n\n{EXPLAINED}\n"
        (arguments.write / "plan.md").write_text(page, encoding="utf-8")
        targets.note(arguments.write, "plan", judged(wanted, found))


EXPLAINED = """`python benchmarks/plan.py`: the same requests once simulated, once through the emulator with its real processes. Time is
scaled: the database pauses after 6 s, sessions end after 1.2 s, a resume takes 1.5 s, and 4 s in the last row, where the gateway
gives up after 3 s. At most 5 % of the awake time and 10 % of the waits may differ."""


def judged(wanted: list[Pattern], found: list[tuple[Run, Seen]]) -> list[Target]:
    """How far the two are apart; the waits of all patterns together, since each has few."""
    awake = [
        Target(f"{each.name}: awake time, differs by %", 5, apart(run.awake_seconds, seen.awake))
        for each, (run, seen) in zip(wanted, found, strict=True)
    ]
    simulated = sum(len(run.waits) for run, _ in found)
    emulated = sum(len(seen.waits) for _, seen in found)
    refused = sum(run.refused for run, _ in found), sum(seen.refused for _, seen in found)
    return [
        *awake,
        Target("requests that wait, differ by %", 10, apart(simulated, emulated)),
        Target("requests that are refused at first, differ by %", 10, apart(*refused)),
        Target("a month of 1,000 visits a day, s", 1, quickest()),
    ]


def apart(simulated: float, emulated: float) -> float:
    """In percent."""
    return abs(simulated / emulated - 1) * 100


def row(name: str, run: Run, seen: Seen) -> tuple[str, ...]:
    waits = sorted(length for _, length in run.waits)
    return (
        name,
        str(seen.visits),
        f"{seen.awake:.1f}",
        f"{run.awake_seconds:.1f}",
        f"{run.awake_seconds / seen.awake - 1:+.1%}",
        str(len(seen.waits)),
        str(len(waits)),
        f"{percentile(sorted(seen.waits), 0.5):.2f}",
        f"{percentile(waits, 0.5):.2f}",
        str(seen.refused),
        str(run.refused),
    )


def lone(seed: int) -> str:
    """One request alone, beside the formula."""
    setup = replace(Setup(), resume=Range.exactly(15), acu=Range.exactly(0.5))
    run = simulate(setup, Arrivals([DAY / 3], [0], DAY), random.Random(seed))
    formula = 15 + 60 + 300
    return (
        f"One request alone keeps it awake for {run.awake_seconds:.1f} s; resume + session + pause "
        f"= 15 + 60 + 300 = {formula} s."
    )


def quick() -> str:
    return f"A month of 1,000 visits a day is simulated in {quickest():.2f} s."


def quickest() -> float:
    """Seconds that a month takes."""
    chance = random.Random(1)
    began = time.perf_counter()
    arrivals = Traffic(weekly=7000).arrivals(chance, 0.0, 30 * DAY)
    simulate(Setup(), arrivals, chance)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
