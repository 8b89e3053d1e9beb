"""As much of PostgreSQL's protocol as one has to know to see a COMMIT and its answer."""

import re
import struct

# What an app puts into each row: which POST, and which run of its work (process, number).
RUN = re.compile(rb"(post-\d+)/(\d+)\.\d+")
_COMMIT = re.compile(rb"\bcommit\b", re.IGNORECASE)

_STARTUP = 3 << 16
_TYPE, _LENGTH = 1, 4


class Frames:
    """Bytes to messages. A client's first one has no type; `ready` once that has been seen."""

    def __init__(self, *, ready: bool) -> None:
        self._buffer = bytearray()
        self._ready = ready

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now, each as it was sent."""
        self._buffer += data
        found = []
        while (size := self._size()) and len(self._buffer) >= size:
            message = bytes(self._buffer[:size])
            del self._buffer[:size]
            if not self._ready:
                self._ready = struct.unpack_from("!I", message, _LENGTH)[0] == _STARTUP
            found.append(message)
        return found

    def _size(self) -> int:
        before = _TYPE if self._ready else 0
        if len(self._buffer) < before + _LENGTH:
            return 0
        return before + int(struct.unpack_from("!I", self._buffer, before)[0])


def is_commit(message: bytes) -> bool:
    """Whether a client's message is a COMMIT, with or without statements ahead of it."""
    return message[:1] in (b"Q", b"P") and _COMMIT.search(message) is not None


def run_in(message: bytes) -> str | None:
    """The run that a client's message speaks of."""
    found = RUN.search(message)
    return None if found is None else found[0].decode()


def post_of(run: str) -> str:
    """The POST that a run works for."""
    return run.partition("/")[0]


def process_of(run: str) -> int:
    """The app's process that a run is in."""
    return int(run.partition("/")[2].partition(".")[0])


def backend_of(message: bytes) -> int | None:
    """The server's process, from its BackendKeyData."""
    return int(struct.unpack_from("!I", message, 5)[0]) if message[:1] == b"K" else None


def is_committed(message: bytes) -> bool:
    """The server has committed (CommandComplete): not where it says ROLLBACK."""
    return message[:1] == b"C" and message[5:] == b"COMMIT\0"


def is_ready(message: bytes) -> bool:
    """The server is done with what it was sent (ReadyForQuery)."""
    return message[:1] == b"Z"


def is_ready_outside(message: bytes) -> bool:
    """It is done, and in no transaction."""
    return message[:1] == b"Z" and message[5:6] == b"I"
