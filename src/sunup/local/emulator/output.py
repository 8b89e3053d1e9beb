"""What a sandbox writes to its standard output and error, as lines of a log."""

import asyncio
import os
from collections.abc import Callable

# The most that one event of CloudWatch Logs holds (CloudWatch Logs User Guide, quotas); a longer
# line goes on in the next one.
LONGEST_LINE = 1024 * 1024

# More than a pipe holds, in case somebody writes on.
_MOST_PIECES = 64


class Output:
    """Reads the end of a pipe on the event loop, also while the writer is frozen."""

    def __init__(self, descriptor: int, log: Callable[[str], None]) -> None:
        self._descriptor = descriptor
        self._log = log
        self._rest = b""
        os.set_blocking(descriptor, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._read)

    def close(self) -> None:
        """Take what is there, and close the pipe: somebody may hold its other end for ever."""
        if self._descriptor < 0:
            return
        for _ in range(_MOST_PIECES):
            if not self._read():
                break
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        if self._rest:
            self._tell(self._rest)

    def _read(self) -> bool:
        """One piece; false when there is none now."""
        try:
            data = os.read(self._descriptor, 65536)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(self._descriptor)
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._tell(line)
        while len(self._rest) >= LONGEST_LINE:
            self._tell(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]
        return True

    def _tell(self, line: bytes) -> None:
        self._log(line.decode(errors="replace"))
