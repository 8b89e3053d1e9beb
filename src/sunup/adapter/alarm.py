"""Ends an app that blocks the main thread beyond the request's deadline.

asyncio can cancel only what awaits, and a WSGI app never does. A signal's handler runs between any
two steps of the main thread's Python code, and can raise there. It looks first at where that is:
nothing is raised before the app was called or after it has returned, in the midst of what must not
be torn (an event loop, a driver, a pool, a lock of logging's, an import), or in a clean-up. Then it
looks again a moment later.
"""

import signal
import sys
import threading

# The `signal` module's own makes an enum of each handler: 4 us a request.
from _signal import getsignal  # type: ignore[import-not-found]

from sunup import deadline
from sunup.deadline import DeadlineExceeded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType

# Seconds after the deadline, at which what still runs awaits nothing: it blocks.
BLOCKED = deadline.GRACE + 0.1

# Seconds until it looks again.
_AGAIN = 0.05

# Packages whose code is not torn, nor the code that they call back.
_WHOLE = frozenset(("asyncpg", "importlib", "logging", "sunup"))
_WHOLE_MODULES = frozenset(
    (
        "_frozen_importlib",
        "_frozen_importlib_external",
        "sqlalchemy.pool.base",
        "sqlalchemy.pool.impl",
    )
)
# Stand between the runner and the app where they are used.
_TRANSPARENT = frozenset(
    (
        "sunup.adapter.middleware",
        "sunup.adapter.wsgi",
        "sunup.integrations.django.exactly_once",
        "sunup.receipts",
        "sunup.receipts.asgi",
        "sunup.receipts.flow",
        "sunup.receipts.service",
        "sunup.receipts.wsgi",
    )
)

# Of these, what may itself be torn.
_ALWAYS = "sunup.adapter.middleware"

# Where a block ends, whatever happened in it.
_CLEANUPS = frozenset(("__exit__", "__aexit__", "__del__"))

_MAIN = threading.main_thread().ident
_SIGALRM = int(signal.SIGALRM)
_armed: "tuple[CodeType, ...]" = ()
_raised: list[DeadlineExceeded] = []


def arm(seconds: float, callers: "tuple[CodeType, ...]") -> None:
    """Raise `DeadlineExceeded` in what `callers` call after `seconds`, unless disarmed.

    `callers` are the functions that call the app's code. Nothing happens on a thread that is not
    the main one, or in a process that uses SIGALRM itself.
    """
    global _armed
    _raised.clear()
    if _prepare():
        _armed = callers
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), _AGAIN)


def disarm() -> None:
    """The app has answered."""
    global _armed
    if _armed:
        _armed = ()
        signal.setitimer(signal.ITIMER_REAL, 0)


def rang() -> bool:
    """Whether it was raised since it was armed."""
    return bool(_raised)


def _prepare() -> bool:
    if threading.get_ident() != _MAIN:
        return False
    handler = getsignal(_SIGALRM)
    if handler is _ring:
        return True
    if handler == signal.SIG_DFL:
        signal.signal(_SIGALRM, _ring)
        return True
    return False  # the app uses it


def _ring(_: object, frame: "FrameType | None") -> None:
    if not _armed or not _may_tear(frame, _armed) or _is_handled():
        return
    error = DeadlineExceeded("the app blocked beyond the deadline")
    _raised.append(error)
    raise error


def _may_tear(frame: "FrameType | None", callers: "tuple[CodeType, ...]") -> bool:
    """Whether all that is under way is the app's own, from its caller down to this frame."""
    app = False
    while frame is not None:
        if frame.f_code in callers:
            return app
        name = frame.f_globals.get("__name__", "")
        package = name.partition(".")[0]
        if package == "asyncio" and not app:
            return False  # in the midst of a callback; what a loop waits for may be torn
        if name in _TRANSPARENT and name != _ALWAYS:
            frame = frame.f_back  # it calls the app, or else it is not to be torn
            continue
        app = True
        if frame.f_code.co_name in _CLEANUPS or name in _WHOLE_MODULES:
            return False
        if package in _WHOLE and name != _ALWAYS:
            return False
        frame = frame.f_back
    return False  # the app is not running, or elsewhere


def _is_handled() -> bool:
    """Whether the app is cleaning up after the last one: in an `except` or a `finally`."""
    handled = sys.exception()
    seen = 0
    while handled is not None and seen < 100:
        if handled in _raised or isinstance(handled, DeadlineExceeded):
            return True
        handled, seen = handled.__context__, seen + 1
    return False
