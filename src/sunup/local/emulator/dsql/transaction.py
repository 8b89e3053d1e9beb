"""A client's transaction: what it has done so far, and what is to become of it."""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from .messages import Message

# A longer journal cannot be replayed; a transaction of DSQL has 10 MiB at most.
LONGEST_JOURNAL = 16 * 1024 * 1024

# What a client learns of the data: rows, and how many there were. Not RowDescription and the like.
_TOLD = (b"D", b"C", b"s", b"d")


@dataclass(frozen=True, slots=True)
class Entry:
    """What was sent, the letter of the first message, and a digest of what was answered."""

    data: tuple[bytes, ...]
    kind: bytes
    digest: bytes


@dataclass(eq=False)
class Transaction:
    """`begin` is the statement that began it; `implicit`, when the client sent none.

    While it is `suspended`, or `lost`, the server does not have it. A `doomed` one cannot be
    committed. `rivals` have changed rows that it changed, too: of them the first to commit wins.
    """

    begin: str
    implicit: bool
    began: float = field(default_factory=time.monotonic)
    journal: list[Entry] = field(default_factory=list)
    size: int = 0
    rows: int = 0
    changes_rows: bool = False
    changes_schema: bool = False
    suspended: bool = False
    doomed: bool = False
    lost: bool = False
    rivals: set["Transaction"] = field(default_factory=set)

    @property
    def here(self) -> bool:
        """Whether the server has it now."""
        return not (self.suspended or self.lost)

    def note(self, data: tuple[bytes, ...], kind: bytes, digest: bytes) -> None:
        """Keep what was done, to do it again."""
        self.size += sum(map(len, data))
        if self.size <= LONGEST_JOURNAL:
            self.journal.append(Entry(data, kind, digest))
        else:
            self.journal.clear()

    @property
    def replayable(self) -> bool:
        """Whether all that was done is known."""
        return self.size <= LONGEST_JOURNAL


class Digest:
    """Of the answers that a client has had."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, answers: Iterable[Message]) -> None:
        """Some more."""
        for each in answers:
            if each.kind in _TOLD:
                self._hash.update(each.encode())

    @property
    def value(self) -> bytes:
        """So far."""
        return self._hash.digest()
