"""For each naive way the shortest story in which it fails; sunup's own must survive them all."""

from dataclasses import dataclass

from .clients import Habit, Post
from .cluster import Cluster
from .drivers import DRIVERS
from .faults import Fault, Kind, Scripted
from .invariants import Broken
from .site import Site
from .world import Options, World, world

# Of the server: nothing of a transaction must reach the disk by chance ahead of its COMMIT.
SETTINGS = {"wal_writer_delay": "10s"}

# More than the transactions of a story that were under way at the crash.
_OTHERS = 20


class NumbersGoOn(Site):
    """After a crash somebody else's transactions come first, and get the lost ones' numbers."""

    def strike(self, kind: Kind, backend: int) -> None:
        """See `Site`."""
        self.opened.clear()
        try:
            super().strike(kind, backend)
            for _ in range(_OTHERS):
                self.cluster.rows("select pg_current_xact_id()")
        finally:
            self.opened.set()


@dataclass(frozen=True)
class Scenario:
    """A POST, the fault that its first COMMIT meets, and what breaks where."""

    name: str
    implementation: str
    invariant: str
    fault: Fault
    site: type[Site] = Site


SCENARIOS = (
    Scenario(
        "the answer to the COMMIT is lost, and the key is given back",
        "own-transaction",
        "exactly once",
        Fault("cut", "after"),
    ),
    Scenario(
        "the process ends between two transactions",
        "own-transaction",
        "no key is stuck",
        Fault("instance", "before"),
    ),
    Scenario(
        "a crash ahead of the COMMIT, and the transaction's number is given to another",
        "xact-status",
        "exactly once",
        Fault("backend", "before"),
        NumbersGoOn,
    ),
    Scenario(
        "the COMMIT comes after the look", "no-fencing", "exactly once", Fault("late", seconds=0.7)
    ),
)


# The first of two requests at once is cut off when the second waits for its claim: which then
# executes the POST, before the first can look what became of its own COMMIT.
OVERTAKEN = Scenario("", "", "", Fault("cut", "before", seconds=0.5))

ANSWER_LOST = SCENARIOS[0]


def play(
    scenario: Scenario,
    kind: str,
    cluster: Cluster,
    habit: Habit = "patient",
    path: str = "/add",
) -> tuple[list[Broken], World]:
    """What breaks with an implementation, or with a driver's `receipts`."""
    ours = kind in DRIVERS
    options = Options(
        implementation="receipts" if ours else kind,
        drivers=(kind,),
        processes=2 if habit == "twice at once" else 1,
        storm=0,
        patience=2.0,
    )
    with world(options, Scripted(scenario.fault), scenario.site, cluster) as made:
        made.send([Post("post-0", path, habit)])
        return made.check(), made
