"""A sequence of steps, its run, and what must hold after each request."""

import asyncio
import base64
import gc
import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any
from unittest import mock

from sunup import Handler, Settings
from sunup.asyncpg import Database

from .dsql import DsqlServer
from .network import LATENCY, Transport, Wire
from .requests import RETRIES, WORKS, App
from .server import Server
from .world import VirtualLoop, World

# Seconds that a plain request may take once nothing is wrong any more, a replaced connection and a
# cancellation included.
USUAL = 5.0
# Seconds after which nothing of a request that has returned may go on at the server; where the
# network holds up or refuses what would end it, the server's own limits do (60 s at most).
BOUNDED = 3.0
BOUNDED_BY_THE_SERVER = 65.0


@dataclass(frozen=True)
class Step:
    """`freeze` for `seconds`; a fault of a kind; or a request with its own seconds and deadline."""

    kind: str
    seconds: float = 0.0
    deadline: float = 0.0
    number: int = 0

    def __str__(self) -> str:
        limit = f", deadline in {self.deadline:g} s" if self.deadline else ""
        return f"{self.kind}({self.seconds:g}{limit})"


FAULTS = (
    "stall",
    "stall_the_next",
    "cut",
    "cut_the_next",
    "sleep",
    "restart",
    "refuse",
    "hang",
    "fill",
)


_SILENT = ("changes_the_session", "answers_itself", "begins_by_hand")


class Broken(AssertionError):
    """An invariant did not hold."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant


def make(random: Random, length: int, engine: str = "aurora") -> list[Step]:
    """Random steps."""
    steps = []
    kinds = [*WORKS, "plain", "transaction", "cancelled"]
    freezes = (0.1, 5.0, 70.0, 400.0)
    if engine == "dsql":
        kinds += [*RETRIES, *RETRIES]
        freezes = (0.1, 70.0, 400.0, 3300.0)
    for number in range(length):
        draw = random.random()
        if draw < 0.25:
            steps.append(
                Step(random.choice(FAULTS), round(random.choice((0.01, 0.3, 2, 20, 90)), 3))
            )
        elif draw < 0.4:
            steps.append(Step("freeze", random.choice(freezes)))
        else:
            kind = random.choice(kinds)
            seconds = round(random.choice((random.random() * 3, random.random() / 2)), 4)
            limit = random.choice((0.4, 2.0, 28.0))
            steps.append(Step(kind, seconds, limit, number + 1))
    return steps


class Run:
    """The process under test and its world."""

    def __init__(self, seed: int, pool_size: int, app: Any = None, engine: str = "aurora") -> None:
        self.random = Random(seed)
        self.world = World()
        self.server = (DsqlServer if engine == "dsql" else Server)(self.world, self.random)
        self.wires: list[Wire] = []
        self.plan: list[Step] = []
        self.pool_size = pool_size
        self.settings = Settings(
            host="127.0.0.1",
            password="x",
            sslmode="disable",
            region="eu-central-1",
            engine_name=engine,
            pool_size=pool_size,
            log_level="CRITICAL",
        )
        if hasattr(self.settings, "statement_timeout"):
            object.__setattr__(self.settings, "statement_timeout", 30.0)
        self.db = Database(self.settings)
        self.app = App(self.db)
        self.served = app or self.app
        self.answered: list[str] = []
        self.refused: list[str] = []
        # Requests that insert nothing of their own.
        self.silent: set[str] = set()
        self.bounded = BOUNDED

    async def connect(self, loop: asyncio.AbstractEventLoop, factory: Any) -> Any:
        await asyncio.sleep(LATENCY)
        if self.server.refuses:
            raise ConnectionRefusedError("refused")
        while self.server.hangs:  # noqa: ASYNC110  # as TCP does
            await asyncio.sleep(1)
        wire = Wire(self.world, self.random)
        for step in self.plan:
            if step.kind == "stall_the_next":
                wire.stalled_until = max(wire.stalled_until, self.world.now + step.seconds)
            else:
                wire.cut_after = self.random.randrange(1, 400)
        self.plan.clear()
        self.wires.append(wire)
        self.server.connected(wire)
        protocol = factory()
        transport = Transport(loop, wire, protocol)
        protocol.connection_made(transport)
        return transport, protocol

    @contextmanager
    def process(self) -> Iterator[Handler]:
        """The handler, in virtual time."""
        loops = []

        def new_event_loop() -> asyncio.AbstractEventLoop:
            loops.append(VirtualLoop(self.world, self.connect))
            return loops[-1]

        nothing = mock.Mock(return_value=None)
        with ExitStack() as stack:
            for target, replacement in (
                ("time.time", self.world.time),
                ("asyncio.new_event_loop", new_event_loop),
                ("sunup.adapter.alarm.arm", nothing),
                ("sunup.adapter.alarm.disarm", nothing),
                ("sunup.logs.configure", nothing),
            ):
                stack.enter_context(mock.patch(target, replacement))
            for name in ("sunup", "asyncio"):
                logger = logging.getLogger(name)
                stack.callback(logger.setLevel, logger.level)
                logger.setLevel(logging.CRITICAL + 1)
            handler = Handler(self.served, interface="asgi", settings=self.settings)
            try:
                yield handler
            finally:
                for loop in loops:
                    _end(loop, self.db)

    def request(self, handler: Handler, step: Step) -> dict[str, Any]:
        """One invocation; returns its response."""
        row = f"r{step.number}"
        event = {
            "version": "2.0",
            "rawPath": f"/{step.kind}",
            "rawQueryString": f"{row}&{step.seconds}",
            "headers": {},
            "requestContext": {
                "http": {
                    "method": "POST",
                    "path": "/",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1",
                },
                "timeEpoch": int(self.world.now * 1000),
            },
            "isBase64Encoded": False,
        }
        response: dict[str, Any] = handler(event, _Context(self.world, step.deadline + 1.0))
        return response

    def heal(self) -> None:
        """No fault any more, and what was held up has arrived."""
        held_up = max((wire.stalled_until for wire in self.wires), default=0.0)
        self.plan.clear()
        self.server.refuses = self.server.hangs = False
        self.server.asleep_until = 0.0
        self.server.max_connections = 5
        for wire in self.wires:
            wire.cut_after = None
        self.world.freeze(max(0.0, held_up - self.world.now))

    def fault(self, step: Step) -> None:
        live = [wire for wire in self.wires if not wire.cut]
        if step.kind in ("stall", "stall_the_next", "hang", "refuse", "fill", "sleep"):
            self.bounded = BOUNDED_BY_THE_SERVER
        if step.kind == "stall":
            for wire in live:
                wire.stalled_until = max(wire.stalled_until, self.world.now + step.seconds)
        elif step.kind == "cut":
            for wire in live:
                wire.cut_after = self.random.randrange(1, 200)
        elif step.kind in ("stall_the_next", "cut_the_next"):
            self.plan.append(step)
        elif step.kind == "sleep":
            self.server.restart()
            self.server.asleep_until = self.world.now + step.seconds
        elif step.kind == "restart":
            self.server.restart()
        elif step.kind == "refuse":
            self.server.refuses = True
        elif step.kind == "hang":
            self.server.hangs = True
        elif step.kind == "fill":
            self.server.max_connections = len(self.server.sessions)


def run(steps: list[Step], seed: int, pool_size: int = 1, engine: str = "aurora") -> int:
    """Run the steps; returns how many events happened. Raises `Broken`."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        state = Run(seed, pool_size, engine=engine)
        with state.process() as handler:
            for step in steps:
                if step.kind == "freeze":
                    state.world.freeze(step.seconds)
                elif step.kind in FAULTS:
                    state.fault(step)
                else:
                    _checked(state, handler, step)
            state.heal()
            state.world.freeze(1.0)
            _plain(state, handler, 9001)
            state.world.freeze(400.0)
            _plain(state, handler, 9002)
            _rows_are_right(state)
        return state.world.events
    finally:
        if collecting:
            gc.enable()


def _checked(state: Run, handler: Handler, step: Step) -> None:
    began = state.world.now
    response = state.request(handler, step)
    took = state.world.now - began
    status = response["statusCode"]
    headers = response.get("headers", {})
    body = response["body"]
    if response.get("isBase64Encoded"):
        body = base64.b64decode(body).decode()
    row = f"r{step.number}"
    if took > step.deadline + 1.0:
        raise Broken("in time", f"{step} took {took:.2f} s")
    if step.kind in _SILENT:
        state.silent.add(row)
    if status < 300:
        state.answered.append(row)
    if "retry-after" in headers:
        state.refused.append(row)
    if step.kind == "answers_itself" and body != "the app's own words" and status != 503:
        raise Broken("own answer", f"{step} was answered {status} {body}")
    if (
        step.kind == "answers_itself"
        and "own words" not in body
        and json.loads(body).get("code") == "connections_busy"
    ):
        raise Broken("own answer", f"{step} was answered {status} {body}")
    if step.kind == "gets_over_it" and "connections_busy" in body:
        raise Broken("stale failure", f"{step} was answered {status} {body}")
    if state.app.wrong:
        raise Broken("the app saw", state.app.wrong[0])
    _left_at_the_server(state, step)
    _rows_are_right(state)


def _left_at_the_server(state: Run, step: Step) -> None:
    """The process is frozen now; the network's faults may delay what it has sent."""
    stalled = max((wire.stalled_until for wire in state.wires if not wire.cut), default=0.0)
    state.world.freeze(0.01)
    sessions = state.server.sessions
    if len(sessions) > state.pool_size + 1:
        state.world.freeze(state.bounded)
    if stalled <= state.world.now:
        at_work = [s for s in state.server.sessions if s.status != "I" or s.running is not None]
        if at_work:
            state.world.freeze(state.bounded)
            still = [
                s
                for s in state.server.sessions
                if s in at_work
                and (s.status != "I" or s.running)
                # What cannot be cancelled goes on; without its client it comes to nothing.
                and not (s.client_gone and isinstance(state.server, DsqlServer))
            ]
            if still and all(not s.wire.cut for s in still):
                raise Broken("left open", f"after {step} a session is {still[0].status}")
        here = [s for s in state.server.sessions if not s.client_gone]
        if (
            len(here if isinstance(state.server, DsqlServer) else state.server.sessions)
            > state.pool_size
        ):
            raise Broken(
                "too many", f"after {step} there are {len(state.server.sessions)} sessions"
            )


def _plain(state: Run, handler: Handler, number: int) -> None:
    step = Step("plain", 0.0, 28.0, number)
    began = state.world.now
    response = state.request(handler, step)
    took = state.world.now - began
    if response["statusCode"] != 200 or took > USUAL:
        raise Broken(
            "the request after",
            f"a plain request was answered {response['statusCode']} {response['body']} in {took:.2f} s",
        )
    state.answered.append(f"r{number}")
    if state.app.wrong:
        raise Broken("the app saw", state.app.wrong[0])
    _rows_are_right(state)


def _rows_are_right(state: Run) -> None:
    rows = state.server.rows
    if len(set(rows)) != len(rows):
        raise Broken("twice", f"{sorted(row for row in rows if rows.count(row) > 1)}")
    for row in state.refused:
        there = [each for each in rows if each == row or each.startswith(f"{row}-")]
        if there:
            raise Broken("Retry-After", f"{there} is there although its request may be repeated")
    for row in state.answered:
        if row not in rows and row not in state.silent:
            raise Broken("lost", f"{row} was answered 200 and is not there")
    if any(row.endswith("-never") for row in rows):
        raise Broken("never", "what no COMMIT followed is there")


class _Context:
    aws_request_id = "0"

    def __init__(self, world: World, seconds: float) -> None:
        self._world = world
        self._end = world.now + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end - self._world.now) * 1000)


def _end(loop: VirtualLoop, db: Database) -> None:
    """Close everything, whatever state it is in."""

    async def end() -> None:
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        try:
            async with asyncio.timeout(30):
                await db.close()
        except (Exception, asyncio.CancelledError):
            pass

    task = loop.create_task(end())
    while not task.done():
        loop.call_later(60, loop.stop)
        loop.run_forever()
    loop.close()
