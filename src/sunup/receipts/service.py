"""What the ASGI and the WSGI side have in common: whose key it is, and what it claims."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import Any, NamedTuple

from sunup import request as requests
from sunup.adapter.http import Answer
from sunup.connecting.process import Local
from sunup.engines import Engine

from . import problems
from .claims import Claim, claim_of, request_id
from .flow import Flow
from .header import BadKey, key_of
from .policy import Policy, matches
from .texts import ClaimText, Statement
from .unit import Outcome, Unit

# Bytes of a request's body, all of which is read before the app is called: an HTTP API's limit.
LARGEST_REQUEST = 10 * 1024 * 1024


class Asked(NamedTuple):
    """A request, as far as it matters here: `target` is the path with its query."""

    method: str
    host: str
    target: str
    # Without the prefix that the app is mounted at.
    path: str
    keys: list[str]
    # The headers that say who calls.
    credentials: list[str]
    content_type: str
    body: bytes


class Service:
    """Receipts for one app: its policy, and the database that they are in."""

    def __init__(self, policy: Policy, database: Any) -> None:
        self.policy = policy
        self._unit = _units_of(database)

    def refused(self, asked: Asked) -> Answer | None:
        """What the client is told whose key is missing or wrong."""
        try:
            key = key_of(asked.keys)
        except BadKey as error:
            return problems.bad_key(str(error))
        if key is None and matches(self.policy.required, asked.method, asked.path):
            return problems.missing()
        return None

    def flow(self, scope: Mapping[str, Any], asked: Asked, *, blocking: bool) -> Flow | None:
        """How the request is answered; None: without a receipt. `blocking`: on this thread.

        Not for a request that is `refused`. One within a request that has a receipt, such as by a
        mounted app that asks for receipts too, is a part of it.
        """
        if requests.unit_of(self._unit().database) is not None:
            return None
        key = key_of(asked.keys)
        if key is None and request_id(scope) is None:
            return None  # the app asks for one always, but nothing tells requests apart
        claim: Claim = claim_of(
            self.policy,
            scope,
            key=key,
            method=asked.method,
            target=f"{asked.host}{asked.target}",
            credentials=asked.credentials,
            body=asked.content_type.encode("utf-8", "surrogateescape") + b"\n" + asked.body,
        )
        repeats = matches(self.policy.repeat, asked.method, asked.path)
        return Flow(
            self.policy,
            claim,
            self._unit_for_threads if not blocking else self._unit_for_here,
            repeats=repeats,
            sleep=_sleep_here if blocking else asyncio.sleep,
        )

    def _unit_for_here(self) -> Unit:
        return Blocking(self._unit())

    def _unit_for_threads(self) -> Unit:
        unit: Any = self._unit()
        return Threaded(unit) if getattr(unit, "blocking", False) else unit


@contextmanager
def a_request(method: str, path: str) -> Iterator[None]:
    """Make sure that there is a current request: a test client has none."""
    if requests.active() is not None:
        yield
        return
    current = requests.Request(method=method, path=path)
    token = requests.begin(current)
    try:
        yield
    finally:
        requests.end(token)
        # Not ended, as on Lambda: the process goes on, and with it what the app has begun.
        current.reclaim()


def run_here(running: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run what never waits, since its unit and its work block, on this thread."""
    try:
        running.send(None)
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome
    running.close()
    raise RuntimeError("something waited in a request without an event loop")


class Blocking:
    """A unit that blocks, as a flow wants it, for the thread that it runs on."""

    def __init__(self, unit: Any) -> None:
        self._unit = self.inner = unit
        self.database = unit.database

    def __getattr__(self, name: str) -> Any:
        # `block`, `failure` and so on: what the app's side uses.
        return getattr(self._unit, name)

    @property
    def engine(self) -> Engine:
        """What kind of server it is on, once it was begun."""
        found: Engine = self._unit.engine
        return found

    @engine.setter
    def engine(self, engine: Engine) -> None:
        self._unit.engine = engine

    @property
    def failure(self) -> BaseException | None:
        """Why the last block failed, or the commit."""
        found: BaseException | None = self._unit.failure
        return found

    @failure.setter
    def failure(self, failure: BaseException | None) -> None:
        self._unit.failure = failure

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    async def begin(self, claim: ClaimText, isolation: str | None) -> bool:
        """See `Unit`."""
        return bool(await self._call(self._unit.begin, claim, isolation))

    async def fetchrow(self, statement: Statement) -> Any:
        """See `Unit`."""
        return await self._call(self._unit.fetchrow, statement)

    async def commit(self, statement: Statement, before: str = "") -> None:
        """See `Unit`."""
        await self._call(self._unit.commit, statement, before)

    async def roll_back(self) -> None:
        """See `Unit`."""
        await self._call(self._unit.roll_back)

    async def end(self) -> None:
        """See `Unit`."""
        await self._call(self._unit.end)

    async def after(self, text: str) -> None:
        """See `Unit`."""
        await self._call(self._unit.after, text)


class Threaded(Blocking):
    """For an ASGI app whose database blocks: in threads, as the app's own blocks are.

    Not in asyncio's own, where the blocks of the first request would wait for those who wait for
    the first request.
    """

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        pool = (_claiming if function == self._unit.begin else _working).get()
        run = copy_context().run
        return await asyncio.get_running_loop().run_in_executor(pool, run, function, *arguments)


# They begin a thread when it is needed, each process its own. Who claims may wait.
_claiming = Local(partial(ThreadPoolExecutor, 64, "sunup-claiming"))
_working = Local(partial(ThreadPoolExecutor, 64, "sunup-receipts"))


async def _sleep_here(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251  # there is no event loop


def _units_of(database: Any) -> Callable[[], Unit]:
    unit = getattr(database, "unit", None)
    if unit is None:
        module: Any = sys.modules.get("sunup.integrations.sqlalchemy")
        unit = None if module is None else module.unit_of(database)
    if unit is None:
        raise TypeError(
            f"exactly_once got {type(database).__name__} as database; expected a Database of "
            "sunup.asyncpg or sunup.psycopg, or an engine of sunup.integrations.sqlalchemy"
        )
    made: Callable[[], Unit] = unit
    return made
