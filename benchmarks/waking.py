"""Waking: how soon a response follows the wake, and how long a lone request keeps Aurora awake.

The database of the emulator sleeps, resumes after a random time, and holds clients at one stage of
connecting meanwhile, as Aurora does. A wake's cost is the time from "can accept" to the response,
less what the same request takes on a new connection to a database that is awake.

python benchmarks/waking.py [--rounds 5] [--write FOLDER]
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import peers
import report
import targets
from measuring import add_user, answered, function
from peers import Peer
from targets import Target
from terminal import folder, machine, positive, progress

from sunup.local.emulator import AuroraOptions, Emulator, EmulatorOptions
from sunup.local.emulator.instance import Instance
from sunup.local.emulator.options import HangAt

STAGES: tuple[HangAt, ...] = ("tcp", "tls", "auth")
COMPARED = (peers.SUNUP, peers.STARLETTE, peers.NODE)
TARGET = 150.0  # ms above a plain connect

# Aurora pauses after 5 minutes and sunup's sessions end after one; a frozen instance is reaped
# after 10 or so. Here a minute is a second.
PAUSE_AFTER, IDLE_SESSION, REAPED = 5.0, 1.0, 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--write", type=folder, help="a folder for the tables")
    arguments = parser.parse_args()
    migrations = peers.ROOT / "examples" / "users" / "migrations"
    quick = AuroraOptions(pause_after=PAUSE_AFTER)
    options = EmulatorOptions(migrations=migrations, aurora=quick)
    with tempfile.TemporaryDirectory(prefix="sunup-bench-") as name, Emulator(None, options) as aws:
        trusted = peers.roots(Path(name), aws.aurora.certificates.root)
        progress("building the packages")
        names = [name for name in peers.names() if name in COMPARED]
        every = {peer.name: peer for peer in peers.build(Path(name), trusted, names)}
        add_user(aws)
        billed = [(peer, f"{aws.run(awake_seconds(aws, every[peer])):.1f}") for peer in every]
        woken = aws.run(all_wakes(aws, every[peers.SUNUP], arguments.rounds))
    progress("")
    text = (
        "### From the wake to the response\n\n"
        + report.table(
            ("memory, client held at", "plain ms", "median above ms", "most above ms", "at most"),
            woken,
        )
        + "\n\n### Seconds awake for one lone request\n\n"
        + report.table(("", "awake s"), billed)
    )
    print(text)
    if arguments.write:
        write(text, arguments.rounds, arguments.write)
        worst = [
            Target(f"wake to response, {row[0]}: most above, ms", TARGET, float(row[3]))
            for row in woken
        ]
        targets.note(arguments.write, "waking", worst)


async def all_wakes(aws: Emulator, peer: Peer, rounds: int) -> list[tuple[str, ...]]:
    found = []
    # A frozen instance's connection must outlive the rounds: what is measured is the wake.
    settings = aws.aurora.options
    for memory in (128, 1769):
        plain = statistics.median(
            [await on_new_connection(aws, peer, memory) for _ in range(rounds)]
        )
        for stage in (*STAGES, "refused"):
            above = []
            for number in range(rounds):
                progress(f"{memory} MB, held at {stage}: wake {number + 1} of {rounds}")
                seconds = random.uniform(0.5, 4)
                if stage != "refused":
                    aws.aurora.change(hang_at=stage, resume_seconds=seconds)
                above.append(await wake(aws, peer, memory, seconds, stage == "refused") - plain)
            name = f"{memory} MB, {stage}"
            figures = (plain, statistics.median(above), max(above), TARGET)
            found.append((name, *(f"{each:.0f}" for each in figures)))
    aws.aurora.change(hang_at=settings.hang_at, resume_seconds=settings.resume_seconds)
    return found


async def on_new_connection(aws: Emulator, peer: Peer, memory: int) -> float:
    """Milliseconds of a request whose connection is gone, while the database is awake."""
    async with started(aws, peer, memory) as instance:
        await answered(instance)
        await aws.aurora.faults.drop(graceful=True)
        return await answered(instance) * 1000


async def wake(aws: Emulator, peer: Peer, memory: int, seconds: float, refused: bool) -> float:  # noqa: FBT001
    """Milliseconds from the moment at which the database accepts until the response."""
    async with started(aws, peer, memory) as instance:
        await answered(instance)
        if refused:
            await aws.aurora.faults.drop(graceful=True)
            await aws.aurora.faults.refuse(seconds)
            began = time.perf_counter()
            await answered(instance)
            return (time.perf_counter() - began - seconds) * 1000
        await aws.aurora.pause()
        await answered(instance)
        ended = time.time()
    moments = [
        each["at"]
        for each in aws.timeline.events
        if each["kind"] == "aurora" and each["state"] == "awake"
    ]
    return (ended - moments[-1]) * 1000


@asynccontextmanager
async def started(aws: Emulator, peer: Peer, memory: int) -> AsyncIterator[Instance]:
    """An instance for the length of a block."""
    instance = Instance(function(aws, peer, memory), lambda line: None)
    await instance.start(limit=30)
    try:
        yield instance
    finally:
        await instance.stop()


async def awake_seconds(aws: Emulator, peer: Peer) -> float:
    """One request to a sleeping database; the instance is frozen after it, and reaped later."""
    progress(f"seconds awake: {peer.name}")
    usual = aws.aurora.options.resume_seconds
    aws.aurora.change(resume_seconds=0.5)
    await aws.aurora.pause()
    ours = replace(
        peer, environ={**peer.environ, "DB_IDLE_SESSION_TIMEOUT": str(int(IDLE_SESSION))}
    )
    before = aws.aurora.sleep.awake_seconds
    async with started(aws, ours, 1769) as instance:
        await answered(instance)
        await asyncio.sleep(REAPED)
    while aws.aurora.sleep.state != "asleep":  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    aws.aurora.change(resume_seconds=usual)
    return aws.aurora.sleep.awake_seconds - before


def write(text: str, rounds: int, target: Path) -> None:
    (target / "waking.md").write_text(
        f"""# Waking, measured

Written by `make bench` (`benchmarks/waking.py`): do not edit. {machine()}.

A warm users app, whose connection is gone, is called while the emulated Aurora sleeps; {rounds} wakes each, after random
0.5 to 4 s. *plain* is the same request on a new connection to a database that is awake; *above* is the time from the
moment at which the database accepts to the response, less *plain*. *refused* is a port that is closed for that time.

Seconds awake: one request to a sleeping database; after it the instance is frozen. Time is scaled, a minute to a second:
Aurora pauses {PAUSE_AFTER:.0f} s after its last connection, sunup's sessions end after {IDLE_SESSION:.0f} s of idleness on the server, and the frozen
instance is reaped after {REAPED:.0f} s, until which the others' connections keep the database awake.

{text}
"""
    )


if __name__ == "__main__":
    main()
