"""`python -m tests.simulator`: run sequences until enough has happened; say what broke, shortened."""

import argparse
import logging
import multiprocessing
import sys
import time
import warnings
from collections import Counter
from functools import partial
from random import Random

from .sequences import Broken, Step, make, run

LENGTH = 12
BATCH = 400


def sequence_of(seed: int, engine: str = "aurora") -> tuple[list[Step], int]:
    """The steps and the pool's size of a seed."""
    random = Random(seed)
    return make(random, random.randint(1, LENGTH), engine), random.choice((1, 1, 2))


def attempt(
    steps: list[Step], seed: int, pool_size: int, engine: str = "aurora"
) -> tuple[int, str, str]:
    """Events, and the invariant that broke with its detail; empty when all held."""
    try:
        return run(steps, seed, pool_size, engine), "", ""
    except Broken as error:
        return 0, error.invariant, str(error)
    except Exception as error:
        return 0, type(error).__name__, f"{type(error).__name__}: {error}"


def shortened(
    steps: list[Step], seed: int, pool_size: int, invariant: str, engine: str
) -> list[Step]:
    """Leave out steps as long as the same invariant breaks."""
    shorter = True
    while shorter:
        shorter = False
        for at in range(len(steps)):
            fewer = steps[:at] + steps[at + 1 :]
            if attempt(fewer, seed, pool_size, engine)[1] == invariant:
                steps, shorter = fewer, True
                break
    return steps


def _one(seed: int, engine: str = "aurora") -> tuple[int, int, str, str]:
    warnings.simplefilter("ignore")
    logging.disable()  # what a task that was left behind raises, too
    steps, pool_size = sequence_of(seed, engine)
    return (seed, *attempt(steps, seed, pool_size, engine))


def explain(seed: int, invariant: str, engine: str = "aurora") -> str:
    """A failure for people: the shortest sequence found, and how to see it again."""
    steps, pool_size = sequence_of(seed, engine)
    steps = shortened(steps, seed, pool_size, invariant, engine)
    detail = attempt(steps, seed, pool_size, engine)[2]
    more = "" if engine == "aurora" else f" --engine {engine}"
    listed = "\n".join(f"  {step}" for step in steps)
    return (
        f"{detail}\n  pool of {pool_size}; shortest sequence found:\n{listed}\n"
        f"  again: python -m tests.simulator --seed {seed}{more}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000, help="events that shall happen")
    parser.add_argument("--seed", type=int, help="only this sequence")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--engine", choices=("aurora", "dsql"), default="aurora")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--keep-on", action="store_true", help="collect what breaks, of each kind")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.seed is not None:
        seed, _, invariant, _ = _one(options.seed, options.engine)
        told = explain(seed, invariant, options.engine) if invariant else f"seed {seed}: all held"
        print(told)
        return bool(invariant)
    one = partial(_one, engine=options.engine)
    began, events, count = time.monotonic(), 0, 0
    broken: dict[str, int] = {}
    kinds: Counter[str] = Counter()
    shown = began
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        # `imap` would take all seeds there are before the first result.
        batches = (range(at, at + BATCH) for at in range(options.first, sys.maxsize, BATCH))
        for seed, happened, invariant, _ in (r for b in batches for r in pool.imap(one, b, 20)):
            events += happened
            count += 1
            if invariant:
                kinds[invariant] += 1
                broken.setdefault(invariant, seed)
                if not options.keep_on:
                    break
            if time.monotonic() - shown > 5:
                shown = time.monotonic()
                print(
                    f"{events:,} steps, {count:,} sequences, {sum(kinds.values())} failed",
                    flush=True,
                )
            if events >= options.steps or (options.keep_on and count > options.steps / 50):
                break
        pool.terminate()
    took = time.monotonic() - began
    print(f"{events:,} steps in {count:,} sequences, {took:.0f} s, {events / took:,.0f} steps/s")
    for invariant, seed in broken.items():
        print(f"\n{kinds[invariant]} x {explain(seed, invariant, options.engine)}")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
