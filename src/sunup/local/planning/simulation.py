"""One month: each request in its order, with instances that freeze and a database that sleeps.

All that happens between two requests follows from the earlier ones (when a session ends, when the
database pauses), so the requests are the only events, and a month of 30,000 takes a few hundredths
of a second. What is simulated is what the emulator does with processes, and docs/emulator.md has
each behaviour's source; benchmarks/plan.py compares the two.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush

from .setup import Setup
from .traffic import VISIT, WAKE, Arrivals

# What sunup keeps of the deadline for its own answer (docs/settings.md, GATEWAY_TIMEOUT).
_MARGIN = 1.0
# `Retry-After`, in seconds: of `database_resuming`, of what was refused.
_AGAIN_RESUMING, _AGAIN_REFUSED = 5.0, 1.0
# A schedule's event that failed comes again.
_AGAIN_WAKE = 60.0
_ATTEMPTS = 8
_DRAWN = 4096


@dataclass
class Run:
    """What happened. Times in seconds, from the same zero as the arrivals'.

    `awake` has the times from the beginning of a resume, its end, and the end of the pause.
    `waits` are visits' that waited for the database, or came again, and it was noticed: (when, how
    long from the first attempt to the answer, or until they gave up).
    """

    start: float
    seconds: float
    requests: Counter[int] = field(default_factory=Counter)
    # All that came to the gateway, and to the function, with what came again.
    at_gateway: int = 0
    invocations: int = 0
    billed_seconds: float = 0.0
    cold_starts: int = 0
    awake: list[tuple[float, float, float]] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)
    # Answers of 503 by code; visits that gave up.
    failures: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    # Visits that were refused at first.
    refused: int = 0
    connections: int = 0
    instances: int = 0
    logins: int = 0

    @property
    def awake_seconds(self) -> float:
        """Within the time that was looked at; a resume counts, as on the bill."""
        end = self.start + self.seconds
        return sum(min(over, end) - begin for begin, _, over in self.awake if begin < end)


class _Instance:
    __slots__ = ("closes", "freed", "pending")

    def __init__(self) -> None:
        # When the server ends its session if nobody comes; whether that is a login still.
        self.closes = float("-inf")
        self.pending = False
        self.freed = 0.0


def simulate(setup: Setup, arrivals: Arrivals, chance: random.Random) -> Run:
    """Let these requests come. The same `chance` and arrivals give the same run."""
    return _Simulation(setup, arrivals, chance).run()


class _Simulation:
    def __init__(self, setup: Setup, arrivals: Arrivals, chance: random.Random) -> None:
        self._setup = setup
        self._arrivals = arrivals
        self._chance = chance
        self._run = Run(arrivals.start, arrivals.seconds)
        self._instance_idle = setup.instance_idle.sample(chance)
        # Those that are frozen, the one that was used last at the end; those at work, by their end.
        self._idle: list[_Instance] = []
        self._busy: list[tuple[float, int, _Instance]] = []
        self._numbers = 0
        # Until when some session is open; when the database began to be awake, and when it was.
        self._hold = float("-inf")
        self._began: float | None = None
        self._ready = float("-inf")
        self._slept_since = arrivals.start - setup.deep_sleep_after / 2
        if not setup.sleeps:
            self._began = self._ready = arrivals.start
        draw = chance.lognormvariate
        self._factors = [draw(0, setup.spread) if setup.spread else 1.0 for _ in range(_DRAWN)]
        app = setup.app
        self._warm = app.seconds(app.processor, setup.memory) + app.queries
        self._first = app.seconds(app.first_processor, setup.memory)
        self._connecting = app.seconds(app.connect_processor, setup.memory) + app.connect_trips
        # After its last use a session is open for so long, or its instance is ended before.
        self._kept = min(setup.session_seconds, self._instance_idle)

    def run(self) -> Run:
        times, kinds = self._arrivals.times, self._arrivals.kinds
        later: list[tuple[float, int, int, float, int]] = []  # what comes again
        busy, idle, factors = self._busy, self._idle, self._factors
        warm, kept, instance_idle = self._warm, self._kept, self._instance_idle
        instance: _Instance | None
        run, at, count = self._run, 0, len(times)
        billed, invoked = 0.0, 0
        run.requests.update(kinds)
        while True:
            if later and (at == count or later[0][0] <= times[at]):
                now, _, kind, first, attempt = heappop(later)
            elif at < count:
                now = first = times[at]
                kind, attempt = kinds[at], 1
                at += 1
            else:
                break
            while busy and busy[0][0] <= now:
                ended, _, done = heappop(busy)
                done.freed = ended
                idle.append(done)
            instance = idle[-1] if idle else None
            if instance is not None and instance.closes > now and not instance.pending:
                # By far the most: a session is there.
                idle.pop()
                self._numbers = number = self._numbers + 1
                took = warm * factors[number % _DRAWN]
                end = now + took
                instance.closes = closes = end + kept
                if closes > self._hold:
                    self._hold = closes
                heappush(busy, (end, number, instance))
                billed += took
                invoked += kind != WAKE
                run.invocations += 1
                if attempt > 1:
                    self._served(kind, first, end, waited=end - first)
                continue
            if instance is not None and now - instance.freed > instance_idle:
                self._reap()  # the one that was used last is gone: they all are
                instance = None
            invoked += kind != WAKE
            again = self._slow(instance, now, kind, first, attempt)
            if again is not None:
                self._numbers += 1
                heappush(later, (again, self._numbers, kind, first, attempt + 1))
        run.at_gateway = invoked
        run.billed_seconds += billed
        self._end()
        return run

    def _slow(
        self, instance: _Instance | None, now: float, kind: int, first: float, attempt: int
    ) -> float | None:
        """A request without a session; returns when it comes again, if it has to."""
        setup, run = self._setup, self._run
        begin = now
        if instance is None:
            if len(self._idle) + len(self._busy) >= setup.concurrency:
                return self._refuse("throttled", now, kind, first, attempt)
            instance = _Instance()
            run.cold_starts += 1
            begin = now + setup.app.init
        else:
            self._idle.pop()
        run.invocations += 1
        deadline = begin + setup.timeout - _MARGIN
        if kind != WAKE:  # no gateway is in front of a schedule's
            deadline = min(deadline, now + setup.gateway_timeout - _MARGIN)
        connected = self._connect(instance, now, deadline)
        if connected is None:
            self._work(instance, begin, deadline, now)
            return self._refuse("database_full", deadline, kind, first, attempt)
        if connected > deadline:
            # It goes on with the next request; until then the server waits for the login.
            instance.pending = True
            instance.closes = self._ready + setup.authentication_timeout
            self._work(instance, begin, deadline, now)
            return self._refuse("database_resuming", deadline, kind, first, attempt)
        self._numbers += 1
        took = self._warm * self._factors[self._numbers % _DRAWN]
        took += self._first if begin != now else 0.0
        end = max(begin, connected) + (0.0 if kind == WAKE else took)
        instance.pending = False
        instance.closes = end + self._kept
        self._hold = max(self._hold, instance.closes)
        self._work(instance, begin, end, now)
        # What INIT and the work take is no wait for the database.
        waited = max(0.0, connected - begin) if attempt == 1 else end - first
        self._served(kind, first, end, waited=waited)
        return None

    def _work(self, instance: _Instance, begin: float, end: float, now: float) -> None:
        """INIT is billed, too (Lambda's price page, since 2025-08)."""
        self._numbers += 1
        heappush(self._busy, (end, self._numbers, instance))
        instance.freed = end
        self._run.billed_seconds += end - now
        self._run.instances = max(self._run.instances, len(self._idle) + len(self._busy))

    def _connect(self, instance: _Instance, now: float, deadline: float) -> float | None:
        """When the session is there; None: all connections are taken until the deadline."""
        self._wake(now)
        if instance.closes <= now:  # not a login that waits already
            held = sorted(
                each.closes
                for each in (*self._idle, *(entry[2] for entry in self._busy))
                if each.closes > now
            )
            start = now
            if len(held) >= self._setup.max_connections:
                start = held[len(held) - self._setup.max_connections]
                if start > deadline:
                    return None
            self._run.logins += 1
            self._run.connections = max(
                self._run.connections, min(len(held) + 1, self._setup.max_connections)
            )
            now = start
        return max(now, self._ready) + self._connecting

    def _wake(self, now: float) -> None:
        setup = self._setup
        if self._began is not None:
            pauses = self._pauses()
            if now < pauses:
                return
            self._slept_since = pauses + setup.pausing
            self._run.awake.append((self._began, self._ready, self._slept_since))
            now = max(now, self._slept_since)
        deep = now - self._slept_since >= setup.deep_sleep_after
        length = (setup.deep_resume if deep else setup.resume).sample(self._chance)
        self._began, self._ready = now, now + length

    def _pauses(self) -> float:
        """When the database decides to pause, unless somebody comes before."""
        setup = self._setup
        if not setup.sleeps or setup.pause_after is None:
            return float("inf")
        return self._held() + setup.pause_after

    def _held(self) -> float:
        """Until when somebody is connected, or tries to be; such a login may still be taken up."""
        waiting = [entry[2] for entry in self._busy if entry[2].pending]
        waiting += [each for each in self._idle if each.pending]
        return max(self._hold, self._ready, *(self._over(each) for each in waiting))

    def _over(self, login: _Instance) -> float:
        """When a login that nobody takes up ends: by the server, or with its instance."""
        return min(login.closes, login.freed + self._instance_idle)

    def _reap(self) -> None:
        for each in self._idle:
            if each.pending:
                self._hold = max(self._hold, self._over(each))
        self._idle.clear()

    def _end(self) -> None:
        """The last time awake, which goes on after the last request."""
        setup, run = self._setup, self._run
        if self._began is None:
            return
        run.awake.append((self._began, self._ready, self._pauses() + setup.pausing))

    def _refuse(self, code: str, now: float, kind: int, first: float, attempt: int) -> float | None:
        """An answer of 503; returns when the request comes again, if it does."""
        run = self._run
        run.failures[code] += 1
        if kind == WAKE:
            return now + _AGAIN_WAKE if attempt < 3 else None
        if kind != VISIT:
            return None
        if attempt == 1:
            run.refused += 1
        if self._setup.repeats and attempt < _ATTEMPTS:
            return now + (_AGAIN_RESUMING if code == "database_resuming" else _AGAIN_REFUSED)
        # Who gives up has waited as well.
        run.lost += 1
        run.waits.append((first, now - first))
        return None

    def _served(self, kind: int, first: float, end: float, *, waited: float) -> None:
        if kind == VISIT and waited >= self._setup.noticed:
            self._run.waits.append((first, end - first))
