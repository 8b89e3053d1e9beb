"""The server that the proxy leads to, and with failover the standby that will replace it."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sunup.local.postgres import folder

from .cluster import Cluster
from .faults import Kind

_PATIENCE, _POLL = 20.0, 0.02
# Seconds that a primary lives on beside the new one.
_OUTLIVES = 1.5


class Site:
    """`standby`: with one that each COMMIT waits for."""

    def __init__(self, cluster: Cluster, *, standby: bool = False) -> None:
        self.cluster = self._first = cluster
        self.failovers = 0
        # Whoever wants a new connection waits for it.
        self.opened = threading.Event()
        self.opened.set()
        self._base = cluster.data.parent
        self._standby: Cluster | None = None
        if standby:
            self.protect()

    def strike(self, kind: Kind, backend: int) -> None:
        """Do this to the server. It is back, or on its way, afterwards."""
        cluster = self.cluster
        if kind == "terminate":
            cluster.terminate(backend)
        elif kind == "backend":
            cluster.alone(lambda: cluster.kill_backend(backend))
        elif kind == "postmaster":
            cluster.alone(cluster.kill_postmaster)
        elif kind == "crash":
            cluster.alone(lambda: cluster.crash(backend))
        elif kind == "restart":
            cluster.alone(cluster.restart)
        elif kind == "failover" and self._standby is not None:
            cluster.alone(lambda: self.fail_over(backend))
        elif kind == "split" and self._standby is not None:
            cluster.alone(self.split)

    def fail_over(self, first: int = 0) -> None:
        """Kill the primary, this process first; its standby takes over, and gets a new standby itself."""
        old, new = self._successor()
        old.kill_all(first)
        self._promote(new)
        self._bury(old, new)

    def split(self) -> None:
        """As `fail_over`, but the primary lives on: whoever is connected to it stays there.

        None of its COMMITs can end, as no standby confirms them any more.
        """
        old, new = self._successor()
        self._promote(new)

        def later() -> None:
            time.sleep(_OUTLIVES)
            old.kill_all()
            self._bury(old, new)

        threading.Thread(target=later).start()

    def _successor(self) -> tuple[Cluster, Cluster]:
        """The primary, and who replaces it: busy until it has a standby itself."""
        new = self._standby
        assert new is not None
        self._standby = None
        new.busy.acquire()
        return self.cluster, new

    def _promote(self, new: Cluster) -> None:
        self.cluster = new
        new.rows("select pg_promote()")
        self.failovers += 1

    def _bury(self, old: Cluster, new: Cluster) -> None:
        try:
            self.protect()
        finally:
            new.busy.release()
        old.restart()  # a killed one leaves shared memory behind, which only the next one finds
        old.stop()
        shutil.rmtree(old.data)

    def protect(self) -> None:
        """Make a standby, and let each COMMIT wait for it."""
        primary = self.cluster
        standby = Cluster(self._base / f"data{self.failovers + 1}", primary.settings)
        standby.data.mkdir(mode=0o700)
        owner = folder.account()
        if owner:
            shutil.chown(standby.data, owner["user"], owner["group"])
        primary.run(
            *("pg_basebackup", "-h", str(primary.host), "-U", "postgres"),
            *("-D", str(standby.data), "-R", "--checkpoint=fast", "--no-sync"),
        )
        standby.start()
        _until(primary, "select 1 from pg_stat_replication where state = 'streaming'")
        primary.rows("alter system set synchronous_standby_names = '*'")
        primary.rows("select pg_reload_conf()")
        _until(primary, "select 1 from pg_stat_replication where sync_state = 'sync'")
        time.sleep(0.1)  # each session has read it, and what it committed before has arrived
        self._standby = standby

    def close(self) -> None:
        """End what came after the first server."""
        with self.cluster.busy:
            left = (self._standby, self.cluster)
        for each in left:
            if each is not None and each is not self._first:
                with each.busy:
                    each.stop()


@contextmanager
def running(base: Path, settings: dict[str, str] | None = None) -> Iterator[Cluster]:
    """A new one, until the block ends."""
    base.chmod(0o755)
    cluster = Cluster(base / "data", settings)
    cluster.make()
    cluster.start()
    try:
        yield cluster
    finally:
        with cluster.busy:
            cluster.stop()


def _until(cluster: Cluster, statement: str) -> None:
    end = time.monotonic() + _PATIENCE
    while not cluster.rows(statement):
        if time.monotonic() > end:
            raise TimeoutError(statement)
        time.sleep(_POLL)
