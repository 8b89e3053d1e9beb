"""A server, a proxy, the app's processes and the clients; what they were told is looked at."""

import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import invariants
from .apps import TABLES
from .clients import Post, post_of_seed, send, without_two_at_once
from .cluster import Cluster
from .faults import USUAL, WITH_STANDBY, Plan, Scripted, Seeded
from .instances import Instances, Reply, instances
from .invariants import Broken
from .ledger import Ledger
from .proxy import Proxy, proxying
from .site import Site, running
from .storm import storm

IMPLEMENTATIONS = ("receipts", "own-transaction", "xact-status", "no-fencing")

# Seconds that a client goes on, while there are faults; and when there are none any more.
_PATIENCE, _AFTERWARDS = 45.0, 10.0


@dataclass(frozen=True)
class Options:
    """What to run."""

    implementation: str = "receipts"
    posts: int = 100
    # The number of the first one.
    first: int = 0
    seed: int = 0
    drivers: tuple[str, ...] = ("asyncpg", "psycopg")
    processes: int = 6
    clients: int = 6
    # Seconds, on average, between faults that are aimed at nothing; 0: none.
    storm: float = 4.0
    standby: bool = False
    # Of `exactly_once`.
    repeat: bool = True
    isolation: str = "read_committed"
    patience: float = _PATIENCE

    @property
    def is_ours(self) -> bool:
        """Whether it is sunup's, and not a naive one."""
        return self.implementation == "receipts"

    @property
    def kinds(self) -> list[str]:
        """What each process runs."""
        kinds = self.drivers if self.is_ours else (self.implementation,)
        return [kinds[number % len(kinds)] for number in range(self.processes)]

    def post(self, number: int) -> Post:
        """The POST of this number."""
        habits = without_two_at_once() if self.implementation == "no-fencing" else None
        return post_of_seed(self.seed, number, habits)


class World:
    """Made by `world`."""

    def __init__(
        self, options: Options, site: Site, proxy: Proxy, app: Instances, ledger: Ledger
    ) -> None:
        self.options = options
        self.site = site
        self.proxy = proxy
        self.app = app
        self.ledger = ledger
        self.posts: list[Post] = []
        # Runs that were committed, once this has been asked.
        self.committed: set[str] = set()

    def ask(self, path: str, name: str, key: str) -> Reply:
        """A POST, as an HTTP API sends it."""
        return self.app.ask(_event(path, name, key))

    def send(self, posts: list[Post], patience: float | None = None) -> None:
        """Send them, several at a time, and wait until their clients are done."""
        limit = self.options.patience if patience is None else patience
        self.posts += posts
        with ThreadPoolExecutor(self.options.clients) as pool:
            for _ in pool.map(lambda post: send(post, self.ask, limit), posts):
                pass

    def check(self) -> list[Broken]:
        """What does not hold, now that nothing is under way."""
        with self.site.cluster.busy:
            self._settle()
            rows = self._rows("select post, run, number from posts")
            self.committed = {row[1] for row in rows}
            return [
                *invariants.of_posts(self.posts, rows, failures=self.options.is_ours),
                *invariants.of_confirmed(self.ledger.confirmed, self.committed),
                *invariants.of_notes(self.app.notes(), self.committed),
                *invariants.of_blocks(rows, self._rows("select run from details")),
                *invariants.of_receipts(
                    self._rows("select key from sunup_receipts where status is null")
                ),
            ]

    def ask_again(self) -> list[Broken]:
        """Send each once more, and let it be: also those who gave up get an answer now."""
        self.proxy.plan = Scripted()
        with ThreadPoolExecutor(self.options.clients) as pool:
            for _ in pool.map(self._once_more, self.posts):
                pass
        return self.check()

    def _once_more(self, post: Post) -> None:
        post.stuck, post.habit = False, "patient"
        send(post, self.ask, _AFTERWARDS)

    def _settle(self) -> None:
        """Wait for what is still on its way: a late COMMIT."""
        end = time.monotonic() + 10
        text = (
            "select 1 from pg_stat_activity where backend_type = 'client backend'"
            " and xact_start is not null and pid <> pg_backend_pid()"
        )
        while self._rows(text) and time.monotonic() < end:
            time.sleep(0.05)

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self.site.cluster.rows(statement)


@contextmanager
def world(
    options: Options,
    plan: Plan | None = None,
    site_of: type[Site] = Site,
    cluster: Cluster | None = None,
) -> Iterator[World]:
    """All of it, until the block ends; without a `plan` the seed's.

    `cluster` is one that was used before, and will be again.
    """
    ledger = Ledger()
    if plan is None:
        plan = Seeded(options.seed, WITH_STANDBY if options.standby else USUAL)
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="sunup-killing-"))
        if cluster is None:
            cluster = stack.enter_context(running(Path(name)))
        cluster.rows(TABLES)
        site = site_of(cluster, standby=options.standby)
        stack.callback(site.close)
        proxy = stack.enter_context(proxying(site, plan, ledger))
        arguments = {"repeat": options.repeat, "isolation": options.isolation}
        app = stack.enter_context(
            instances(options.kinds, proxy.port, Path(name), options.seed, arguments)
        )
        blowing = storm(site, proxy, ledger, options.seed, options.storm, standby=options.standby)
        with blowing:
            yield World(options, site, proxy, app, ledger)


def in_batches(
    made: World, size: int, shown: Callable[[World], None], *, keep_on: bool = False
) -> list[Broken]:
    """Send all POSTs, or those up to the first batch after which something is broken."""
    broken: list[Broken] = []
    first, end = made.options.first, made.options.first + made.options.posts
    for begin in range(first, end, size):
        numbers = range(begin, min(begin + size, end))
        made.send([made.options.post(number) for number in numbers])
        broken = made.check()
        shown(made)
        if broken and not keep_on:
            break
    return broken


def _event(path: str, name: str, key: str) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"idempotency-key": key},
        "requestContext": {
            "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4"},
            "timeEpoch": int(time.time() * 1000),
            "requestId": "r-1",
        },
        "body": name,
        "isBase64Encoded": False,
    }
