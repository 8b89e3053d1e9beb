"""Savepoints where the server has none (Aurora DSQL): what the client can do without them.

Nothing has to be done where nothing was changed since, and the transaction goes on. Where nothing
was changed before, all is undone: the transaction begins anew, in one round trip. Else nothing
helps, and the transaction is spoiled: nothing but a rollback is taken. No input or output here.
"""

import re

SPOILED = (
    "what failed is to be undone without what was done before it, and Aurora DSQL has no "
    "savepoints: do first what may fail, or put it into a transaction of its own"
)

# Begins a transaction anew that is nobody's whole work.
ANEW = "rollback; begin"

_STEP = re.compile(
    r"\s*(savepoint|release|rollback)(?:\s+to)?(?:\s+savepoint)?\s+([^\s;]+)\s*;?\s*", re.IGNORECASE
)


def step_of(text: str) -> tuple[str, str] | None:
    """`savepoint`, `release` or `rollback`, and the savepoint's name; None: another statement."""
    if text.lstrip()[:1] not in ("s", "S", "r", "R"):
        return None
    found = _STEP.fullmatch(text)
    if found is None or (found[1].lower() == "rollback" and " to" not in text.lower()):
        return None
    return found[1].lower(), found[2]


class Savepoints:
    """Of the open transaction."""

    __slots__ = ("changes", "kept", "marks", "restart", "spoiled")

    def __init__(self) -> None:
        # How many statements may have changed something; how many at the end of the last block that
        # ended well, and at each savepoint that was asked for.
        self.changes = self.kept = 0
        self.marks: list[tuple[str, int]] = []
        # What begins the transaction anew.
        self.restart = ANEW
        self.spoiled = False

    def ended(self) -> None:
        """No transaction is open."""
        self.changes = self.kept = 0
        self.marks.clear()
        self.spoiled = False

    def begun_anew(self) -> None:
        """`restart` was executed."""
        marks = [(name, 0) for name, _ in self.marks]
        self.ended()
        self.marks = marks

    def undoing(self, mark: int, *, aborted: bool) -> str | None:
        """What undoes all but the first `mark` changes; empty: nothing has to; None: it cannot."""
        if self.changes == mark and not aborted:
            return ""
        if mark == 0:
            return self.restart
        self.spoiled = True
        return None

    def step(self, step: str, name: str, *, aborted: bool) -> str | None:
        """Take the word for the deed; of a rollback, see `undoing`."""
        if step == "savepoint":
            self.marks.append((name, self.changes))
            return ""
        found = [n for n, each in enumerate(self.marks) if each[0] == name]
        if not found:
            return ""
        mark = self.marks[found[-1]][1]
        del self.marks[found[-1] + (step == "rollback") :]
        return self.undoing(mark, aborted=aborted) if step == "rollback" else ""

    def block_ended(self, *, undo: bool, aborted: bool) -> str | None:
        """A block has ended; with `undo`, see `undoing`."""
        text = self.undoing(self.kept, aborted=aborted) if undo else ""
        self.kept = self.changes
        return text
