"""Ends an app that blocks the main thread beyond the request's deadline.

asyncio can cancel only what awaits, and a WSGI app never does. A signal's handler runs between any
two steps of the main thread's Python code, and can raise there.
"""

import asyncio
import signal
import threading

from .answers import DeadlineExceeded

# An app that swallows the exception gets it again.
_AGAIN = 0.25

_MAIN = threading.main_thread().ident
_ready: bool | None = None
_armed = False
rang = False


def arm(seconds: float) -> None:
    """Raise `DeadlineExceeded` in the app's code after so many seconds, unless disarmed.

    An event loop's own code is left alone. Nothing happens on a thread that is not the main one,
    and in a process that uses SIGALRM itself.
    """
    global _armed, rang
    rang = False
    if _prepare():
        _armed = True
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), _AGAIN)


def disarm() -> None:
    """The app has answered."""
    global _armed
    if _armed:
        _armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)


def _prepare() -> bool:
    global _ready
    if threading.get_ident() != _MAIN:
        return False
    if _ready is None:
        _ready = signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
        if _ready:
            signal.signal(signal.SIGALRM, _ring)
    return _ready


def _ring(*_: object) -> None:
    global rang
    if not _armed:
        return
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        pass  # a WSGI app
    else:
        if asyncio.current_task(loop) is None:
            return  # the loop itself, which will see its timer
    rang = True
    raise DeadlineExceeded
