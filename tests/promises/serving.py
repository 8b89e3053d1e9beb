"""`python -m tests.promises.serving KIND FD`: an app as a Lambda instance has it, asked through a pipe.

Python and the app's libraries are imported once; each "begin" forks a process with a handler of its
own. In it the handler runs on the main thread, as on Lambda, so that the alarm can ring.
"""

import asyncio
import gc
import json
import os
import socket
import sys
import threading
import time
from typing import IO, Any

from . import apps


class Context:
    """What Lambda passes."""

    def __init__(self, seconds: float, number: int) -> None:
        self.aws_request_id = f"r{number}"
        self._end = time.time() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end - time.time()) * 1000)


def census() -> dict[str, Any]:
    """What there is in this process that could be left behind."""
    tasks = [each for each in gc.get_objects() if isinstance(each, asyncio.Task)]
    return {
        "tasks": [str(each.get_coro()) for each in tasks if not each.done()],
        "threads": [each.name for each in threading.enumerate()],
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
    }


def serve(kind: apps.Kind, stream: IO[str]) -> None:
    """One instance's life."""
    from sunup import Handler

    app, database = apps.of(kind)
    handler = Handler(app, database=database)
    for number, line in enumerate(stream):
        asked = json.loads(line)
        if asked == "census":
            told: Any = census()
        else:
            told = handler(asked["event"], Context(asked["seconds"], number))
        say(stream, told)


def say(stream: IO[str], told: Any) -> None:
    """One line of JSON."""
    stream.write(json.dumps(told) + "\n")
    stream.flush()


def main(kind: apps.Kind, descriptor: int) -> None:
    """Begin an instance at each line, after the last one's end."""
    apps.imported(kind)
    with socket.socket(fileno=descriptor) as channel, channel.makefile("rw") as stream:
        for _ in stream:
            child = os.fork()
            if child == 0:
                serve(kind, stream)
            say(stream, child)
            os.waitpid(child, 0)
            say(stream, "ended")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))  # type: ignore[arg-type]
