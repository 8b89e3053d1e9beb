"""An app in a process of its own, asked like a Lambda instance and frozen between its requests."""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .apps import Kind

ROOT = Path(__file__).parent.parent.parent

# Seconds that `sunup` leaves between an app's deadline and the function's end.
MARGIN = 1.0


@dataclass
class Reply:
    """What the gateway gets, and when."""

    status: int
    headers: dict[str, str]
    text: str
    seconds: float

    @property
    def error(self) -> dict[str, Any]:
        """The body of sunup's own answer."""
        told: dict[str, Any] = json.loads(self.text)
        return told

    @property
    def may_be_repeated(self) -> bool:
        """Whether the client is told that nothing was executed."""
        return "retry-after" in self.headers


class Instances:
    """Begins instances of an app, one after the other, each with nothing of the last one's."""

    def __init__(self, kind: Kind, environ: Mapping[str, str], log: Path) -> None:
        self.log = log
        ours, theirs = socket.socketpair()
        with theirs, log.open("wb") as told:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.promises.serving", kind, str(theirs.fileno())],
                cwd=ROOT,
                env={**_inherited(), **environ},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
            )
        ours.settimeout(60)
        self._channel = ours
        self._stream = ours.makefile("rw")
        self._instance: int | None = None
        self._frozen_at = 0.0

    def begin(self) -> None:
        """A new instance."""
        self.end()
        self._stream.write("begin\n")
        self._stream.flush()
        self._instance = self._heard()
        self._freeze()

    def ask(
        self, path: str, row: str = "", number: float = 0, *, left: float = 10, method: str = "POST"
    ) -> Reply:
        """One request, with so many seconds left until its deadline."""
        event = {
            "version": "2.0",
            "rawPath": f"/{path}",
            "rawQueryString": f"{row}&{number}",
            "headers": {"host": "example.com"},
            "requestContext": {
                "http": {
                    "method": method,
                    "path": f"/{path}",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1",
                },
                "timeEpoch": int(time.time() * 1000),
            },
            "isBase64Encoded": False,
        }
        began = time.monotonic()
        told = self._asked({"event": event, "seconds": left + MARGIN})
        text = told.get("body", "")
        if told.get("isBase64Encoded"):
            text = base64.b64decode(text).decode()
        took = time.monotonic() - began
        return Reply(told["statusCode"], told.get("headers", {}), text, took)

    def census(self) -> dict[str, Any]:
        """Tasks and threads, by name, and the count of descriptors of the instance."""
        told: dict[str, Any] = self._asked("census")
        return told

    def end(self) -> None:
        """Lambda takes the instance away."""
        if self._instance is not None:
            os.kill(self._instance, signal.SIGKILL)
            self._instance = None
            assert self._heard() == "ended"

    def close(self) -> None:
        """End it all."""
        with contextlib.suppress(OSError, AssertionError):
            self.end()
        self._process.kill()
        self._process.wait()
        self._stream.close()
        self._channel.close()

    def _asked(self, what: Any) -> Any:
        assert self._instance is not None
        os.kill(self._instance, signal.SIGCONT)
        self._stream.write(json.dumps(what) + "\n")
        self._stream.flush()
        told = self._heard()
        self._freeze()
        return told

    def _freeze(self) -> None:
        assert self._instance is not None
        os.kill(self._instance, signal.SIGSTOP)

    def _heard(self) -> Any:
        line = self._stream.readline()
        if not line:
            raise AssertionError(f"the instance has ended: {self.log.read_text()[-2000:]}")
        return json.loads(line)


@contextlib.contextmanager
def instances(kind: Kind, environ: Mapping[str, str], log: Path) -> Iterator[Instances]:
    """`Instances` with their first one, ended with the block."""
    made = Instances(kind, environ, log)
    try:
        made.begin()
        yield made
    finally:
        made.close()


def _inherited() -> dict[str, str]:
    """The environment without what is sunup's, with sunup's own folder first on the path."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "DB_", "SUNUP_"))
    }
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1"}
