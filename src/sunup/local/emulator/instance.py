"""One function instance: a real awslambdaric process, frozen between requests."""

import asyncio
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .family import Family, ended
from .limits import ProcessorShare, peak_megabytes
from .output import Output
from .runtime_api import Invocation, Outcome, RuntimeApi

# Lambda Developer Guide, "Lambda runtime environment": INIT is limited to 10 s.
INIT_LIMIT = 10.0

_MEMORY_SAMPLE = 0.1


@dataclass(frozen=True)
class Function:
    """What is deployed: `code` is a folder, `timeout` in seconds, `memory` in MB."""

    code: Path
    handler: str = "lambda_function.handler"
    name: str = "sunup-app"
    region: str = "eu-central-1"
    memory: int = 256
    timeout: float = 30.0
    environ: Mapping[str, str] = field(default_factory=dict)
    # A folder whose content lies at the top of the package: `src`.
    source: Path | None = None
    python: str = sys.executable
    # A folder with the runtime's modules: then nothing else of this Python's site-packages is seen.
    runtime: Path | None = None
    # What runs instead of Python and its runtime client: the bootstrap of a custom runtime.
    bootstrap: tuple[str, ...] | None = None
    # Whether its requests' traces are recorded (TracingConfig: Active; here all of them).
    sampled: bool = False
    # Whether a process that uses more than `memory` is killed; its processor share is unaffected.
    enforce_memory: bool = True

    @property
    def arn(self) -> str:
        """The function's name in full, in an account that AWS uses in its examples."""
        return f"arn:aws:lambda:{self.region}:123456789012:function:{self.name}"


class InstanceFailed(Exception):
    """The instance ended: it crashed, ran out of time, or could not be initialised."""


class Instance:
    """A process that serves one event at a time. `state` is init, running, frozen or gone."""

    def __init__(self, function: Function, log: Callable[[str], None]) -> None:
        self.id = uuid.uuid4().hex
        self.state = "init"
        self.requests = 0
        self._function = function
        self._log = log
        self._api = RuntimeApi()
        self._process: asyncio.subprocess.Process | None = None
        self._family: Family | None = None
        self._output: Output | None = None
        self._watch: asyncio.Task[None] | None = None
        self._share = ProcessorShare(self.id[:12], function.memory)
        self.last_request_id = ""
        self.peak_memory = 0
        self._out_of_memory = False

    async def start(self, limit: float = INIT_LIMIT) -> None:
        """Start the process and wait for the end of its INIT, then freeze it.

        Raises `InstanceFailed` when INIT fails, takes longer than `limit` seconds, or no process
        can be had.
        """
        try:
            self._process = await self._started()
        except (OSError, ValueError) as error:
            # This machine is out of processes or files (EAGAIN, EMFILE); or a variable has a NUL.
            await self.stop()
            reason = getattr(error, "strerror", None) or error
            raise InstanceFailed(f"no process can be started: {reason}") from None
        except BaseException:
            await self.stop()
            raise
        self._watch = asyncio.create_task(self._watch_memory(self._process))
        ready = asyncio.create_task(self._api.ready.wait())
        try:
            await self._first(ready, self._api.init_error, limit=limit)
            self._look_at_memory(self._process)
            if not ready.done() or self._out_of_memory:
                raise InstanceFailed(self._init_failure())  # noqa: TRY301
        except BaseException:
            await self.stop()
            raise
        finally:
            ready.cancel()
        self._share.limit()
        self._freeze()

    async def _started(self) -> asyncio.subprocess.Process:
        address = await self._api.start()
        reader, writer = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._share.entered_by(command(self._function))
                if self._function.bootstrap
                else command(self._function),
                cwd=self._function.code,
                env=environment(self._function, address, self.id),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                start_new_session=True,
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self._share.add(process.pid)
        self._family = Family(process.pid, self._share, self.id)
        self._output = Output(reader, self._log)
        return process

    async def invoke(self, event: bytes, trace: str | None = None) -> Outcome:
        """Thaw the process, give it an event, freeze it after its outcome.

        `trace` is the root of the trace that the event belongs to; a new one unless given.

        Raises `InstanceFailed` when it crashes or exceeds the function's timeout; it is gone then.
        """
        assert self._process is not None
        self._thaw()
        self.requests += 1
        timeout = self._function.timeout
        invocation = Invocation(
            request_id=str(uuid.uuid4()),
            event=event,
            deadline_ms=int((time.time() + timeout) * 1000),
            arn=self._function.arn,
            trace_id=_trace(trace, sampled=self._function.sampled),
        )
        self.last_request_id = invocation.request_id
        self._log(f"START RequestId: {invocation.request_id} Version: $LATEST")
        outcome = self._api.invoke(invocation)
        try:
            await self._first(outcome, limit=timeout)
            if not outcome.done():
                raise InstanceFailed(self._invocation_failure())  # noqa: TRY301
            # Lambda freezes when the runtime asks for the next event.
            ready = asyncio.create_task(self._api.ready.wait())
            await self._first(ready, limit=2.0)
            ready.cancel()
            self._look_at_memory(self._process)
            if self._out_of_memory:
                raise InstanceFailed(self._invocation_failure())  # noqa: TRY301
        except BaseException:
            await self.stop()
            raise
        self._freeze()
        self._log(f"END RequestId: {invocation.request_id}")
        return outcome.result()

    @property
    def pid(self) -> int:
        """Of the process that was started. Raises `ProcessLookupError` when none was."""
        if self._process is None:
            raise ProcessLookupError
        return self._process.pid

    async def stop(self) -> None:
        """Kill the process and all that it started, as Lambda does: without warning."""
        self.state = "gone"
        if self._family is not None:
            family, self._family = self._family, None  # once: the numbers are used again
            await family.kill()
        if self._process is not None:
            await self._process.wait()
        if self._watch is not None:
            await self._watch
        if self._output is not None:
            self._output.close()
        self._share.remove()
        await self._api.stop()

    def _init_failure(self) -> str:
        if self._api.init_error.done():
            return self._api.init_error.result().error_message
        assert self._process is not None
        if self._out_of_memory:
            return "Runtime.OutOfMemory"
        if self._process.returncode is not None:
            return f"the process ended with status {self._process.returncode}"
        return "INIT took longer than its limit"

    def _invocation_failure(self) -> str:
        """In the words of Lambda's own log lines."""
        assert self._process is not None
        if self._out_of_memory:
            return "Runtime exited with error: signal: killed (Runtime.OutOfMemory)"
        if self._process.returncode is None:
            return f"Task timed out after {self._function.timeout:.2f} seconds"
        return ended(self._process.returncode)

    async def _first(
        self,
        *awaited: "asyncio.Future[object] | asyncio.Future[Outcome] | asyncio.Task[bool]",
        limit: float,
    ) -> None:
        assert self._process is not None
        ended = asyncio.create_task(self._process.wait())
        try:
            await asyncio.wait(
                [*awaited, ended], timeout=limit, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            ended.cancel()

    async def _watch_memory(self, process: asyncio.subprocess.Process) -> None:
        """Kill what uses more than the memory setting."""
        while process.returncode is None:
            if self.state != "frozen":
                self._look_at_memory(process)
            with suppress(TimeoutError):
                async with asyncio.timeout(_MEMORY_SAMPLE):
                    await process.wait()

    def _look_at_memory(self, process: asyncio.subprocess.Process) -> None:
        self.peak_memory = max(self.peak_memory, int(peak_megabytes(process.pid)))
        if self.peak_memory > self._function.memory and self._function.enforce_memory:
            self._out_of_memory = True
            self._signal(signal.SIGKILL)

    def _freeze(self) -> None:
        self.state = "frozen"
        self._signal(signal.SIGSTOP)
        if self._process is None or self._process.returncode is not None:
            self.state = "gone"  # it has answered, and ended

    def _thaw(self) -> None:
        self.state = "running"
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        try:
            if self._family is None:
                raise ProcessLookupError  # noqa: TRY301
            self._family.signal(number)
        except ProcessLookupError:
            self.state = "gone"


def _trace(root: str | None, *, sampled: bool) -> str:
    """As Lambda hands it to the runtime."""
    root = root or f"1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"
    return f"Root={root};Parent={uuid.uuid4().hex[:16]};Sampled={int(sampled)}"


def command(function: Function) -> tuple[str, ...]:
    """What starts a sandbox's process."""
    if function.bootstrap is not None:
        return function.bootstrap
    alone = () if function.runtime is None else ("-S", "-s")
    return (function.python, *alone, "-m", "awslambdaric", function.handler)


def environment(function: Function, runtime_api: str, instance: str) -> dict[str, str]:
    """The environment variables of a sandbox.

    Lambda Developer Guide, "Working with Lambda environment variables": the reserved and the
    defined ones. Nothing of this machine's environment gets in except PATH.
    """
    major, minor = sys.version_info[:2]
    paths = (function.code, function.source, function.runtime)
    stamp = time.strftime("%Y/%m/%d")
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": os.pathsep.join(str(each) for each in paths if each is not None),
        "PYTHONDONTWRITEBYTECODE": "1",  # the code's folder is read-only on Lambda
        "LAMBDA_TASK_ROOT": str(function.code),
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "_HANDLER": function.handler,
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{major}.{minor}",
        "AWS_REGION": function.region,
        "AWS_DEFAULT_REGION": function.region,
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{stamp}/[$LATEST]{instance}",
        **function.environ,
    }
