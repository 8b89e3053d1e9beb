"""The processes of the app: each request goes to the one that has rested the longest."""

import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import IO, Any

from .apps import ARGUMENTS, NOTES

# Seconds for starting a process, on a machine that is busy.
_MARGIN = 3.0


@dataclass(frozen=True)
class Reply:
    """`status` 0: the process was killed, or gave no response in time."""

    status: int
    body: str = ""
    seconds: float = 0.0
    # Later than the gateway would have waited.
    late: bool = False

    @property
    def final(self) -> bool:
        """Whether a client is done with it."""
        return 200 <= self.status < 500 and self.status != 409

    @property
    def executed(self) -> str:
        """What the client is told of what was executed: "" nothing is said."""
        try:
            return str(json.loads(self.body).get("executed", ""))
        except (ValueError, AttributeError):
            return ""


class _Instance:
    def __init__(self, kind: str, environ: dict[str, str], log: IO[bytes]) -> None:
        self.kind = kind
        self._environ = environ
        self._log = log
        self._process = self._start()

    def ask(self, event: dict[str, Any]) -> Reply:
        if self._process.poll() is not None:
            self._process = self._start()
        began = time.monotonic()
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps(event).encode() + b"\n")
            stdin.flush()
            line = stdout.readline()
        except OSError:
            line = b""
        took = time.monotonic() - began
        late = took > float(self._environ["GATEWAY_TIMEOUT"]) + _MARGIN
        if not line:
            self.kill()
            return Reply(0, "", took, late)
        response = json.loads(line)
        return Reply(response["statusCode"], response["body"], took, late)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was not sent
                    continue

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.instance", self.kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=self._environ,
            cwd="/",
        )


class Instances:
    """`ask` may be called from any thread."""

    def __init__(
        self, kinds: list[str], port: int, folder: Path, seed: int, arguments: Mapping[str, Any]
    ) -> None:
        self._file = (folder / "app.log").open("ab")
        self._notes = folder / "notes"
        self._notes.touch()
        self._free: queue.Queue[_Instance] = queue.Queue()
        random = Random(seed)
        ours = {ARGUMENTS: json.dumps(arguments), NOTES: str(self._notes)}
        self._all = [
            _Instance(kind, {**_environment(port, random), **ours}, self._file) for kind in kinds
        ]
        for each in self._all:
            self._free.put(each)

    def ask(self, event: dict[str, Any]) -> Reply:
        """The response of the next free one."""
        instance = self._free.get()
        try:
            return instance.ask(event)
        finally:
            self._free.put(instance)

    def notes(self) -> list[str]:
        """The runs that have noted their COMMIT."""
        return self._notes.read_text().splitlines()

    def close(self) -> None:
        """End them all."""
        for each in self._all:
            each.kill()
        self._file.close()


def _environment(port: int, random: Random) -> dict[str, str]:
    tests = Path(__file__).parents[3]
    return {
        "PYTHONPATH": f"{tests / 'src'}{os.pathsep}{tests}",
        "PATH": os.environ.get("PATH", ""),
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(port),
        "DB_SSLMODE": "disable",
        "DB_PASSWORD": "trusted",
        "DB_CONNECT_TIMEOUT": "1",
        "DB_IDLE_SESSION_TIMEOUT": "5",
        # Its deadline comes a second earlier: before some late COMMITs, and behind others.
        "GATEWAY_TIMEOUT": str(random.choice((2.5, 4, 8))),
        "LOG_LEVEL": "WARNING",
    }


@contextmanager
def instances(
    kinds: list[str], port: int, folder: Path, seed: int, arguments: Mapping[str, Any]
) -> Iterator[Instances]:
    """So many processes as there are kinds, until the block ends."""
    made = Instances(kinds, port, folder, seed, arguments)
    try:
        yield made
    finally:
        made.close()
