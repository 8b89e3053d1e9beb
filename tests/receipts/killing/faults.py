"""What can happen to a COMMIT, and when: chosen by a seed, or written down by a scenario."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol

Kind = Literal[
    "cut",  # the connection: at any byte of the COMMIT, right behind it, at any byte of the answer
    "silence",  # nothing passes, and nobody closes; a COMMIT that is held comes late
    "late",  # the app sees the connection break; the COMMIT reaches the server later
    "slow",  # the COMMIT takes its time, and all goes well
    "backend",  # SIGKILL for the session's process: crash recovery of the whole server
    "postmaster",  # SIGKILL for it, and a new one
    "crash",  # SIGKILL for all of the server's processes at once
    "terminate",  # pg_terminate_backend
    "restart",  # a fast one
    "failover",  # SIGKILL for all, and the synchronous standby is promoted
    "split",  # the standby is promoted, and the old primary does not know it for a while
    "instance",  # SIGKILL for the app's process
]
# Of the COMMIT's way: before the server has it; when it has just got it, around its flush of the
# log; when it has answered, which the app does not see.
When = Literal["before", "during", "after"]

WHENS: tuple[When, ...] = ("before", "during", "after")
OF_SERVER: tuple[Kind, ...] = ("backend", "postmaster", "crash", "restart", "failover", "split")

# How often, in relation to each other.
USUAL: Mapping[Kind, int] = {
    "cut": 30,
    "silence": 4,
    "late": 20,
    "slow": 10,
    "backend": 8,
    "postmaster": 4,
    "crash": 4,
    "terminate": 10,
    "restart": 3,
    "instance": 4,
}
# Others could lose what only the primary has, which is PostgreSQL's own: a COMMIT that waits for
# the standby is visible after a crash of the primary, wherever the standby is.
WITH_STANDBY: Mapping[Kind, int] = {
    "cut": 30,
    "silence": 2,
    "late": 20,
    "slow": 10,
    "failover": 14,
    "split": 14,
    "instance": 4,
}
# The chance of the first COMMIT of a POST, its second, and so on: in the end all goes well.
_CHANCES = (0.5, 0.35, 0.2)
# The chance of a cut ahead of the COMMIT, or into it.
_EARLY = 0.06
# At once; around a request's deadline; behind the server's own limit for an idle transaction.
_LATE = ((0.0, 0.1), (0.1, 3.5), (3.5, 7.0))
# Around `commit_delay`: see cluster.py.
_AROUND_FLUSH = 0.006


@dataclass(frozen=True)
class Fault:
    """`seconds`: how late, or how long after the server got it; `part`: of the bytes that pass."""

    kind: Kind
    when: When = "before"
    seconds: float = 0.0
    part: float = 0.0
    # A reset instead of an end.
    hard: bool = False

    @property
    def name(self) -> str:
        """For people."""
        return self.kind if self.kind in ("late", "slow") else f"{self.kind} {self.when}"


class Plan(Protocol):
    """What the nth COMMIT (from 0) of a POST meets, and its nth run."""

    def fault(self, post: str, nth: int) -> Fault | None: ...

    def early(self, post: str, nth: int) -> float | None:
        """Seconds after a run's first row when its connection is cut, wherever it is then."""


class Seeded:
    """Each POST's are its own: the same for the same seed, whatever else runs."""

    def __init__(self, seed: int, kinds: Mapping[Kind, int]) -> None:
        self._seed = seed
        self._kinds = kinds

    def fault(self, post: str, nth: int) -> Fault | None:
        """See `Plan`."""
        random = Random(f"{self._seed} {post} {nth}")
        if nth >= len(_CHANCES) or random.random() >= _CHANCES[nth]:
            return None
        (kind,) = random.choices(list(self._kinds), list(self._kinds.values()))
        when = random.choice(WHENS)
        seconds = random.uniform(0, _AROUND_FLUSH)
        if kind == "late":
            seconds = random.uniform(*random.choices(_LATE, (10, 10, 1))[0])
        elif kind == "silence":
            seconds, when = random.uniform(0.5, 5.0), random.choice(("before", "after"))
        elif kind == "slow":
            seconds = random.uniform(0, 0.3)
        return Fault(kind, when, seconds, random.random(), random.random() < 0.3)

    def early(self, post: str, nth: int) -> float | None:
        """See `Plan`."""
        random = Random(f"{self._seed} {post} {nth} early")
        if nth >= len(_CHANCES) or random.random() >= _EARLY:
            return None
        return random.uniform(0, _AROUND_FLUSH)


class Scripted:
    """The faults of a scenario, in the order of the COMMITs, whoever sends them."""

    def __init__(self, *faults: Fault | None) -> None:
        self._faults = list(faults)

    def fault(self, post: str, nth: int) -> Fault | None:
        """See `Plan`."""
        return self._faults.pop(0) if self._faults else None

    def early(self, post: str, nth: int) -> float | None:
        """See `Plan`."""
        return None
