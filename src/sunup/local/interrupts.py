"""Ctrl-C, SIGTERM and SIGHUP for a command that starts other processes."""

import signal
import sys
import tempfile
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Seconds between looks.
_LOOKS = 0.2

# Seconds until a lost interrupt is tried again.
_AGAIN = 0.01


class Interrupts:
    """While things start, a signal is a `KeyboardInterrupt`; later it is an event to wait for.

    From then on, while everything ends, further signals change nothing. The block starts it all.
    """

    def __init__(self) -> None:
        # Not an Event: its lock is taken by `wait`, too, which the handler interrupts. This one's
        # put may interrupt its get (Python, "SimpleQueue Objects").
        self._asked: SimpleQueue[int] = SimpleQueue()
        self._starting = True
        self._started = False

    def __enter__(self) -> Self:
        """Handle the signals from now on. Only in the main thread."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            tempfile.gettempdir()  # the first time it writes a file there, to see whether it can
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._before = sys.unraisablehook
        sys.unraisablehook = self._lost
        for number in _SIGNALS:
            signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Whatever the interrupt became on its way is one: Python 3.11 wraps it in a class body."""
        self._starting = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = self._before
        if isinstance(error, Exception) and not self._started and not self._asked.empty():
            raise KeyboardInterrupt from None

    def started(self) -> None:
        """What was to be started runs."""
        self._starting, self._started = False, True

    def wait(self) -> None:
        """Until a signal comes, or has come.

        Not asleep for good: the system may give a signal to any thread, and Python, which runs the
        handler in this one, wakes nobody for that.
        """
        while self._asked.empty():
            with suppress(Empty):
                self._asked.put(self._asked.get(timeout=_LOOKS))  # it stays so

    def _handle(self, number: int, _: FrameType | None) -> None:
        self._asked.put(number)
        if self._starting:
            self._starting = False  # once: what is undone then is not interrupted
            raise KeyboardInterrupt

    def _lost(self, unraisable: "sys.UnraisableHookArgs") -> None:
        """It came in what Python calls by itself, such as `__del__`, where no error leads out."""
        if unraisable.exc_type is not KeyboardInterrupt or self._started:
            self._before(unraisable)
            return
        signal.signal(signal.SIGALRM, self._handle)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        self._starting = True  # last: from here on it may be raised
