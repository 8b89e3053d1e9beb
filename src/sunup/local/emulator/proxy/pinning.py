"""Why a client is pinned to its session: RDS User Guide, "Avoiding pinning an RDS Proxy"."""

from functools import lru_cache
from itertools import pairwise

from ..dsql.messages import Message
from ..dsql.words import Word, statements

# "Any statement with a text size greater than 16 KB causes the proxy to pin the session" (bytes).
_LONGEST = 16 * 1024

_FIRST = {
    **dict.fromkeys(("PREPARE", "EXECUTE", "DEALLOCATE"), "a prepared statement of SQL"),
    "DISCARD": "the session's state is discarded",
    "DECLARE": "a cursor is declared",
    "LISTEN": "a channel is listened to",
    "LOAD": "a library is loaded",
    "RESET": "a parameter is reset",
}

_SEQUENCES = {"NEXTVAL", "SETVAL", "CURRVAL", "LASTVAL"}
_LOCKS = ("PG_ADVISORY_", "PG_TRY_ADVISORY_")

# Of a transaction only: the guide's "SET LOCAL", and what PostgreSQL has beside it.
_LOCAL = {"LOCAL", "TRANSACTION", "CONSTRAINTS"}
_TEMPORARY = {"TEMP", "TEMPORARY"}


def reason_of(message: Message) -> str | None:
    """Why a client that sends this message keeps its session, without the statement's text.

    Raises `wire.ProtocolError`.
    """
    if message.kind == b"P":
        name, text = message.texts(2)
        # Named statements pinned until 2023-11; what they do since, reports do not agree on.
        return "a prepared statement with a name" if name else _of_text(text)
    return _of_text(message.texts(1)[0]) if message.kind == b"Q" else None


@lru_cache(maxsize=4096)
def _of_text(text: str) -> str | None:
    if len(text.encode("utf-8", "replace")) > _LONGEST:
        return "a statement of more than 16 KB"
    found = (_of_words(tuple(each.text for each in words)) for _, words in statements(text))
    return next((each for each in found if each is not None), None)


def _of_words(words: tuple[str, ...]) -> str | None:
    if not words:
        return None
    first, second = words[0], words[1] if len(words) > 1 else ""
    if first in _FIRST:
        return _FIRST[first]
    if first == "SET" and second not in _LOCAL:
        return "a parameter is set"
    if first == "CREATE" and _TEMPORARY & set(words[1:4]):
        return "something temporary is created"
    if "INTO" in words and _TEMPORARY & {_after(words, "INTO")}:
        return "something temporary is created"
    for name, following in pairwise(words):
        reason = _of_function(name) if following == "(" else None
        if reason is not None:
            return reason
    return None


def _of_function(name: str) -> str | None:
    name = Word(name, 0, 0).name.upper()
    if name == "SET_CONFIG":
        # Also until the transaction's end only: the guide names the function and no argument.
        return "a parameter is set"
    if name in _SEQUENCES:
        return "a sequence is used"
    return "an advisory lock" if name.startswith(_LOCKS) and "_XACT_" not in name else None


def _after(words: tuple[str, ...], word: str) -> str:
    """The word behind another one."""
    place = words.index(word) + 1
    return words[place] if place < len(words) else ""
