"""Request bodies: decoded and checked, with errors that name the field."""

import re
from typing import TypeVar

import msgspec

LARGEST_BODY = 64 * 1024

T = TypeVar("T")


class BodyError(Exception):
    """The body is not what it should be."""

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


def decode(body: bytes, kind: type[T]) -> T:
    try:
        # Checked as a whole: msgspec passes over what it does not need, whatever its bytes.
        body.decode("utf-8")
        return msgspec.json.decode(body, type=kind)
    except UnicodeDecodeError:
        raise BodyError("the body is not valid UTF-8") from None
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None
    except msgspec.DecodeError:
        raise BodyError("the body is not valid JSON") from None


def invalid(message: str) -> BodyError:
    """Msgspec tells the field at the end: "Expected `str`, got `int` - at `$.name`"."""
    reason, _, place = message.partition(" - at ")
    missing = re.fullmatch(r"Object missing required field `(\w+)`", reason)
    if missing:
        return BodyError(f"`{missing[1]}` is required", missing[1])
    reason = reason[:1].lower() + reason[1:]
    return BodyError(reason, place.strip("`").removeprefix("$.") or None)
