"""`python -m tests.receipts.killing`: send POSTs, kill, and say what broke, with its seed."""

import argparse
import logging
import sys
import time
from collections import Counter

from . import __doc__ as about
from .drivers import DRIVERS
from .faults import OF_SERVER
from .invariants import Broken
from .world import IMPLEMENTATIONS, Options, World, in_batches, world

BATCH = 250
NAIVE_BATCH = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.receipts.killing", description=about)
    parser.add_argument("--implementation", choices=IMPLEMENTATIONS, default="receipts")
    parser.add_argument("--posts", type=int, default=200, help="logical POSTs, at most")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--seed", type=int, default=0, help="of faults and of clients' habits")
    parser.add_argument("--driver", choices=(*DRIVERS, "all"), default="all")
    parser.add_argument("--processes", type=int, default=6, help="of the app")
    parser.add_argument("--clients", type=int, default=6, help="at a time")
    parser.add_argument(
        "--storm", type=float, default=4.0, help="seconds between faults at any moment; 0: none"
    )
    parser.add_argument(
        "--standby", action="store_true", help="a synchronous standby, and failovers to it"
    )
    parser.add_argument(
        "--no-repeat", action="store_true", help="the clients repeat, sunup does not"
    )
    parser.add_argument(
        "--isolation",
        choices=("read_committed", "repeatable_read", "serializable"),
        default="read_committed",
    )
    parser.add_argument("--keep-on", action="store_true", help="send all, whatever breaks")
    given = parser.parse_args()
    drivers = tuple(DRIVERS) if given.driver == "all" else (given.driver,)
    options = Options(
        implementation=given.implementation,
        posts=given.posts,
        first=given.first,
        seed=given.seed,
        drivers=drivers,
        processes=given.processes,
        clients=given.clients,
        storm=given.storm,
        standby=given.standby,
        repeat=not given.no_repeat,
        isolation=given.isolation,
        patience=45.0 if given.implementation == "receipts" else 20.0,
    )
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it tells of each connection that broke
    began = time.monotonic()
    with world(options) as made:
        size = BATCH if options.is_ours else NAIVE_BATCH
        broken = in_batches(made, size, lambda each: _progress(each, began), keep_on=given.keep_on)
        if options.is_ours and (given.keep_on or not broken):
            broken = _again(made)
        print(report(made, time.monotonic() - began))
    for each in broken[:10]:
        print(f"BROKEN {each}")
    if broken:
        kinds = Counter(each.invariant for each in broken)
        print(", ".join(f"{count} x {name}" for name, count in kinds.most_common()))
        print(f"{len(broken)} broken; again: {' '.join(sys.argv[1:])} (seed {options.seed})")
    return bool(broken)


def _again(made: World) -> list[Broken]:
    began = time.monotonic()
    broken = made.ask_again()
    print(f"each asked once more in {time.monotonic() - began:.0f} s")
    return broken


def _progress(made: World, began: float) -> None:
    kills = sum(n for name, n in made.ledger.faults.items() if name.split()[0] in OF_SERVER)
    print(
        f"{time.monotonic() - began:5.0f} s  {len(made.posts):,} POSTs, "
        f"{sum(made.ledger.faults.values()):,} faults ({kills:,} of the whole server), "
        f"{len(made.ledger.lost):,} answers to COMMIT lost",
        flush=True,
    )


def report(made: World, took: float) -> str:
    """The figures."""
    ledger, posts = made.ledger, made.posts
    requests = sum(len(post.replies) for post in posts)
    outcomes = ledger.outcomes(made.committed)
    yes, no = (sum(each[at] for each in outcomes.values()) for at in (0, 1))
    happened = ", ".join(f"{n:,} {name}" for name, n in sorted(ledger.faults.items()))
    head = f"{made.options.implementation}, seed {made.options.seed}: {len(posts):,} logical POSTs"
    counts = f"{requests:,} requests, {sum(ledger.commits.values()):,} COMMITs, {took:.0f} s"
    slowest = max((each.seconds for post in posts for each in post.replies), default=0.0)
    lost = f"{len(ledger.lost):,}, of which committed {yes:,}, not committed {no:,}"
    lines = [
        f"{head} in {counts}",
        f"{sum(ledger.faults.values()):,} faults: {happened}",
        f"the slowest request took {slowest:.1f} s",
        f"lost answers to COMMIT: {lost}",
        *(f"  {why}: {yes:,} committed, {no:,} not" for why, (yes, no) in outcomes.items()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
