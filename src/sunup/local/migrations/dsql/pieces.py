"""The statements of one text, and what each may do: Aurora DSQL takes them one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

_DATA = {"insert", "update", "delete", "merge", "copy"}
_READING = {"select", "values", "table", "show", "explain", "with", "call"}
_SESSION = {"set", "reset", "discard"}
_BOUNDS = {"begin", "start", "commit", "end"}


class Kind(Enum):
    """READ changes nothing, SESSION no data; BOUNDS begin or end a transaction."""

    READ = "read"
    SESSION = "session"
    BOUNDS = "bounds"
    DATA = "data"
    SCHEMA = "schema"


@dataclass(frozen=True)
class Piece:
    """One statement: as it was written, and its words in small letters."""

    text: str
    words: tuple[str, ...]

    @property
    def kind(self) -> Kind:
        """What it may do, by its words."""
        first = self.words[0] if self.words else ""
        if first in _BOUNDS:
            return Kind.BOUNDS
        if first in _SESSION:
            return Kind.SESSION
        if first in _DATA or (first == "with" and not _DATA.isdisjoint(self.words)):
            return Kind.DATA
        return Kind.READ if first in _READING or not first else Kind.SCHEMA

    @property
    def index(self) -> str | None:
        """The name of the index that it makes, without quotes; None where it makes none."""
        rest = [each for each in self.words if each != "unique"]
        if rest[:2] != ["create", "index"]:
            return None
        rest = rest[3:] if rest[2:3] in (["async"], ["concurrently"]) else rest[2:]
        rest = rest[3:] if rest[:3] == ["if", "not", "exists"] else rest
        return rest[0] if rest[1:2] == ["on"] else None


def pieces(sql: str) -> list[Piece]:
    """The statements of a text, which may be one; nothing where it says nothing."""
    from sqlglot import tokenize  # 0.1 s
    from sqlglot.errors import TokenError

    try:
        tokens = tokenize(sql, read="postgres")
    except TokenError:
        # The server says what is wrong with it.
        return [Piece(sql, tuple(sql.lower().split()))]
    return list(_cut(sql, tokens))


def _cut(sql: str, tokens: list) -> Iterator[Piece]:  # type: ignore[type-arg]
    words: list[str] = []
    begin = end = 0
    for token in tokens:
        if token.text == ";" and token.token_type.name == "SEMICOLON":
            if words:
                yield Piece(sql[begin : end + 1], tuple(words))
            words = []
            continue
        if not words:
            begin = token.start
        end = token.end
        quoted = token.token_type.name == "IDENTIFIER"
        words += [token.text] if quoted else token.text.lower().split()
    if words:
        yield Piece(sql[begin : end + 1], tuple(words))
