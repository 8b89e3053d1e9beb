"""What the formats of HTTP events have in common: how their parts are read.

What is null is absent. A part of another type than AWS gives it raises, which is a `BadEvent`.
"""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

from .http import Answer, Call, Headers

Event = dict[str, Any]

# What may stand in a path, or a query, as it is.
_PATH_SAFE = "/:@!$&'()*+,;=-._~"
_QUERY_SAFE = "/:@!$'()*+,;=?-._~%[]"
_PLAIN = re.compile(r"/[\w/:@!$&'()*+,;=\-.~]*", re.ASCII)
_ENCODED = re.compile(r"/[\w/:@!$&'()*+,;=\-.~%]*", re.ASCII)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_METHOD = re.compile(r"[A-Z][A-Z0-9_\-]{0,40}")
_ADDRESS = re.compile(r"\[?([0-9A-Fa-f.:]+?)\]?(?::([0-9]{1,5}))?")

# In milliseconds: the year 33658.
_LATEST = 10**15

# A header's name is a token, and control characters are for nobody (RFC 9110, 5.1 and 5.5).
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# The same names recur; but anybody can send new ones.
_NAMES: dict[str, str] = {}
_KNOWN: set[str] = set()  # those that were in lower case
_MOST_NAMES = 200
_LONG_NAME = 100


class BadEvent(ValueError):
    """An HTTP event whose content cannot be passed on: the client's mistake."""


class Format:
    """How events of one kind are read, and their answers written.

    `encode` is given the answer's body too, as text or in base64; `limit` is how many bytes its
    result may have as JSON.
    """

    __slots__ = ("encode", "limit", "parse")

    def __init__(
        self,
        parse: Callable[[Event], Call],
        encode: Callable[[Answer, str, bool], dict[str, Any]],
        limit: int,
    ) -> None:
        self.parse = parse
        self.encode = encode
        self.limit = limit

    def read(self, event: Event) -> Call:
        """The request in an event. Raises `BadEvent`."""
        try:
            return self.parse(event)
        except BadEvent:
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise BadEvent(f"the event is malformed: {type(error).__name__}") from None


def text_of(value: object, what: str) -> str:
    """A text that may be null. Raises `BadEvent`."""
    if value is None:
        return ""
    if type(value) is not str:
        raise BadEvent(f"the event's {what} is not text")
    return value


def object_of(value: object, what: str) -> dict[str, Any]:
    """An object that may be null. Raises `BadEvent`."""
    if value is None:
        return {}
    if type(value) is not dict:
        raise BadEvent(f"the event's {what} is not an object")
    return value


def moment_of(value: object) -> int | None:
    """A `timeEpoch`, in milliseconds since the epoch. Raises `BadEvent`."""
    if value is None:
        return None
    if type(value) is int and -_LATEST < value < _LATEST:
        return value
    raise BadEvent("the event's time is not a number of milliseconds")


def method_of(value: object) -> str:
    """A method, in capital letters. Raises `BadEvent`."""
    if value in _METHODS:
        return value
    if type(value) is str and _METHOD.fullmatch(method := value.upper()):
        return method
    raise BadEvent("the event's method is not valid")


def path_of(raw: object) -> str:
    """A path that came percent-encoded; what must be encoded, and is not, is encoded."""
    if type(raw) is str and _ENCODED.fullmatch(raw):
        return raw
    return _rooted(quote(text_of(raw, "path"), safe=f"{_PATH_SAFE}%"))


def decoded_path_of(raw: object) -> str:
    """A path that came decoded, percent-encoded again."""
    if type(raw) is str and _PLAIN.fullmatch(raw):
        return raw
    return _rooted(quote(text_of(raw, "path"), safe=_PATH_SAFE))


def _rooted(path: str) -> str:
    """Apps count on a slash: PEP 3333, and ASGI's `raw_path`."""
    return path if path.startswith("/") else f"/{path}"


def query_of(raw: object) -> str:
    """A query as the client sent it, in ASCII."""
    if type(raw) is str and raw.isascii() and raw.isprintable():
        return raw
    return quote(text_of(raw, "query"), safe=f"{_QUERY_SAFE}&")


def parameters_of(one: object, many: object) -> list[tuple[str, str]]:
    """The pairs of a query: those of `many`, and what only `one` has."""
    merged = {**object_of(one, "query"), **object_of(many, "query")}
    pairs: list[tuple[str, str]] = []
    for name, values in merged.items():
        several = values if type(values) is list else [values]
        pairs += [(name, text_of(value, "query")) for value in several if value is not None]
    return pairs


def encoded_query(pairs: list[tuple[str, str]]) -> str:
    """Parameters that came decoded, as a query."""
    return "&".join([f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs])


def query_as_sent(pairs: list[tuple[str, str]]) -> str:
    """Parameters that came encoded, as a query."""
    name_safe = _QUERY_SAFE.replace("=", "")
    return "&".join(
        [f"{quote(name, safe=name_safe)}={quote(value, safe=_QUERY_SAFE)}" for name, value in pairs]
    )


def headers_of(one: object, many: object = None) -> tuple[Headers, dict[str, str]]:
    """Names in lower case: those of `many`, and what only `one` has.

    As pairs, and the last value of each. Raises `BadEvent`.
    """
    fields = object_of(one, "headers")
    if (many is None or many == {}) and _KNOWN.issuperset(fields):
        try:
            text = "".join(fields.values())
            if text.isascii() and text.isprintable():
                return list(fields.items()), fields
        except TypeError:
            pass  # null, or something worse
    pairs: Headers = []
    for name, values in object_of(many, "headers").items():
        pairs += _values_of(name, values)
    several = {name for name, _ in pairs}
    for name, value in fields.items():
        if type(value) is list:
            raise BadEvent("a header's value is a list")
        pairs += [pair for pair in _values_of(name, value) if pair[0] not in several]
    return pairs, dict(pairs)


def cookies_of(cookies: object) -> Headers:
    """The header of cookies that came apart from the headers. Raises `BadEvent`."""
    if type(cookies) is not list:
        raise BadEvent("the event's cookies are not a list")
    if None in cookies:
        cookies = [each for each in cookies if each is not None]
    text = "; ".join(cookies)
    if text.isascii() and text.isprintable():
        return [("cookie", text)] if text else []
    return _values_of("cookie", text)


def _values_of(name: str, values: object) -> Headers:
    key = _NAMES.get(name) or _name(name)
    pairs: Headers = []
    for value in values if type(values) is list else [values]:
        if value is None:
            continue
        text = text_of(value, "header")
        if CONTROLS.search(text):
            raise BadEvent(f"the header {key} has a control character")
        text.encode("utf-8")  # raises for what is not Unicode
        pairs.append((key, text))
    return pairs


def _name(name: str) -> str:
    if not TOKEN.fullmatch(name):
        raise BadEvent("a header's name is not valid")
    key = name.lower()
    if len(_NAMES) < _MOST_NAMES and len(name) < _LONG_NAME:
        _NAMES[name] = key
        if name == key:
            _KNOWN.add(key)
    return key


def body_of(event: Event, is_base64: object) -> bytes:
    """The request's body. Raises `BadEvent`."""
    body = event.get("body")
    if type(body) is not str:
        body = text_of(body, "body")
    if is_base64 is False or is_base64 is None:
        return body.encode("utf-8", "surrogatepass")
    try:
        if is_base64 is True:
            return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise BadEvent("the body is not valid base64")


def prefix_of(path: str, prefix: str) -> str:
    """The prefix, where the path has it as a whole."""
    return prefix if prefix and (path == prefix or path.startswith(f"{prefix}/")) else ""


def scheme_and_server(fields: dict[str, str], domain: object = None) -> tuple[str, tuple[str, int]]:
    """From what the proxy in front noted in the headers; what makes no sense there is passed over.

    Of several values the last is its own: those before came with the request.
    """
    scheme = fields.get("x-forwarded-proto", "https")
    port = fields.get("x-forwarded-port")
    if scheme == "https" and port == "443":
        number = 443
    else:
        scheme = "http" if scheme.rpartition(",")[2].strip().lower() == "http" else "https"
        port = (port or "").rpartition(",")[2].strip()
        number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
        if not 0 < number < 65_536:
            number = 443 if scheme == "https" else 80
    host = fields.get("host", "")
    name, colon, digits = host.rpartition(":")
    if not colon or not digits.isdigit():
        name = host
    return scheme, (name or _printable(domain, "domain") or "localhost", number)


def client_of(source: object) -> tuple[str, int] | None:
    """The client, by the address that the gateway itself has noted."""
    if type(source) is str and source.isprintable():
        return (source, 0) if source else None
    _printable(source, "address")
    return None


def _printable(value: object, what: str) -> str:
    text = text_of(value, what)
    if not text.isprintable():
        raise BadEvent(f"the event's {what} has a control character")
    return text


def _address_of(address: str) -> tuple[str, int] | None:
    """An address, perhaps with its port (`xff_client_port` of a load balancer)."""
    if address.count(":") > 1 and not address.startswith("["):
        found = _ADDRESS.fullmatch(f"[{address}]")
    else:
        found = _ADDRESS.fullmatch(address)
    if not found:
        return None
    port = int(found[2] or 0)
    return found[1], port if port < 65_536 else 0


def forwarded_client(fields: dict[str, str]) -> tuple[str, int] | None:
    """The address that the proxy saw, which it appended; what comes before is the client's word."""
    return _address_of(fields.get("x-forwarded-for", "").rpartition(",")[2].strip())


def joined(fields: Headers) -> dict[str, str]:
    """One value for each name."""
    one: dict[str, str] = {}
    for name, value in fields:
        one[name] = f"{one[name]}, {value}" if name in one else value
    return one


def listed(fields: Headers) -> dict[str, list[str]]:
    """A list of values for each name."""
    many: dict[str, list[str]] = {}
    for name, value in fields:
        many.setdefault(name, []).append(value)
    return many
