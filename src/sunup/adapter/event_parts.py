"""What the formats of HTTP events have in common."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from .http import Answer, Call, Headers

Event = dict[str, Any]

# What may stand in a path as it is; the percent sign too, since the path is already encoded.
_PATH_SAFE = "/%:@!$&'()*+,;=-._~"

_PLAIN = re.compile(r"[\w/%:@!$&'()*+,;=\-.~]+", re.ASCII)

# A header's name is a token (RFC 9110, 5.1).
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")

_TEXT_TYPES = (b"text/", b"application/json", b"application/xml", b"application/javascript")


# The same names recur; but anybody can send new ones.
_NAMES: dict[str, bytes] = {}
_MOST_NAMES = 200


class BadEvent(ValueError):
    """An HTTP event whose content cannot be passed on: the client's mistake."""


class Format:
    """How events of one kind are read, and their answers written."""

    __slots__ = ("encode", "parse")

    def __init__(
        self,
        parse: Callable[[Event], Call],
        encode: Callable[[Event, Answer], dict[str, Any]],
    ) -> None:
        self.parse = parse
        self.encode = encode

    def read(self, event: Event) -> Call:
        """The request in an event. Raises `BadEvent`."""
        try:
            return self.parse(event)
        except BadEvent:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadEvent(f"the event is malformed: {type(error).__name__}") from None


def moment_of(value: object) -> int | None:
    """A `timeEpoch`, in milliseconds since the epoch. Raises `BadEvent`."""
    if value is None or type(value) is int:
        return value
    raise BadEvent("the event's time is not a number")


def path_of(raw: str | None) -> str:
    """A path with everything encoded that must be; what is encoded stays so."""
    if raw and _PLAIN.fullmatch(raw):
        return raw
    return quote(raw or "/", safe=_PATH_SAFE)


def headers_of(fields: dict[str, Any]) -> Headers:
    """Names in lower case; a value may be a list of values. Raises `BadEvent`."""
    pairs: Headers = []
    try:
        for name, value in fields.items():
            key = _NAMES.get(name) or _name(name)
            if type(value) is list:
                pairs += [(key, str(each).encode("latin-1")) for each in value]
            else:
                pairs.append((key, str(value).encode("latin-1")))
    except UnicodeEncodeError:
        raise BadEvent("a header is not ASCII or Latin-1 text") from None
    return pairs


def _name(name: str) -> bytes:
    key = name.lower().encode("ascii")
    if not _TOKEN.fullmatch(key):
        raise BadEvent("a header's name is not valid")
    if len(_NAMES) < _MOST_NAMES:
        _NAMES[name] = key
    return key


def body_of(event: Event, is_base64: object) -> bytes:
    """The request's body. Raises `BadEvent`."""
    body = event.get("body") or ""
    if not is_base64:
        return bytes(str(body), "utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise BadEvent("the body is not valid base64") from None


def prefix_of(path: str, prefix: str) -> str:
    """The prefix, where the path has it as a whole."""
    return prefix if prefix and (path == prefix or path.startswith(f"{prefix}/")) else ""


def addresses(fields: dict[bytes, bytes], source: str | None, domain: str | None) -> dict[str, Any]:
    """Scheme, server and client of a `Call`, from what the proxy in front noted in the headers."""
    scheme = fields.get(b"x-forwarded-proto", b"https").decode("latin-1")
    port = fields.get(b"x-forwarded-port", b"")
    host = fields.get(b"host", b"").decode("latin-1").rpartition(":")
    name = (host[0] if host[1] and host[2].isdigit() else "".join(host)) or domain or "localhost"
    return {
        "scheme": scheme,
        "server": (name, int(port) if port.isdigit() else (443 if scheme == "https" else 80)),
        "client": (source, 0) if source else None,
    }


def joined(fields: list[tuple[str, str]]) -> dict[str, str]:
    """One value for each name."""
    one: dict[str, str] = {}
    for name, value in fields:
        one[name] = f"{one[name]}, {value}" if name in one else value
    return one


def fields_of(answer: Answer) -> list[tuple[str, str]]:
    """The answer's headers as text."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]


def encoded_body(answer: Answer) -> tuple[str, bool]:
    """The body as text where it is text, else in base64."""
    if not answer.body:
        return "", False
    fields = dict(answer.headers)
    kind = fields.get(b"content-type", b"").partition(b";")[0].strip().lower()
    textual = kind.startswith(_TEXT_TYPES) or kind.endswith((b"+json", b"+xml"))
    if textual and b"content-encoding" not in fields:
        try:
            return answer.body.decode("utf-8"), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(answer.body).decode("ascii"), True
