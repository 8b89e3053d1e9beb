"""Whether a statement whose end was not seen had been executed, by what it says the second time."""

from sunup.failures import sqlstate_of

from .pieces import Piece

# Duplicate column, object, table, schema, function.
_THERE = {"42701", "42710", "42P07", "42P06", "42723"}
# Undefined column, object, table, schema, function.
_GONE = {"42703", "42704", "42P01", "3F000", "42883"}


def was_executed(piece: Piece, error: BaseException) -> bool:
    """Whether `error`, of a second time, shows that the first time made or removed what it says.

    What makes an index on a table that is not there says `does not exist`, too: so it depends on
    what the statement does.
    """
    state = sqlstate_of(error)
    first, words = piece.words[0], set(piece.words)
    alters = first == "alter"
    makes = first == "create" or (alters and not words.isdisjoint({"add", "rename"}))
    removes = first == "drop" or (alters and not words.isdisjoint({"drop", "rename"}))
    return (
        (makes and state in _THERE)
        or (removes and state in _GONE)
        # A constraint that has its index, or was validated.
        or (alters and "already" in str(error))
    )
