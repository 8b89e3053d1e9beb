"""For each naive way the shortest story in which it fails; sunup's own must survive them all."""

from dataclasses import dataclass, field

from .clients import Habit, Post
from .faults import Fault, Kind, Scripted
from .invariants import Broken
from .site import Site
from .world import Options, World, world

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
    # Of the server.
    settings: dict[str, str] = field(default_factory=dict)


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
        # Nothing of the transaction must reach the disk by chance.
        {"wal_writer_delay": "10s"},
    ),
    Scenario(
        "the COMMIT comes after the look", "no-fencing", "exactly once", Fault("late", seconds=0.7)
    ),
)


# The first of two requests at once is cut off when the second waits for its claim: which then
# executes the POST, before the first can look what became of its own COMMIT.
OVERTAKEN = Scenario("", "", "", Fault("cut", "before", seconds=0.5))


def play(scenario: Scenario, kind: str, habit: Habit = "patient") -> tuple[list[Broken], World]:
    """What breaks with an implementation, or with a driver's `receipts`."""
    ours = kind in ("asyncpg", "psycopg")
    options = Options(
        implementation="receipts" if ours else kind,
        drivers=(kind,),
        processes=2,
        storm=0,
        patience=2.0,
        server=scenario.settings,
    )
    with world(options, Scripted(scenario.fault), scenario.site) as made:
        made.send([Post("post-0", "/add", habit)])
        return made.check(), made
