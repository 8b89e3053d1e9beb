"""INIT without searches for garbage that is not there, and an environment that stays in its place.

Importing makes objects that stay: at CPython's default threshold the collector looks through them
over and over, for 5 to 8 % of an INIT (docs/decisions/0011-cold-start.md).
"""

import gc
import os

# A collection begins at this many more objects made than freed: more than an app's imports make.
# FastAPI and SQLAlchemy leave some 150,000; 50,000 cost 1.2 % of the instructions of their INIT.
_THRESHOLD = 1_000_000

_default: tuple[int, int, int] | None = None


def settle_environment() -> None:
    """Have the variable that Lambda's runtime sets at each invocation, before any thread reads.

    A new variable may move the process's environment, and the C library before glibc 2.41 (Amazon
    Linux 2023 has 2.34) frees what a driver, OpenSSL or `getaddrinfo` may be reading at that moment
    in a thread that still connects: a segmentation fault (setenv(3): MT-Unsafe). A variable that is
    there only gets another value.
    """
    os.environ.setdefault("_X_AMZN_TRACE_ID", "")


def begin() -> None:
    """Collect less. An app that has set the threshold, or switched collecting off, is obeyed."""
    global _default
    if _default is None and gc.isenabled() and 0 < gc.get_threshold()[0] < _THRESHOLD:
        _default = gc.get_threshold()
        gc.set_threshold(_THRESHOLD, *_default[1:])


def end() -> None:
    """Collect as before; what was imported is never looked through again (`gc.freeze`)."""
    global _default
    if _default is None:
        return
    if gc.get_threshold() == (_THRESHOLD, *_default[1:]):
        gc.set_threshold(*_default)
        gc.freeze()
    _default = None
