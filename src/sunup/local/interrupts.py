"""Ctrl-C, SIGTERM and SIGHUP for a command that starts other processes."""

import signal
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Seconds between looks.
_LOOKS = 0.2


class Interrupts:
    """While things start, a signal is a `KeyboardInterrupt`; later it is an event to wait for.

    From then on, while everything ends, further signals change nothing.
    """

    def __init__(self) -> None:
        # Not an Event: its lock is taken by `wait`, too, which the handler interrupts. This one's
        # put may interrupt its get (Python, "SimpleQueue Objects").
        self._asked: SimpleQueue[int] = SimpleQueue()
        self._starting = True

    def install(self) -> None:
        """Handle the signals from now on. Only in the main thread."""
        for number in _SIGNALS:
            signal.signal(number, self._handle)

    def started(self) -> None:
        """What was to be started runs."""
        self._starting = False

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
