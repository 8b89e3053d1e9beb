"""Cold starts with a real database behind them: sunup against its peers.

Each sample is a fresh process in the emulator (real runtime client, TLS, tokens), frozen between
requests: INIT at the full processor, requests at the share of the memory setting. The peers take
turns, in an order that chance decides anew, so that what disturbs the machine disturbs all.

python benchmarks/cold_start.py [--rounds 9] [--memory 128 ...] [--only NAME ...] [--write FOLDER]
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

import peers
import report
from measuring import Sample, add_user, sample
from peers import Peer
from terminal import folder, positive, progress

from sunup.local.emulator import Emulator, EmulatorOptions
from sunup.local.emulator.limits import processor_share_available

MEMORY = (128, 256, 512, 1769, 3538)


def main() -> None:
    parser = command()
    arguments = parser.parse_args()
    wanted = arguments.only or [""]
    names = [name for name in peers.names() if any(part in name for part in wanted)]
    if not names:
        parser.error(f"--only: none of these has that in its name: {'; '.join(peers.names())}")
    if not processor_share_available():
        print("Processor shares need cgroups that this user may write: run as root.")
        sys.exit(1)
    migrations = peers.ROOT / "examples" / "users" / "migrations"
    with tempfile.TemporaryDirectory(prefix="sunup-bench-") as name:
        build = Path(name)
        with Emulator(None, EmulatorOptions(migrations=migrations)) as aws:
            progress("building the packages")
            trusted = peers.roots(build, aws.aurora.certificates.root)
            every = peers.build(build, trusted, names)
            add_user(aws)
            found = measured(aws, every, arguments)
    results = report.Results(arguments.rounds, arguments.warm, found, {p.name: p for p in every})
    print(report.text(results))
    if arguments.write:
        report.write(results, arguments.write)


def command() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=positive, default=9)
    parser.add_argument("--warm", type=positive, default=60, help="warm requests of each process")
    parser.add_argument("--memory", type=positive, nargs="+", default=MEMORY, help="in MB")
    parser.add_argument("--only", nargs="+", help="peers whose name has one of these in it")
    parser.add_argument("--write", type=folder, help="a folder for the table and the plot")
    return parser


def measured(
    aws: Emulator, every: list[Peer], arguments: argparse.Namespace
) -> dict[int, dict[str, list[Sample]]]:
    found: dict[int, dict[str, list[Sample]]] = {}
    for memory in arguments.memory:
        samples: dict[str, list[Sample]] = {peer.name: [] for peer in every}
        for number in range(arguments.rounds + 1):
            # In another order each time: what one leaves behind must not always meet the same other.
            for peer in random.sample(every, len(every)):
                progress(f"{memory} MB, round {number} of {arguments.rounds}: {peer.name}")
                # The first round brings the files into memory, and counts for nothing.
                one = aws.run(sample(aws, peer, memory, arguments.warm if number else 1))
                if number:
                    samples[peer.name].append(one)
        found[memory] = samples
    progress("")
    return found


if __name__ == "__main__":
    main()
