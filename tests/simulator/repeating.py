"""Clients that repeat a POST, with its key, until they have an answer; through two instances.

`python -m tests.simulator.repeating --posts 1000000`: each logical POST must be there exactly once,
each client must end with the same answer each time, and no key may be stuck.
"""

import argparse
import base64
import gc
import json
import logging
import multiprocessing
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sunup import Handler, exactly_once
from sunup.asyncpg import Database

from .receipts import ReceiptServer
from .sequences import Broken, Run, Step, _Context

# Logical POSTs of one sequence.
POSTS = 40
# How often a client repeats while there are faults; afterwards it has to succeed at once.
PATIENCE = 6

KINDS = ("one_block", "two_blocks", "fails_within", "refused", "fails_at_first", "limited")
FAULTS = ("crash", "cut", "cut_the_next", "part", "stall", "restart", "sleep", "none", "none")


@dataclass
class Counts:
    """What has happened, so that it can be seen that it did."""

    posts: int = 0
    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    replays: int = 0
    crashes: int = 0
    lost_commits: int = 0
    waits: int = 0
    unheard: int = 0

    def add(self, other: "Counts") -> None:
        for name, value in vars(other).items():
            if isinstance(value, Counter):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)


class Posts:
    """The app: each run of a logical POST has a number of its own, which is its answer."""

    def __init__(self, db: Database, runs: Counter[str]) -> None:
        self.db = db
        self.runs = runs

    async def __call__(self, scope: dict[str, Any], _: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        row, kind = scope["query_string"].decode().split("&")
        self.runs[row] += 1
        status, body = 201, f"{row} run {self.runs[row]}"
        mark = f"#{self.runs[row]}" if kind == "limited" else ""
        async with self.db.connection() as connection:
            await connection.execute(f"insert into t values ('{row}{mark}')")
        if kind == "two_blocks":
            async with self.db.transaction() as connection:
                await connection.execute(f"insert into t values ('{row}-too')")
        elif kind == "fails_within":
            try:
                async with self.db.connection() as connection:
                    await connection.execute(f"insert into t values ('{row}-never')")
                    raise ValueError(kind)  # noqa: TRY301
            except ValueError:
                pass
        elif kind == "refused":
            status = 409
        elif kind == "limited":
            status = 429  # not kept: each attempt counts, but counts once
        elif kind == "fails_at_first" and self.runs[row] == 1:
            raise ValueError(kind)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body.encode()})


class Repeating(Run):
    """Two instances, one server, and the clients."""

    def __init__(self, seed: int, wrap: Any = exactly_once) -> None:
        super().__init__(seed, 1)
        self.server: ReceiptServer = ReceiptServer(self.world, self.random)
        self.counts = Counts()
        self.runs: Counter[str] = Counter()
        self.databases = [self.db, Database(self.settings)]
        self.repeats = self.random.random() < 0.7
        self.apps = [
            wrap(Posts(db, self.runs), database=db, repeat=self.repeats, wait=1.0)
            for db in self.databases
        ]
        self.served = self.apps[0]
        self.attempts: Counter[str] = Counter()
        # By logical POST: the answers that a client was given.
        self.answers: dict[str, set[tuple[int, str]]] = {}

    @contextmanager
    def instances(self) -> Iterator[list[Handler]]:
        with self.process() as one:
            handlers = [one, Handler(self.apps[1], interface="asgi", settings=self.settings)]
            try:
                yield handlers
            finally:
                for each in handlers:  # one that was never called runs on a thread of INIT's
                    each._event_loop()._end()

    def post(self, handler: Handler, row: str, kind: str, seconds: float) -> tuple[int, str]:
        event = {
            "version": "2.0",
            "rawPath": "/posts",
            "rawQueryString": f"{row}&{kind}",
            "headers": {"idempotency-key": row},
            "requestContext": {
                "http": {"method": "POST", "path": "/", "sourceIp": "192.0.2.1"},
                "timeEpoch": int(self.world.now * 1000),
            },
            "isBase64Encoded": False,
        }
        response = handler(event, _Context(self.world, seconds + 1.0))
        status, body = response["statusCode"], response["body"]
        if response["isBase64Encoded"]:
            body = base64.b64decode(body).decode()
        self.counts.requests += 1
        self.attempts[row] += 1
        self.counts.statuses[status] += 1
        self.counts.replays += "idempotent-replayed" in response["headers"]
        if kind == "limited" and status == 429:
            return 0, body
        if status < 500 and not (status == 409 and "in_use" in body):
            self.answers.setdefault(row, set()).add((status, body))
            if len(self.answers[row]) > 1:
                raise Broken("the same answer", f"{row} was answered {sorted(self.answers[row])}")
            return status, body
        if status == 500 and json.loads(body).get("executed") not in (None, "no"):
            raise Broken("known", f"{row} was answered {status} {body}")
        return 0, body

    def disturb(self) -> None:
        """One fault, perhaps aimed at what comes next."""
        kind = self.random.choice(FAULTS)
        self.counts.faults[kind] += 1
        if kind == "crash":
            delay = self.random.choice((0.0, self.random.random() * 0.012))
            self.world.later(delay, self.server.crash)
        elif kind == "part":
            # The client's end is closed while what it has sent arrives later: a late COMMIT.
            delay = self.random.choice((0.01, 0.5, 3.0))
            at = self.random.random() * 0.01
            for wire in [each for each in self.wires if not each.cut]:
                self.world.later(at, lambda wire=wire: wire.part(delay))  # type: ignore[misc]
        elif kind != "none":
            self.fault(Step(kind, self.random.choice((0.01, 0.3, 2.0))))

    def check(self) -> None:
        rows = Counter(self.server.rows)
        twice = [row for row, count in rows.items() if count > 1]
        if twice:
            raise Broken("exactly once", f"{twice} is there more than once")
        if any(row.endswith("-never") for row in rows):
            raise Broken("undone", "what a block failed with is there")
        tries = Counter(row.partition("#")[0] for row in rows if "#" in row)
        for row, count in tries.items():
            if count > self.attempts[row]:
                raise Broken("once", f"{row} was sent {self.attempts[row]} times, and done {count}")
        for row, answers in self.answers.items():
            if row not in rows:
                raise Broken("exactly once", f"{row} was answered {answers} and is not there")
            if f"{row}-too" not in rows and row.startswith("two_blocks"):
                raise Broken("whole", f"of {row} only a part is there")
        for key, receipt in self.server.receipts.items():
            if receipt.owner is None and receipt.status is None:
                raise Broken("stuck", f"{key} was committed without an answer")


def run(seed: int, wrap: Any = exactly_once, *, unique: bool = True, posts: int = POSTS) -> Counts:
    """One sequence. Raises `Broken`."""
    state = Repeating(seed, wrap)
    state.server.unique = unique
    random = state.random
    with state.instances() as handlers:
        for number in range(posts):
            kind = random.choice(KINDS)
            row = f"{kind}{number}"
            state.counts.posts += 1
            for _ in range(PATIENCE):
                if random.random() < 0.6:
                    state.disturb()
                limit = random.choice((0.4, 3.0, 28.0))
                status, _ = state.post(random.choice(handlers), row, kind, limit)
                if status and random.random() < 0.7:
                    break
                state.world.freeze(random.choice((0.0, 0.01, 1.0)))
            state.check()
        state.heal()
        state.world.freeze(70.0)
        for number in range(posts):
            for kind in KINDS:
                row = f"{kind}{number}"
                if row not in state.runs and row not in state.answers:
                    continue
                for _ in range(2 if kind == "fails_at_first" else 1):
                    status, body = state.post(random.choice(handlers), row, kind, 28.0)
                    if status:
                        break
                if not status and kind != "limited":
                    raise Broken("stuck", f"{row} was answered {body} after all had healed")
        state.check()
    counts = state.counts
    counts.crashes, counts.lost_commits = state.server.crashes, state.server.lost_commits
    counts.waits, counts.unheard = state.server.waits, state.server.unheard
    return counts


def _one(seed: int) -> tuple[int, Counts, str]:
    warnings.simplefilter("ignore")
    logging.disable()
    gc.disable()
    try:
        return seed, run(seed), ""
    except Exception as error:
        return seed, Counts(), f"{type(error).__name__}: {error}"
    finally:
        gc.collect(1)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulator.repeating", description=__doc__
    )
    parser.add_argument("--posts", type=int, default=100_000, help="logical POSTs")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="only this sequence")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    options = parser.parse_args()
    if options.seed is not None:
        warnings.simplefilter("ignore")
        logging.disable()
        print(run(options.seed))
        return 0
    total, began, shown = Counts(), time.monotonic(), time.monotonic()
    with multiprocessing.get_context("fork").Pool(options.jobs, maxtasksperchild=500) as pool:
        seeds = range(options.first, options.first + -(-options.posts // POSTS))
        for seed, counts, wrong in pool.imap_unordered(_one, seeds, 5):
            if wrong:
                print(
                    f"seed {seed}: {wrong}\n  again: python -m tests.simulator.repeating --seed {seed}"
                )
                pool.terminate()
                return 1
            total.add(counts)
            if time.monotonic() - shown > 10:
                shown = time.monotonic()
                print(f"{total.posts:,} logical POSTs, {shown - began:.0f} s", flush=True)
    print(f"{total}\n{time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
