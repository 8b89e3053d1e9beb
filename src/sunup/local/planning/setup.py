"""What is deployed, and what is not known of it."""

import random
from dataclasses import dataclass
from typing import Literal

# Lambda Developer Guide, "Configure Lambda function memory": a whole processor.
ONE_PROCESSOR_MB = 1769


@dataclass(frozen=True)
class Range:
    """A number that is not known: from `low` to `high`, most likely `mode`."""

    low: float
    mode: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> "Range":
        """A number that is known."""
        return cls(value, value, value)

    def sample(self, chance: random.Random) -> float:
        """One of them, by a triangular distribution."""
        if self.low == self.high:
            return self.low
        return chance.triangular(self.low, self.high, self.mode)

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.low:g}"
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class App:
    """What the app needs, as `sunup measure` finds it. Times in seconds, of a whole processor.

    The defaults are those of the users API (docs/benchmarks/cold-start.md).
    """

    # Of INIT, which has the full processor whatever the memory; connecting is part of it.
    init: float = 0.095
    # Of a warm request, and of the first one beyond it.
    processor: float = 0.0006
    first_processor: float = 0.0006
    # What a request waits for the database's answers.
    queries: float = 0.003
    # Connecting anew after a thaw: processor time, and round trips.
    connect_processor: float = 0.009
    connect_trips: float = 0.005
    # Written by the function and Lambda for each request, in bytes.
    log_bytes: float = 750.0
    # Read from the storage: what the buffer cache does not hold.
    io: float = 1.0
    # Of Aurora DSQL (docs/costs.md): a small API was measured at 0.03.
    dpu: Range = Range(0.01, 0.03, 0.10)

    def seconds(self, processor: float, memory: int) -> float:
        """How long so much processor time takes with so much memory, in MB."""
        return processor * max(1.0, ONE_PROCESSOR_MB / memory)


@dataclass(frozen=True)
class Setup:
    """Times in seconds, memory in MB. The defaults are those of the Terraform that sunup makes.

    `pause_after` None is a database that never pauses (a minimum above 0 ACU). The ranges are what
    nobody has published; docs/emulator.md has the sources.
    """

    app: App = App()
    engine: Literal["aurora", "dsql"] = "aurora"
    memory: int = 256
    timeout: float = 30.0
    gateway_timeout: float = 30.0
    # Reserved concurrency; that of the account otherwise.
    concurrency: int = 1000
    max_connections: int = 823
    pause_after: float | None = 300.0
    idle_session_timeout: float = 60.0
    # From the first attempt to connect until it is awake; and after a day of sleep.
    resume: Range = Range(13, 15, 30)
    deep_resume: Range = Range(30, 35, 50)
    deep_sleep_after: float = 86_400.0
    # From the decision to pause until it sleeps.
    pausing: float = 0.2
    # A login that nobody finishes.
    authentication_timeout: float = 60.0
    # Of the capacity while it is awake, for a month.
    acu: Range = Range(0.5, 0.5, 1.0)
    # Until Lambda ends an instance that serves nothing.
    instance_idle: Range = Range(300, 600, 2700)
    storage_gb: float = 1.0
    alarms: int = 4
    metrics: int = 0
    # Whether who is told to come again does so (the waking page of sunup does it by itself).
    repeats: bool = True
    # A shorter wait is none.
    noticed: float = 0.5
    # How much durations differ: the standard deviation of their logarithm.
    spread: float = 0.4

    @property
    def sleeps(self) -> bool:
        """Whether the database pauses when nobody is connected."""
        return self.engine == "aurora" and self.pause_after is not None

    @property
    def session_seconds(self) -> float:
        """How long the server lets an idle session be; 0 of the setting is for ever."""
        return self.idle_session_timeout or float("inf")
