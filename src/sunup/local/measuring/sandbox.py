"""A package in the emulator: started again and again, and watched."""

import asyncio
import json
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import psutil

from sunup.local.emulator import Emulator
from sunup.local.emulator.instance import Function, Instance, InstanceFailed
from sunup.local.emulator.limits import ONE_PROCESSOR_MB, peak_megabytes
from sunup.local.emulator.payloads import event_2
from sunup.local.errors import CommandError

T = TypeVar("T")

HOOK = Path(__file__).with_name("hook.py")

# A package's start may be slow where the processor is shared.
_LIMIT = 60.0
# Bytes of Lambda's own line about a request, which is not among an instance's.
_REPORT = 180
_HEADERS = ((b"accept", b"application/json"), (b"user-agent", b"sunup-measure"))


@dataclass(frozen=True)
class Sample:
    """One start. Times in seconds of the clock, `processor` those of the processor.

    `init` is from the process's start to its asking for the first event; `first` and `warm` are
    requests. `processor` has INIT's, the first request's, and a warm one's.
    """

    init: float
    first: float
    warm: list[float]
    processor: tuple[float, float, float]
    peak_mb: float
    status: int
    # What one warm request wrote to the log.
    log_bytes: float


class Sandbox:
    """Starts one function of an emulated AWS, outside of its gateway."""

    def __init__(self, aws: Emulator, path: str) -> None:
        self._aws = aws
        self._path = path
        self._instance: Instance | None = None
        self._function = replace(
            aws.functions.function,
            timeout=_LIMIT,
            enforce_memory=False,
            environ={**aws.options.environ, **aws.environ},
        )

    def start(self, memory: int, warm: int) -> Sample:
        """Start, ask once, ask `warm` times again. Raises `CommandError`."""
        return self._run(self._sample(memory, warm))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """To its end; where that is not waited for (Ctrl-C), the instance is ended first."""
        try:
            return self._aws.run(work)
        except KeyboardInterrupt:
            if self._instance is not None:
                self._aws.run(self._instance.stop())
            raise

    def profile(self, file: Path, *, edges: bool) -> tuple[float, dict[str, Any]]:
        """What one start did, as hook.py notes it, and when it began (`perf_counter`)."""
        environ = {"SUNUP_MEASURE_FILE": str(file)}
        if edges:
            environ["SUNUP_MEASURE_EDGES"] = "1"
        function = replace(
            self._function,
            memory=ONE_PROCESSOR_MB,
            environ={**self._function.environ, **environ},
            bootstrap=(sys.executable, "-S", "-s", str(HOOK), self._function.handler),
        )
        began = self._run(self._profiled(function))
        return began, json.loads(file.read_text(encoding="utf-8"))

    async def _sample(self, memory: int, warm: int) -> Sample:
        lines: list[str] = []
        instance = Instance(replace(self._function, memory=memory), lines.append)
        self._instance = instance
        try:
            began = time.perf_counter()
            await instance.start(limit=_LIMIT)
            init = time.perf_counter() - began
            used = [processor_seconds(instance.pid)]
            first, status = await self._ask(instance)
            used.append(processor_seconds(instance.pid))
            before = _size(lines)
            took = [(await self._ask(instance))[0] for _ in range(warm)]
            used.append(processor_seconds(instance.pid))
            written = (_size(lines) - before) / max(1, warm)
            peak = peak_megabytes(instance.pid)
        except InstanceFailed as error:
            raise _failed(str(error)) from None
        finally:
            await instance.stop()
        processor = (used[0], used[1] - used[0], (used[2] - used[1]) / max(1, warm))
        return Sample(init, first, took, processor, peak, status, written + _REPORT)

    async def _profiled(self, function: Function) -> float:
        instance = Instance(function, lambda line: None)
        self._instance = instance
        began = time.perf_counter()
        try:
            await instance.start(limit=_LIMIT)
            await self._ask(instance)
            # The second time that it asks for an event is noted a moment after its answer.
            await asyncio.sleep(0.05)
        except InstanceFailed as error:
            raise _failed(str(error)) from None
        finally:
            await instance.stop()
        return began

    async def _ask(self, instance: Instance) -> tuple[float, int]:
        """Seconds until the answer, and its status. Raises `CommandError`."""
        content = event("GET", self._path, b"", _HEADERS)
        began = time.perf_counter()
        outcome = await instance.invoke(content)
        took = outcome.at - began
        answer = json.loads(outcome.body or b"{}")
        status = answer.get("statusCode") if isinstance(answer, dict) else None
        if outcome.error or not isinstance(status, int) or status >= 500:
            words = outcome.body.decode("utf-8", "replace")[:300]
            raise CommandError(
                f"GET {self._path} was answered with {words}",
                "Name a path that the app answers by itself: --path /health?deep=1",
            )
        return took, status


def _failed(reason: str) -> CommandError:
    return CommandError(
        f"the app fails in the emulated AWS: {reason}",
        "What it needs of variables is passed by --env NAME=VALUE; sunup emulate shows its log.",
    )


def _size(lines: list[str]) -> int:
    return sum(len(each.encode()) + 1 for each in lines)


def processor_seconds(pid: int) -> float:
    """Seconds of the processor that all threads of a process used (schedstat in proc(5))."""
    tasks = Path(f"/proc/{pid}/task")
    if tasks.is_dir():
        texts = [(each / "schedstat").read_text() for each in tasks.iterdir()]
        return sum(int(each.split()[0]) for each in texts) / 1e9
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def event(method: str, target: str, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A request as an HTTP API hands it on."""
    path, _, query = target.partition("?")
    scope: Mapping[str, Any] = {
        "method": method,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [
            (b"host", b"a1b2c3.execute-api.eu-central-1.amazonaws.com"),
            *headers,
            (b"x-forwarded-for", b"192.0.2.1"),
            (b"x-forwarded-port", b"443"),
            (b"x-forwarded-proto", b"https"),
        ],
        "http_version": "1.1",
        "client": ("192.0.2.1", 50000),
    }
    return json.dumps(event_2(dict(scope), body, time.time())).encode()
