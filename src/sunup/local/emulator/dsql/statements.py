"""What one statement is to the front: its kind, why it is refused, and what the server gets."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from . import refusals, settings, tables, words
from .messages import Failure
from .words import Word

Kind = Literal["begin", "commit", "rollback", "ddl", "dml", "read", "iam", "index", "validate"]

_BEGIN = {"BEGIN", "START"}
_COMMIT = {"COMMIT", "END"}
_ROLLBACK = {"ROLLBACK", "ABORT"}
_DDL = {"CREATE", "ALTER", "DROP", "COMMENT", "GRANT", "REVOKE"}
_DML = {"INSERT", "UPDATE", "DELETE", "COPY"}

# As recorded (`refusals`, EMU environment).
_SHOWN = {"SERVER_VERSION": "16.15", "SERVER_VERSION_NUM": "160015"}

# Functions of types that are not there (EMU, queries).
_SHAPES = {"BOX", "CIRCLE", "LINE", "LSEG", "PATH", "POINT", "POLYGON"}

# "There is no such relation" (several reports of 2026). pg_sequence is there since identity columns
# are: awslabs/aurora-dsql-orms reads it in its tests on a cluster.
_NO_RELATIONS = {"PG_STAT_ACTIVITY", "PG_LOCKS", "PG_EXTENSION"}


@dataclass(frozen=True)
class Statement:
    """`text` is what the server gets; `words` those of the client's statement."""

    text: str
    kind: Kind
    words: tuple[Word, ...] = ()
    refusal: Failure | None = None
    # What SHOW answers instead of the server's value.
    shown: str | None = None

    @property
    def writes(self) -> bool:
        """Whether it changes rows, the schema, or locks rows."""
        return self.kind in ("ddl", "dml", "index", "validate", "iam")

    @property
    def changes_schema(self) -> bool:
        """Whether it counts as a change of the schema."""
        return self.kind in ("ddl", "index", "validate", "iam")


@lru_cache(maxsize=4096)
def statements(text: str) -> tuple[Statement, ...]:
    """Those of a query."""
    return tuple(_statement(part, found) for part, found in words.statements(text))


def _statement(text: str, found: tuple[Word, ...]) -> Statement:
    said = tuple(each.text for each in found)
    if not said:
        return Statement(text, "read")
    if said[:2] == ("AWS", "IAM"):
        return Statement(text, "iam", found)
    place = said.index("INDEX") if said[0] == "CREATE" and "INDEX" in said[1:3] else None
    refusal = (
        refusals.refused(said)
        or _setting(found, said)
        or tables.refused(_without_async(said))
        or _function(found, said)
        or _relation(said)
    )
    if refusal is not None:
        return Statement(text, _kind(said), found, refusal)
    if place is not None:
        return Statement(_cut(text, found[place + 1]), "index", found)
    if said[:3] == ("ALTER", "TABLE", "ASYNC") and said[-3:-1] == ("VALIDATE", "CONSTRAINT"):
        return Statement(_cut(text, found[2]), "validate", found)
    shown = _SHOWN.get(said[1]) if said[0] == "SHOW" and len(said) == 2 else None
    return Statement(text, _kind(said), found, shown=shown)


def _without_async(said: tuple[str, ...]) -> tuple[str, ...]:
    """Of ALTER TABLE ASYNC only the one form that there is passes."""
    return () if said[:3] == ("ALTER", "TABLE", "ASYNC") else said


def _kind(said: tuple[str, ...]) -> Kind:
    first = said[0]
    if first in _BEGIN:
        return "begin"
    if first in _COMMIT:
        return "commit"
    if first in _ROLLBACK:
        return "rollback"
    if first in _DDL:
        return "ddl"
    if first in _DML or (first == "WITH" and _DML & set(said)):
        return "dml"
    locks = any(said[n : n + 2] in (("FOR", "UPDATE"), ("FOR", "KEY")) for n in range(len(said)))
    return "dml" if locks else "read"


def _setting(found: tuple[Word, ...], said: tuple[str, ...]) -> Failure | None:
    """Why SET, RESET or set_config is refused."""
    if said[0] == "DEALLOCATE" and "ALL" not in said:
        return Failure("0A000", "unsupported statement: Deallocate")
    if said[0] in ("SET", "RESET"):
        rest = found[2:] if said[1:2] in (("LOCAL",), ("SESSION",)) else found[1:]
        if not rest or (said[0] == "RESET" and rest[0].text == "ALL"):
            return None
        if rest[0].text in ("TRANSACTION", "CHARACTERISTICS"):
            return settings.refused("TRANSACTION")
        if rest[0].text in ("TIME", "NAMES", "CONSTRAINTS"):  # the first two: TimeZone, encoding
            return None
        return settings.refused(rest[0].name)
    if "SET_CONFIG" in said:
        place = said.index("SET_CONFIG")
        if said[place + 1 : place + 2] == ("(",) and found[place + 2].text[:1] == "'":
            return settings.refused(found[place + 2].name)
    return None


def _function(found: tuple[Word, ...], said: tuple[str, ...]) -> Failure | None:
    for word, after in zip(found, said[1:], strict=False):
        if after != "(":
            continue
        if word.text.startswith(("PG_ADVISORY_", "PG_TRY_ADVISORY_")):
            return Failure("0A000", f"function {word.name} not supported")
        if word.text in _SHAPES and said[0] in ("SELECT", "WITH", "VALUES"):
            return Failure("0A000", f"datatype {word.name} not supported")
    return None


def _relation(said: tuple[str, ...]) -> Failure | None:
    for word in said:
        if word in _NO_RELATIONS:
            return Failure("42P01", f'relation "{word.lower()}" does not exist')
    return None


def _cut(text: str, word: Word) -> str:
    """Without one word; as long as before, so that positions stay."""
    return text[: word.start] + " " * (word.end + 1 - word.start) + text[word.end + 1 :]
