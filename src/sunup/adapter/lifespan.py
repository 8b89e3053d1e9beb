"""The lifespan protocol of an ASGI app, which not every app speaks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal

from sunup.deadline import DeadlineExceeded

from .answers import ENDS_THE_PROCESS

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# As servers name it. `auto`: an app that raises where it is asked to start has no lifespan.
LifespanMode = Literal["auto", "on", "off"]

logger = logging.getLogger("sunup.request")


class Lifespan:
    """Start-up and shut-down of an app. `required`: the app must speak the protocol."""

    def __init__(self, app: App, state: dict[str, Any], *, required: bool = False) -> None:
        self._app = app
        self._state = state
        self._required = required
        self._in: asyncio.Queue[Message] = asyncio.Queue()
        self._out: asyncio.Queue[Message | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._asked = False
        self._error: BaseException | None = None

    async def startup(self) -> bool:
        """Run start-up; False: the app has none. Raises `RuntimeError` when it failed."""
        self._task = asyncio.create_task(self._run(), name="sunup-lifespan")
        return await self._exchange("startup")

    async def shutdown(self) -> None:
        """Run shut-down, where start-up was run. Raises `RuntimeError` when it failed."""
        if self._task is not None and not self._task.done():
            await self._exchange("shutdown")
            await self._task

    async def _exchange(self, step: str) -> bool:
        self._asked = False
        await self._in.put({"type": f"lifespan.{step}"})
        message = await self._out.get()
        kind = None if message is None else message["type"]
        if kind == f"lifespan.{step}.complete":
            return True
        if kind == f"lifespan.{step}.failed":
            assert message is not None
            # What it raises next, if anything, is the cause.
            if self._task is not None:
                await asyncio.wait([self._task], timeout=_CAUSE_LIMIT)
            raise self._failed(step, str(message.get("message", "")))
        if kind is not None:
            raise self._failed(step, f"it sent the unexpected message {kind!r}")
        ended = isinstance(self._error, ENDS_THE_PROCESS)
        if self._required or ended or (step == "shutdown" and self._error is not None):
            raise self._failed(step, "it returned without an answer")
        if self._asked and self._error is not None:
            # It took the question, so it knows the protocol; but it runs under other servers.
            logger.error(
                "the app's startup raised an exception; going on as if the app had no lifespan",
                exc_info=self._error,
            )
        return False

    def _failed(self, step: str, message: str) -> RuntimeError:
        failure = RuntimeError(f"the app's {step} failed: {message}".rstrip(": "))
        failure.__cause__ = self._error
        logger.error("the app's %s failed: %s", step, message, exc_info=self._error)
        return failure

    async def _receive(self) -> Message:
        message = await self._in.get()
        self._asked = True
        return message

    async def _send(self, message: Message) -> None:
        if not str(message["type"]).startswith("lifespan."):
            raise RuntimeError(f"{message['type']!r} is not a message of the lifespan protocol")
        await self._out.put(message)

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except (Exception, DeadlineExceeded, *ENDS_THE_PROCESS) as error:
            # The last would end the event loop, and who waits would wait for ever.
            self._error = error
        finally:
            await self._out.put(None)


# Seconds for an app that said it failed to raise why.
_CAUSE_LIMIT = 0.1
