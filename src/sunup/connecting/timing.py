"""Counts a statement for the request that it belongs to, and logs it at DEBUG: text and time.

Parameters are never logged: they may be personal data.
"""

import logging
import time

from sunup import request

logger = logging.getLogger("sunup.statements")


def begin() -> float:
    """The moment at which a statement begins, for `end`."""
    return time.perf_counter()


def end(began: float, text: str, rows: int) -> None:
    """A statement has ended, well or not; `rows` are those that it returned or changed."""
    seconds = time.perf_counter() - began
    current = request.active()
    if current is not None:
        current.note_query(seconds, rows)
        trace = current.trace  # a thread that was left behind races its end
        if trace is not None:
            trace.query(seconds, text)
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("%s", " ".join(text.split()), extra={"query_ms": round(seconds * 1000, 1)})
