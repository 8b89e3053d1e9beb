"""The header `Idempotency-Key`: a quoted string, or bare, as Stripe and most clients send it.

Draft-ietf-httpapi-idempotency-key-header-07, section 2.1.
"""

import re

NAME = "idempotency-key"
LONGEST = 255

# A Structured Field string (RFC 8941, section 3.3.3), perhaps with parameters.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"\s*(?:;[ -+\--~]*)?')
_ESCAPED = re.compile(r'\\(["\\])')
# A comma stands between two headers that were joined on the way.
_BARE = re.compile(r"[!#-+\--~]+(?: +[!#-+\--~]+)*")


class BadKey(ValueError):
    """The header is not one key."""


def key_of(values: list[str]) -> str | None:
    """The key that these values of the header name; None: there is none. Raises `BadKey`."""
    if not values:
        return None
    if len(values) > 1:
        raise BadKey("there is more than one Idempotency-Key")
    value = values[0].strip(" \t")
    if found := _QUOTED.fullmatch(value):
        key = _ESCAPED.sub(r"\1", found[1])
    elif _BARE.fullmatch(value):
        key = value
    else:
        raise BadKey(
            "it is one string of printable ASCII characters; quote it where it holds a comma"
        )
    if not 1 <= len(key) <= LONGEST:
        raise BadKey(f"it has 1 to {LONGEST} characters, not {len(key)}")
    return key
