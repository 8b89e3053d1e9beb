"""The same package in front of each engine: what differs in sunup costs next to nothing.

One run, each engine emulated, processes in turn, in an order that chance decides anew. The
processor time is the function's own; the clock has the emulator's front in it, which reads
Aurora DSQL's messages one by one: so a plain connection through the same front stands beside it.

python benchmarks/engines.py [--rounds 15] [--warm 100] [--write FOLDER]
"""

import argparse
import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peers
import psycopg
import targets
from measuring import QUERY, TIMEOUT, answered, function
from peers import Peer
from targets import Target
from terminal import folder, machine, positive, progress

from sunup.connecting.credentials import CredentialSource
from sunup.local.emulator import Emulator, EmulatorOptions
from sunup.local.emulator.instance import Instance
from sunup.local.measuring.sandbox import processor_seconds
from sunup.psycopg.attempt import connect_parameters
from sunup.settings import Settings

ENGINES = ("aurora", "rds-proxy", "dsql", "neon")
TITLES = {
    "aurora": "Aurora",
    "rds-proxy": "RDS Proxy",
    "dsql": "Aurora DSQL",
    "neon": "Neon",
}
HEAD = (
    *("engine", "cold, processor ms", "of Aurora's", "warm, processor ms", "of Aurora's"),
    *("cold, ms", "warm, ms", "plain connection, ms", "plain query, ms"),
)
MEMORY = 1769
# Of the processor time, how much more than Aurora's another engine may take.
LIMIT = 1.05


@dataclass
class Measured:
    """Milliseconds of the processor and of the clock; a plain connection and query beside."""

    cold_cpu: list[float] = field(default_factory=list)
    warm_cpu: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    plain_connect: list[float] = field(default_factory=list)
    plain_query: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=positive, default=15)
    parser.add_argument("--warm", type=positive, default=100, help="warm requests of each process")
    parser.add_argument("--write", type=folder, help="a folder for the table")
    arguments = parser.parse_args()
    migrations = peers.ROOT / "examples" / "users" / "migrations"
    with tempfile.TemporaryDirectory(prefix="sunup-bench-") as name, ExitStack() as stack:
        build = Path(name)
        started = {}
        for engine in ENGINES:
            progress(f"starting {TITLES[engine]}")
            made: Any = {"engine": engine, "migrations": migrations, "keep": build / "root"}
            started[engine] = stack.enter_context(Emulator(None, EmulatorOptions(**made)))
        progress("building the package")
        trusted = peers.roots(build, build / "root" / "root.pem")
        (peer,) = peers.build(build, trusted, [peers.SUNUP])
        for aws in started.values():
            _add_user(aws)
        found = {engine: Measured() for engine in ENGINES}
        for number in range(arguments.rounds + 1):
            for engine in random.sample(ENGINES, len(ENGINES)):
                progress(f"round {number} of {arguments.rounds}: {TITLES[engine]}")
                # The first round brings the files into memory, and counts for nothing.
                into = found[engine] if number else Measured()
                aws = started[engine]
                aws.run(_sample(aws, peer, arguments.warm if number else 5, into))
                _plain(aws, into)
        progress("")
    text = _report(found, arguments)
    print(text)
    if arguments.write:
        (arguments.write / "engines.md").write_text(text)


def _settings(aws: Emulator) -> Settings:
    return Settings.from_environment(aws.environ)


def _connected(aws: Emulator) -> psycopg.Connection[Any]:
    parameters = connect_parameters(_settings(aws), CredentialSource(aws.environ))
    return psycopg.connect(**parameters, autocommit=True)


def _add_user(aws: Emulator) -> None:
    with _connected(aws) as connection:
        connection.execute(
            "insert into users (name, email) values ('Grace Hopper', 'grace@example.com')"
        )


async def _sample(aws: Emulator, peer: Peer, warm: int, into: Measured) -> None:
    lines: list[str] = []
    instance = Instance(function(aws, peer, MEMORY), lines.append)
    try:
        began = time.perf_counter()
        await instance.start(limit=TIMEOUT)
        await answered(instance)
        into.cold.append((time.perf_counter() - began) * 1000)
        before = processor_seconds(instance.pid)
        into.cold_cpu.append(before * 1000)
        took = [await answered(instance) * 1000 for _ in range(warm)]
        into.warm.append(statistics.median(took))
        into.warm_cpu.append((processor_seconds(instance.pid) - before) * 1000 / warm)
    except Exception as error:
        log = "\n".join(lines[-20:])
        raise SystemExit(f"{aws.options.engine}: {error!r} for {QUERY}\n{log}") from None
    finally:
        await instance.stop()


def _plain(aws: Emulator, into: Measured) -> None:
    began = time.perf_counter()
    with _connected(aws) as connection:
        connection.execute("select 1")
        into.plain_connect.append((time.perf_counter() - began) * 1000)
        times = []
        for _ in range(50):
            began = time.perf_counter()
            connection.execute("select name from users where id = 1", prepare=False)
            times.append((time.perf_counter() - began) * 1000)
        into.plain_query.append(statistics.median(times))


def _report(found: dict[str, Measured], arguments: argparse.Namespace) -> str:
    def median(engine: str, what: str) -> float:
        return statistics.median(getattr(found[engine], what))

    lines = [
        "# The same package in front of each engine",
        "",
        f"`python benchmarks/engines.py`: {arguments.rounds} fresh processes of the users API on each",
        f"emulated engine, {MEMORY} MB, {arguments.warm} warm requests of each process; medians.",
        "Processor time is the function's own (all threads, schedstat). The clock has the emulator's",
        "front in it; the last two columns are a plain psycopg connection through the same front.",
        f"{machine()}.",
        "",
        f"| {' | '.join(HEAD)} |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    worst = 0.0
    for engine in ENGINES:
        ratios = [
            median(engine, what) / median("aurora", what) for what in ("cold_cpu", "warm_cpu")
        ]
        worst = max(worst, *ratios)
        lines.append(
            f"| {TITLES[engine]} | {median(engine, 'cold_cpu'):.0f} | {ratios[0]:.2f} |"
            f" {median(engine, 'warm_cpu'):.2f} | {ratios[1]:.2f} | {median(engine, 'cold'):.0f} |"
            f" {median(engine, 'warm'):.1f} | {median(engine, 'plain_connect'):.1f} |"
            f" {median(engine, 'plain_query'):.2f} |"
        )
    if arguments.write is not None:
        kinds = {"cold": "cold_cpu", "warm": "warm_cpu"}
        of_targets = [
            Target(
                f"{TITLES[engine]}: processor time, {name} / Aurora's",
                LIMIT,
                median(engine, what) / median("aurora", what),
            )
            for engine in ENGINES
            if engine != "aurora"
            for name, what in kinds.items()
        ]
        targets.note(arguments.write, "engines", of_targets)
    met = "met" if worst <= LIMIT else "**missed**"
    lines += [
        "",
        f"Target: at most {LIMIT:.2f} of Aurora's processor time. {met}: {worst:.2f}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
