"""Takes the values that database errors quote out of texts and exceptions.

PostgreSQL's DETAIL holds rows, the messages of data exceptions (SQLSTATE class 22) parameters, and
so does what a driver says of an argument that it could not encode. An exception may be repeated
in another's message, in a group or a note.
"""

import re

from .failures import chain_of, plain_text, sqlstate_of

# What may stand between two words of a message that was written again: white space, and the
# margin of an exception group's traceback; both also as `repr` has them.
_BETWEEN = r"(?:\s|\\n|\\t|\| )+"

# Shorter fields, such as an empty detail, are in too many texts.
_SHORTEST_FIELD = 4


def without_values(text: str, *errors: BaseException) -> str:
    """The text without the parts that quote values from the exceptions and their chains."""
    plain = {}
    for error in errors:
        plain.update(_plain_messages(error))
    if not plain:
        return text
    # The longest first, and all at once: a message may be part of another.
    known = sorted(plain.items(), key=lambda each: -len(each[0]))
    pattern = "|".join(f"({_pattern_of(message)})" for message, _ in known)
    return re.sub(pattern, lambda found: known[(found.lastindex or 0) - 1][1], text)


def strip_data(error: BaseException) -> None:
    """Take the values out of an exception that somebody else will log."""
    chain = chain_of(error)
    texts = [(each, str(each), plain_text(each)) for each in chain if sqlstate_of(each) is not None]
    for each in chain:
        if sqlstate_of(each) is None:
            each.args = tuple(
                without_values(part, error) if isinstance(part, str) else part for part in each.args
            )
        notes = getattr(each, "__notes__", None)
        if notes:
            notes[:] = [without_values(note, error) for note in notes]
    for each, text, plain in texts:
        if text != plain:
            each.args = (plain, *each.args[1:])
        for name in ("detail", "hint"):  # asyncpg's, which its text repeats
            if getattr(each, name, None):
                setattr(each, name, None)


def _pattern_of(message: str) -> str:
    words = _BETWEEN.join(re.escape(word) for word in message.split())
    return rf"(?<!\w){words}(?!\w)"


def _plain_messages(error: BaseException) -> dict[str, str]:
    """What to write instead of the messages that quote values, for all in `error`'s chain."""
    plain: dict[str, str] = {}
    for each in chain_of(error):
        state = sqlstate_of(each)
        if state is None:
            continue
        _add(plain, str(each), plain_text(each))
        for field in (getattr(each, "detail", None), _psycopg_detail(each)):
            if isinstance(field, str) and len(field) >= _SHORTEST_FIELD:
                _add(plain, field, "(values)")
        if state[:2] == "22":
            # The driver could not encode an argument, and the reasons quote it.
            for reason in chain_of(each):
                if sqlstate_of(reason) is None:
                    _add(plain, str(reason), "a value was not accepted")
    return plain


def _add(plain: dict[str, str], message: str, instead: str) -> None:
    for form in (message, repr(message)[1:-1]):
        if form.strip():
            plain[form] = instead


def _psycopg_detail(error: BaseException) -> object:
    return getattr(getattr(error, "diag", None), "message_detail", None)
