"""What was done to the COMMITs, and which of them got no answer."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Ledger:
    """Of a run of many POSTs. Only the proxy's thread and the storm's write to it."""

    faults: Counter[str] = field(default_factory=Counter)
    # Runs whose COMMIT was sent and whose answer the app never got, each with the fault's name.
    lost: dict[str, str] = field(default_factory=dict)
    # Runs whose COMMIT the server has confirmed, whoever got to know it.
    confirmed: set[str] = field(default_factory=set)
    # Of each POST.
    commits: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)

    def lose(self, run: str, why: str) -> None:
        """The app waits for this run's COMMIT in vain."""
        self.lost.setdefault(run, why)

    def outcomes(self, committed: set[str]) -> dict[str, tuple[int, int]]:
        """Of each fault's lost answers: how many were committed, and how many not."""
        found: dict[str, tuple[int, int]] = {}
        for run, why in self.lost.items():
            yes, no = found.get(why, (0, 0))
            found[why] = (yes + 1, no) if run in committed else (yes, no + 1)
        return dict(sorted(found.items()))
