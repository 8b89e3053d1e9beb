"""Numbers in paths and queries, with errors that name them."""

from collections.abc import Mapping

LARGEST_ID = 2**31 - 1
DEFAULT_LIMIT, LARGEST_LIMIT = 100, 1000


class ParameterError(Exception):
    """A part of the path or of the query is not what it should be."""


def user_id(text: str) -> int:
    number = parse(text)
    if number is None or not 1 <= number <= LARGEST_ID:
        raise ParameterError("Invalid id")
    return number


def page(query: Mapping[str, str]) -> tuple[int, int]:
    """How many users a page has at most, and the id after which it begins."""
    limit = whole_number(query, "limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT)
    return limit, whole_number(query, "after", 0, 0, LARGEST_ID)


def whole_number(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    number = parse(text)
    if number is None or not low <= number <= high:
        raise ParameterError(f"Invalid {name}: expected a whole number from {low} to {high}")
    return number


def parse(text: str) -> int | None:
    """A number as it is written to identify something: plain digits, no sign, no leading zero."""
    if text.isascii() and text.isdecimal() and len(text) <= 10 and str(int(text)) == text:
        return int(text)
    return None
