"""Claims a key: for the request's work, and to find out what became of a COMMIT.

Where the answer to COMMIT was lost, the same key is claimed again on another connection. The claim
waits for the first transaction, if that still lives, and then either meets its receipt, or takes
its place for ever: an INSERT that was waited for has ended. So it is known what happened.
"""

import os
import time

from sunup import deadline
from sunup.connecting.retrying import AGAIN, refused_for_others
from sunup.connecting.session import may_idle
from sunup.failures import ConnectionLost, DatabaseUnavailable, sqlstate_of
from sunup.request import Request

from . import kept, problems, texts
from .claims import Claim
from .policy import Policy
from .unit import Outcome, Sleep, Unit

# A lock_timeout, or the session's own statement_timeout.
_TOOK_TOO_LONG = ("55P03", "57014")
_NO_TABLE = "42P01"
_NO_RIGHT = "42501"

# Seconds of the deadline that are left for the answer, once the work has been run.
_RESERVE = 0.3
# Seconds that a request may take where there is no deadline.
_LONGEST = 60.0
# How often a key is claimed again that was given back in between.
_CLAIMS = 10

# Seconds of a first pause, at most; each one may be twice as long.
PAUSE = 0.02
LONGEST_PAUSE = 1.0


class InUse(Exception):
    """Somebody else's claim did not end in time."""


class Conflict(Exception):
    """Another transaction with the same key was committed first."""


class Claiming:
    """Of one request: `run` names the claim, `met` the run whose receipt it has met."""

    def __init__(self, policy: Policy, claim: Claim, current: Request) -> None:
        self._policy = policy
        self._claim = claim
        self._current = current
        self._began = time.time()
        self.run = ""
        self.met: str | None = None

    async def claimed(self, unit: Unit, wait: float, lost: str = "") -> Outcome | None:
        """None: the key is ours, in an open transaction. Else what the client is told.

        The receipt of the run that was `lost` is met even where it has expired.
        """
        claim, keep, expired = self._claim, self._policy.keep, False
        lost_again: Exception | None = None
        for _ in range(_CLAIMS):
            self.run = os.urandom(8).hex()
            text = texts.ClaimText(
                claim.key,
                claim.fingerprint,
                self.run,
                wait=wait,
                idle=may_idle(),
                keep=keep,
                expired=expired,
            )
            try:
                if await unit.begin(text, self._policy.isolation):
                    return None
            except Exception as error:
                if sqlstate_of(error) in AGAIN:
                    continue  # the other's transaction has ended while this one waited for it
                if isinstance(error, ConnectionLost) and self.time_left() > 0:
                    lost_again = error
                    continue  # nothing has been done
                raise explained(error) from None
            row = await unit.fetchrow(texts.read(claim.key, keep))
            await unit.roll_back()
            if row is not None:
                fingerprint, status, headers, body, expired = row
                if not expired or (lost and kept.run_of(headers) == lost):
                    return self._met(fingerprint, status, headers, body)
            # Else it was removed, or given back, in between.
        raise lost_again or InUse()

    def _met(
        self, fingerprint: bytes, status: int | None, headers: str | None, body: bytes | None
    ) -> Outcome:
        """The key has a receipt."""
        self.met = kept.run_of(headers)
        if bytes(fingerprint) != self._claim.fingerprint:
            self._current.receipt = "of another request"
            return Outcome(problems.of_another_request())
        self._current.receipt = "replayed"
        return Outcome(kept.replayed(status, headers, body))

    async def looked_up(self, unit: Unit, sleep: Sleep) -> Outcome | None:
        """As `claimed`, after the answer to this claim's COMMIT was lost.

        Raises `InUse` and `DatabaseUnavailable` where it could not be found out in time.
        """
        lost = self.run
        pause = PAUSE
        while True:
            try:
                known = await self.claimed(unit, self.time_left(), lost)
                if known is None and unit.engine.optimistic:
                    await self._fence(unit)
            except Conflict:
                pass  # the first one's COMMIT, most likely: its receipt is met now
            except DatabaseUnavailable:
                if self.time_left() <= 0:
                    raise
            else:
                return known
            if self.time_left() <= 0:
                raise InUse
            await sleep(min(pause, self.time_left()))
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _fence(self, unit: Unit) -> None:
        """Where a claim waits for nobody: commit it, so that the first one's COMMIT fails.

        As a receipt that has expired. Raises `Conflict` where that was committed before.
        """
        statement = kept.fence(self._claim, self.run)
        try:
            await unit.commit(statement)
        except Exception as error:
            if refused_for_others(error):
                raise Conflict from None
            raise

    def time_left(self) -> float:
        """Seconds in which something may still be begun."""
        return max(0.0, min(deadline.remaining() - _RESERVE, self._began + _LONGEST - time.time()))


def explained(error: Exception) -> Exception:
    """What an error while claiming means."""
    state = sqlstate_of(error)
    if state in _TOOK_TOO_LONG:
        return InUse()
    if state == _NO_TABLE:
        return RuntimeError(
            f"the table {texts.TABLE} is missing: `sunup migrate receipts` writes the migration "
            "that adds it"
        )
    if state == _NO_RIGHT:
        return RuntimeError(
            f"the app's role needs select, insert, update and delete on {texts.TABLE}"
        )
    return error
