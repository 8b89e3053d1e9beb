"""How a process gets connected: sign, connect, classify, try again, as long as that helps.

No input or output here: the drivers' modules do the connecting and the waiting.
"""

import random
import time
from collections.abc import Callable
from typing import ClassVar

from sunup import deadline
from sunup.engines import DSQL, recognised
from sunup.failures import (
    ConnectionsBusy,
    DatabaseResuming,
    DatabaseUnavailable,
    DatabaseUnreachable,
    TokenRefused,
)
from sunup.settings import Settings

from .credentials import Credentials
from .iam import auth_token, dsql_token

# Connecting to a server that is awake takes milliseconds, at 128 MB of Lambda up to about 2 s (the
# handshake on 7 % of a processor). What takes longer is a database that resumes.
RESUMING_AFTER = 3.0

# Seconds without TLS after which a second attempt is begun beside the first. With a server that is
# awake a handshake takes milliseconds, at 128 MB up to 2 s.
SECOND_AFTER = 5.0

# How long a caller without a deadline waits: the documented 30 s "or more" of a deep sleep, twice.
LONGEST_WAIT = 60.0

_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.5

# A server that does not listen refuses at next to no cost, and spends no login on us. With this
# pause a request is answered within 150 ms of the wake: docs/benchmarks/waking.md.
_LONGEST_PAUSE_WHILE_DOWN = 0.1

# Aurora DSQL takes 100 new connections a second, of all instances together, and an attempt that is
# refused while it wakes is one of them.
_LONGEST_PAUSE_WHILE_WAKING = 1.0

# A connection that rested for longer is tested with a round trip before it is handed out. A socket
# that the server closed shows itself without one; a path that died silently does not.
PING_AFTER = 10.0
PING_TIMEOUT = 2.0


class Waking:
    """One series of attempts to be connected. Its clock is wall-clock: it survives a freeze."""

    # Who is told when a series has ended, where somebody wants to know (`sunup.observing`).
    told: ClassVar["Callable[[Waking], None] | None"] = None

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Attempts begun.
        self.tries = 0
        self.began = time.time()
        self.attempt_began = self.began
        # Nobody wants it any more, and the process is about to be frozen.
        self.forsaken = False
        self._failing: tuple[type[DatabaseUnavailable], float] | None = None

    def begin_attempt(self) -> None:
        """Note that an attempt starts now."""
        self.tries += 1
        self.attempt_began = time.time()

    @property
    def stale(self) -> bool:
        """Whether the attempt under way is older than an attempt may be: it slept in a freeze."""
        return time.time() - self.attempt_began > self._settings.connect_timeout + 1

    def pause_after(self, failure: DatabaseUnavailable) -> float | None:
        """Seconds to wait before the next attempt; None when another would not help."""
        now = time.time()
        if self._failing is None or self._failing[0] is not type(failure):
            self._failing = (type(failure), now)
        if now - self._failing[1] >= failure.patience:
            return None
        down = isinstance(failure, DatabaseUnreachable | DatabaseResuming)
        longest = _LONGEST_PAUSE_WHILE_DOWN if down else _LONGEST_PAUSE
        if down and self._settings.engine is DSQL:
            longest = _LONGEST_PAUSE_WHILE_WAKING
        ceiling = min(longest, _FIRST_PAUSE * 2 ** min(self.tries, 10))
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311  # jitter, not a secret


def password_for(settings: Settings, credentials: Credentials | None) -> str | None:
    """The password of one attempt: a fresh token, DB_PASSWORD, or none on a Unix socket."""
    if not settings.uses_token:
        return settings.password
    assert credentials is not None
    assert settings.region is not None
    if settings.engine is DSQL:
        return dsql_token(
            host=settings.host,
            user=settings.user,
            region=settings.region,
            credentials=credentials,
        )
    return auth_token(
        host=settings.host,
        port=settings.port,
        user=settings.user,
        region=settings.region,
        credentials=credentials,
    )


def explained(
    failure: DatabaseUnavailable, settings: Settings, credentials: Credentials | None
) -> DatabaseUnavailable:
    """A refused token's failure, with what can be checked here of the six things that it can mean.

    Whether the role has rds_iam, what the policy allows and whether the credentials were revoked
    only AWS knows.
    """
    if not isinstance(failure, TokenRefused) or credentials is None:
        return failure
    dsql = settings.engine is DSQL
    checks = []
    known_host = recognised(settings.host) is not None
    if not (known_host or dsql):
        checks.append(f"DB_HOST {settings.host!r} is not an RDS endpoint")
    where = "DB_HOST" if known_host else "AWS_REGION"
    checks.append(f"signed for {settings.region}, as {where} says")
    if credentials.expires is None:
        known = "whose expiry is not known here"
    elif credentials.expires <= time.time():
        known = "which have EXPIRED"
    else:
        known = f"valid for {credentials.expires - time.time():.0f} s more"
    checks.append(f"signed with the credentials {credentials.access_key}, {known}")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    checks.append(f"this machine's clock says {stamp}")
    if not dsql:  # which has said why; its list is another
        checks = [f"({n}) {each}" for n, each in enumerate(checks, 7 - len(checks))]
    failure.detail += f"; checked here: {'; '.join(checks)}"
    return failure


def patience() -> float:
    """Seconds that the current caller waits for a connection."""
    return min(deadline.remaining(), LONGEST_WAIT)


def gave_up(
    waking: Waking | None, last: DatabaseUnavailable | None, waited: float
) -> DatabaseUnavailable:
    """Name what a caller waited for in vain, `waited` seconds long."""
    if last is not None:
        return last
    if waking is None:
        return ConnectionsBusy(f"none became free in {waited:.1f} s")
    return DatabaseResuming(f"no connection in {waited:.1f} s")


def ping_after(settings: Settings) -> float:
    """Seconds of rest after which a connection is tested before use.

    Well before the server's idle_session_timeout, so that a statement does not cross its end.
    """
    if settings.idle_session_timeout == 0:
        return PING_AFTER
    return min(PING_AFTER, settings.idle_session_timeout / 2)


def retires(settings: Settings) -> float:
    """When a connection that is opened now is too old to be used, in seconds since the epoch.

    A twelfth of its lifetime, and up to as much again, before the server ends it: instances that
    began together do not connect anew together.
    """
    lifetime = settings.engine.lifetime
    if lifetime is None:
        return deadline.NEVER
    return time.time() + lifetime * (1 - random.uniform(1, 2) / 12)  # noqa: S311  # jitter


def session_settings(settings: Settings) -> dict[str, str]:
    """The PostgreSQL settings that each session starts with.

    They are kept by the server: a client's timers stand still while it is frozen.
    `idle_session_timeout`, since an open connection keeps Aurora from pausing (Aurora User Guide,
    auto-pause). `idle_in_transaction_session_timeout`, since a transaction keeps its locks, and
    `statement_timeout`, since a server goes on with a statement whose client is gone.
    """
    idle = settings.idle_session_timeout
    if not settings.engine.sessions:
        return {"application_name": "sunup"}
    parameters = {
        "application_name": "sunup",
        "idle_session_timeout": _milliseconds(idle),
        "idle_in_transaction_session_timeout": _milliseconds(idle or LONGEST_WAIT),
    }
    if settings.statement_timeout:
        parameters["statement_timeout"] = _milliseconds(settings.statement_timeout)
    return parameters


def _milliseconds(seconds: float) -> str:
    # 0 would mean: never.
    return f"{max(1, int(seconds * 1000)) if seconds else 0}ms"
