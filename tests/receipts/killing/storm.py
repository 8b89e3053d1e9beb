"""Faults at any moment, aimed at nothing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import psycopg

from .faults import OF_SERVER, Kind
from .ledger import Ledger
from .proxy import Proxy
from .site import Site

_KINDS: dict[Kind, int] = {
    "cut": 4,
    "terminate": 4,
    "backend": 3,
    "postmaster": 2,
    "crash": 2,
    "restart": 1,
}
_KINDS_WITH_STANDBY: dict[Kind, int] = {"cut": 3, "failover": 1}


@contextmanager
def storm(
    site: Site, proxy: Proxy, ledger: Ledger, seed: int, every: float, *, standby: bool
) -> Iterator[None]:
    """One each so many seconds, on average, until the block ends; 0: none."""
    ending = threading.Event()
    random = Random(f"{seed} storm")
    kinds = _KINDS_WITH_STANDBY if standby else _KINDS

    def blow() -> None:
        while not ending.wait(random.expovariate(1 / every)):
            (kind,) = random.choices(list(kinds), list(kinds.values()))
            if kind in OF_SERVER and site.cluster.busy.locked():
                continue
            backend = 0
            if kind in ("terminate", "backend"):
                try:
                    backends = site.cluster.backends()
                except psycopg.Error:
                    continue
                if not backends:
                    continue
                backend = random.choice(backends)
            ledger.faults[f"{kind} at any time"] += 1
            if kind == "cut":
                proxy.cut_all()
            else:
                site.strike(kind, backend)

    thread = threading.Thread(target=blow if every else lambda: None)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
