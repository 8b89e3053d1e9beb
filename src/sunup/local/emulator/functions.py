"""The Lambda service: instances made when all are busy, throttled, reaped, reported."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

from .instance import Function, Instance, InstanceFailed
from .options import FunctionOptions
from .runtime_api import Outcome
from .timeline import Timeline
from .tokens import Iam


class Throttled(Exception):
    """All instances that reserved concurrency allows are busy."""


class Functions:
    """Runs one function. All methods are called on one event loop."""

    def __init__(
        self,
        function: Function,
        environ: Mapping[str, str],
        iam: Iam,
        options: FunctionOptions,
        timeline: Timeline,
    ) -> None:
        self.function = function
        self.environ = environ
        self._iam = iam
        self._options = options
        self._timeline = timeline
        self.instances: list[Instance] = []
        self.gone: list[Instance] = []
        self._idle_since: dict[str, float] = {}
        self._starting = 0
        self._reaper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to reap idle instances."""
        self._reaper = asyncio.create_task(self._reap_idle())

    async def stop(self) -> None:
        """End all instances."""
        if self._reaper is not None:
            self._reaper.cancel()
            await asyncio.gather(self._reaper, return_exceptions=True)
        await asyncio.gather(*(self._end(each, "stopped") for each in list(self.instances)))

    async def invoke(self, event: bytes, trace: str | None = None) -> Outcome:
        """Give an event to an instance. Raises `Throttled`, `InstanceFailed`.

        `trace` is the root of the trace that the request belongs to.
        """
        instance = self._idle_instance()
        began = time.monotonic()
        init = 0.0
        if instance is None:
            instance = await self._new()
            init = time.monotonic() - began
        began = time.monotonic()
        try:
            outcome = await instance.invoke(event, trace)
        except BaseException as error:
            # A caller that is gone does not stop Lambda: only a failed instance ends here.
            await self._end(instance, str(error) or type(error).__name__)
            raise
        duration = time.monotonic() - began
        self._report(instance, duration, init)
        if instance.state == "gone":
            await self._end(instance, "the runtime ended")
        else:
            self._idle_since[instance.id] = time.monotonic()
            self._note(instance)
        return outcome

    def _idle_instance(self) -> Instance | None:
        """The frozen instance that was used last: the others may then be reaped."""
        frozen = [each for each in self.instances if each.state == "frozen"]
        if not frozen:
            return None
        instance = max(frozen, key=lambda each: self._idle_since.get(each.id, 0.0))
        instance.state = "running"  # nobody else takes it
        self._note(instance)
        return instance

    async def _new(self) -> Instance:
        if len(self.instances) >= self._options.concurrency:
            self._timeline.add("throttled")
            raise Throttled
        instance = self._make()
        try:
            await instance.start()
        except InstanceFailed as error:
            # Lambda runs INIT once more, now under the function's timeout (Developer Guide,
            # "Lambda runtime environment", failures during INIT).
            self._timeline.add("log", instance=instance.id, line=f"INIT_REPORT Status: {error}")
            await self._end(instance, str(error))
            instance = self._make()
            try:
                await instance.start(limit=self.function.timeout)
            except BaseException as again:
                await self._end(instance, str(again) or type(again).__name__)
                raise
        except BaseException as error:
            await self._end(instance, str(error) or type(error).__name__)
            raise
        instance.state = "running"
        self._note(instance)
        return instance

    def _make(self) -> Instance:
        environ = {**self.environ, **self._iam.current.environment()}
        function = replace(self.function, environ=environ)

        def log(line: str) -> None:
            self._timeline.add("log", instance=instance.id, line=line)

        instance = Instance(function, log)
        self.instances.append(instance)
        self._note(instance)
        return instance

    async def reap(self) -> int:
        """End the instances that serve nothing; returns how many."""
        self._timeline.add("fault", fault="reap")
        frozen = [each for each in self.instances if each.state == "frozen"]
        for each in frozen:
            each.state = "gone"  # nobody takes it any more
        await asyncio.gather(*(self._end(each, "reaped") for each in frozen))
        return len(frozen)

    async def kill(self, instance: Instance) -> None:
        """End an instance as a crash would, whatever it is doing."""
        await self._end(instance, "killed")

    async def _reap_idle(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._options.instance_idle / 4))
            limit = time.monotonic() - self._options.instance_idle
            for each in list(self.instances):
                if each.state == "frozen" and self._idle_since.get(each.id, limit + 1) < limit:
                    await self._end(each, "reaped")

    async def _end(self, instance: Instance, reason: str) -> None:
        if instance in self.instances:
            self.instances.remove(instance)
            self.gone.append(instance)
            del self.gone[:-100]
        self._idle_since.pop(instance.id, None)
        await instance.stop()
        self._note(instance, reason=reason)

    def _note(self, instance: Instance, **fields: str) -> None:
        self._timeline.add("instance", instance=instance.id, state=instance.state, **fields)

    def _report(self, instance: Instance, duration: float, init: float) -> None:
        """As in CloudWatch: billed in whole milliseconds, INIT included since 2025-08."""
        milliseconds, init_milliseconds = duration * 1000, init * 1000
        billed = -(-(milliseconds + init_milliseconds) // 1)
        line = (
            f"REPORT RequestId: {instance.last_request_id}\tDuration: {milliseconds:.2f} ms\t"
            f"Billed Duration: {billed:.0f} ms\tMemory Size: {self.function.memory} MB\t"
            f"Max Memory Used: {instance.peak_memory} MB"
        )
        if init:
            line += f"\tInit Duration: {init_milliseconds:.2f} ms"
        self._timeline.add("log", instance=instance.id, line=line)
