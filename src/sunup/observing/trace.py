"""The trace that a request belongs to, and what is noted of it."""

import os
import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sunup.connecting.waking import Waking

# A page that lists more is no page that somebody reads; a datagram has 64 KB.
MOST_SPANS = 60

# W3C Trace Context, "traceparent Header": version, trace, parent, flags; zeros are invalid.
_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)

Headers = list[tuple[str, str]]


class Span:
    """A piece of work: times in seconds since the epoch, `text` of a statement."""

    __slots__ = ("begin", "end", "name", "text")

    def __init__(self, name: str, begin: float, end: float, text: str | None = None) -> None:
        self.name = name
        self.begin = begin
        self.end = end
        self.text = text


class Trace:
    """`root` and `parent` are as their system writes them."""

    def __init__(self, root: str, parent: str) -> None:
        self.root = root
        self.parent = parent
        self.spans: list[Span] = []
        self.left_out = 0

    def add(self, name: str, begin: float, end: float, text: str | None = None) -> None:
        """Note a piece of work that has ended."""
        if len(self.spans) < MOST_SPANS:
            self.spans.append(Span(name, begin, end, text))
        else:
            self.left_out += 1

    def query(self, seconds: float, text: str) -> None:
        """A statement has ended."""
        if len(self.spans) >= MOST_SPANS:
            self.left_out += 1
            return
        from .text import without_literals  # compiles a pattern, which ids do not need

        now = time.time()
        self.add("query", now - seconds, now, without_literals(text))

    def waited(self, seconds: float, *, resuming: bool) -> None:
        """A connection was waited for, and is there, or will not be."""
        now = time.time()
        self.add("resume" if resuming else "connect", now - seconds, now)

    def connected(self, waking: "Waking") -> None:
        """A series of attempts to connect has ended."""
        self.add("connect", waking.began, time.time())


def traceparent(headers: Headers) -> tuple[str, str, bool] | None:
    """The trace, its parent and whether it is sampled, of a valid W3C header; None without one."""
    values = [value for name, value in headers if name == "traceparent"]
    if len(values) != 1:  # several are as good as none
        return None
    found = _TRACEPARENT.fullmatch(values[0].strip())
    # A later version may have more.
    if found is None or (found[1] == "00" and found[5] is not None):
        return None
    return found[2], found[3], bool(int(found[4], 16) & 1)


def xray_header() -> dict[str, str]:
    """`Root`, `Parent` and `Sampled` of the invocation, as Lambda has them (`_X_AMZN_TRACE_ID`)."""
    text = os.environ.get("_X_AMZN_TRACE_ID", "")
    pairs = (each.partition("=") for each in text.split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def id_of(headers: Headers) -> str | None:
    """The trace for the log: the client's own, else X-Ray's."""
    sent = traceparent(headers)
    return sent[0] if sent is not None else xray_header().get("Root") or None
