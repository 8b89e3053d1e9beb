"""Ctrl-C, SIGTERM and SIGHUP for a command that starts other processes."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While things start, a signal is a `KeyboardInterrupt`; later it is an event to wait for.

    From then on, while everything ends, further signals change nothing.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._starting = True
        self._held = 0

    def install(self) -> None:
        """Handle the signals from now on. Only in the main thread."""
        global _current
        _current = self
        for number in _SIGNALS:
            signal.signal(number, self._handle)

    def started(self) -> None:
        """What was to be started runs."""
        self._starting = False

    def wait(self) -> None:
        """Until a signal comes, or has come."""
        self._asked.wait()

    @contextmanager
    def _holding(self) -> Iterator[None]:
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        self._interrupt()

    def _handle(self, _: int, __: FrameType | None) -> None:
        self._asked.set()
        self._interrupt()

    def _interrupt(self) -> None:
        if self._asked.is_set() and self._starting and not self._held:
            self._starting = False  # once: what is undone then is not interrupted
            raise KeyboardInterrupt


_current: Interrupts | None = None


@contextmanager
def held() -> Iterator[None]:
    """A step that is not interrupted: a process is started, and who ends it is noted."""
    if _current is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    with _current._holding():  # noqa: SLF001
        yield
