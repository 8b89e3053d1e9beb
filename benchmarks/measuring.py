"""One fresh process of a peer in the emulator: how long it takes, and what it uses."""

import json
import math
import time
from dataclasses import dataclass

from peers import Peer

from sunup.connecting.credentials import CredentialSource
from sunup.local.emulator import Emulator
from sunup.local.emulator.instance import Function, Instance
from sunup.local.emulator.limits import peak_megabytes
from sunup.local.measuring.sandbox import event, processor_seconds
from sunup.psycopg.pool import Pool
from sunup.settings import Settings

QUERY = ("GET", "/users/1", b"")
TIMEOUT = 60.0
_HEADERS = (
    (b"accept", b"application/json"),
    (b"content-type", b"application/json"),
    (b"user-agent", b"curl/8.5.0"),
    (b"x-amzn-trace-id", b"Root=1-6550a1b2-0123456789abcdef01234567"),
)


@dataclass(frozen=True)
class Sample:
    """Times are in milliseconds of the clock, `cpu` in those of the processor a warm request."""

    init: float
    first: float
    warm: list[float]
    cpu: float
    peak_mb: float

    @property
    def cold(self) -> float:
        """From the start of the process to the first response, which needed a query."""
        return self.init + self.first


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def function(aws: Emulator, peer: Peer, memory: int) -> Function:
    """The peer as a function; memory is not enforced, since Node's plain app needs 160 MB."""
    environ = {**aws.environ, **peer.environ}
    return Function(
        peer.folder,
        handler=peer.handler,
        region=aws.options.aurora.region,
        memory=memory,
        timeout=TIMEOUT,
        environ=environ,
        runtime=peer.runtime,
        bootstrap=peer.bootstrap,
        enforce_memory=False,
    )


def add_user(aws: Emulator) -> None:
    """The one whom all peers are asked for."""
    environ = aws.environ
    pool = Pool(Settings.from_environment(environ), CredentialSource(environ))
    with pool.acquire() as connection:
        connection.execute(
            "insert into users (name, email) values ('Grace Hopper', 'grace@example.com')"
        )


async def sample(aws: Emulator, peer: Peer, memory: int, warm: int) -> Sample:
    """Start, ask once, ask again. Raises `SystemExit` with its log when the peer fails."""
    lines: list[str] = []
    instance = Instance(function(aws, peer, memory), lines.append)
    try:
        began = time.perf_counter()
        await instance.start(limit=TIMEOUT)
        init = time.perf_counter() - began
        if peer.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
            init = 0.0  # it was waited for when the release was made
        first = await answered(instance)
        before = processor_seconds(instance.pid)
        took = [await answered(instance) * 1000 for _ in range(warm)]
        cpu = processor_seconds(instance.pid) - before
        peak = peak_megabytes(instance.pid)
    except Exception as error:
        log = "\n".join(lines[-20:])
        raise SystemExit(f"{peer.name}: {type(error).__name__}: {error}\n{log}") from None
    finally:
        await instance.stop()
    return Sample(init * 1000, first * 1000, took, cpu * 1000 / warm, peak)


async def answered(instance: Instance) -> float:
    """Seconds until the user was there."""
    content = event(*QUERY, _HEADERS)
    began = time.perf_counter()
    outcome = await instance.invoke(content)
    answer = json.loads(outcome.body)
    if outcome.error or answer.get("statusCode") != 200:
        raise RuntimeError(f"answered {outcome.body.decode()[:300]}")
    return outcome.at - began
