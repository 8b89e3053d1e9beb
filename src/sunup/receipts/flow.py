"""A request with a receipt: its work is one transaction, with the receipt in it.

Where the answer to COMMIT was lost, the same key is claimed again on another connection. The claim
waits for the first transaction, if that still lives, and then either meets its receipt, or takes
its place for ever: an INSERT that was waited for has ended. So it is known what happened, and the
client gets its answer.
"""

import logging
import os
import random
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, Protocol

from sunup import deadline, request
from sunup.adapter.http import Answer
from sunup.failures import (
    ConnectionLost,
    DatabaseReadOnly,
    DatabaseUnavailable,
    chain_of,
    sqlstate_of,
)
from sunup.statements import Change

from . import kept, problems, texts
from .claims import Claim
from .policy import Policy

logger = logging.getLogger("sunup.receipts")

# The work as a whole may be run again: a serialization failure, a deadlock.
_AGAIN = frozenset(("40001", "40P01"))
_LOCK_TIMEOUT = "55P03"
_NO_TABLE = "42P01"
_NO_RIGHT = "42501"

# Seconds of the deadline that are left for the answer, once the work has been run.
_RESERVE = 0.3
# Seconds of the first pause before the work is run again, at most; each one may be twice as long.
_PAUSE = 0.02
_LONGEST_PAUSE = 1.0

# How often a key is claimed again that was given back in between.
_CLAIMS = 10

# One request in so many removes expired rows.
_REMOVES = 32


class Unit(Protocol):
    """One transaction; see `sunup.asyncpg.unit`."""

    failure: BaseException | None

    async def begin(self, text: str, isolation: str) -> bool:
        """Begin with these statements; whether the last one returned a row."""

    async def fetchrow(self, text: str, value: bytes) -> Any:
        """A row, by what `text` ends with."""

    async def commit(self, text: str) -> None:
        """Run these statements and commit."""

    async def roll_back(self) -> None:
        """End it without a trace; nothing where it has ended."""

    async def after(self, text: str) -> None:
        """Run a statement that is not part of it."""


class Outcome:
    """What the work, run once, has come to: an answer, an exception, or both."""

    __slots__ = ("answer", "error")

    def __init__(self, answer: Answer | None, error: BaseException | None = None) -> None:
        self.answer = answer
        self.error = error


Work = Callable[[], Awaitable[Outcome]]
Sleep = Callable[[float], Awaitable[None]]


class InUse(Exception):
    """Somebody else's claim did not end in time."""


class Flow:
    """One request. `unit` is used again for each run of the work."""

    def __init__(
        self, policy: Policy, claim: Claim, unit: Unit, *, repeats: bool, sleep: Sleep
    ) -> None:
        self._policy = policy
        self._claim = claim
        self._unit = unit
        self._repeats = repeats
        self._sleep = sleep
        current = request.active()
        assert current is not None
        self._current = current
        # This run of the work, and the one whose receipt was met.
        self._run = ""
        self._met_run: str | None = None
        # What was executed outside of the receipt's transaction, up to now.
        self._before = current.committed, current.doubtful

    async def run(self, work: Work) -> Outcome:
        """The outcome for the client. Raises `DatabaseUnavailable` before anything was done."""
        current = self._current
        try:
            try:
                known = await self._claimed(min(self._policy.wait, deadline.remaining()))
            except InUse:
                current.receipt = "in use"
                return Outcome(problems.still_running())
            if known is not None:
                return known
            current.receipt = "new"
            current.unit = self._unit
            current.after_commit = []
            return await self._worked(work)
        finally:
            current.unit = current.after_commit = None
            await self._unit.roll_back()

    async def _claimed(self, wait: float, run: str = "") -> Outcome | None:
        """None: the key is ours, in an open transaction. Else what the client is told."""
        claim, policy = self._claim, self._policy
        text = texts.claim(claim.key, claim.fingerprint, wait=wait, keep=policy.keep, run=run)
        for _ in range(_CLAIMS):
            try:
                if await self._unit.begin(text, policy.isolation):
                    return None
            except Exception as error:
                if sqlstate_of(error) in _AGAIN:
                    continue  # the other's transaction has ended while this one waited for it
                raise _explained(error) from None
            row = await self._unit.fetchrow(texts.READ, claim.key)
            await self._unit.roll_back()
            if row is not None:
                return self._met(*row)
            # It was removed, or given back, in between.
        raise InUse

    def _met(
        self, fingerprint: bytes, status: int | None, headers: str | None, body: bytes | None
    ) -> Outcome:
        """The key has a receipt."""
        self._met_run = kept.run_of(headers)
        if bytes(fingerprint) != self._claim.fingerprint:
            self._current.receipt = "of another request"
            return Outcome(problems.of_another_request())
        self._current.receipt = "replayed"
        return Outcome(kept.replayed(status, headers, body))

    async def _worked(self, work: Work) -> Outcome:
        """Run the work until it has an outcome that stays."""
        current, pause = self._current, _PAUSE
        while True:
            current.runs += 1
            outcome, failure = await self._once(work)
            if failure is None:
                return outcome
            current.unit = None
            await self._unit.roll_back()
            if not self._may_run_again(failure):
                return outcome
            logger.info("the work is run again, after %s", type(failure).__name__)
            if sqlstate_of(failure) in _AGAIN:
                await self._sleep(random.uniform(0, pause))  # noqa: S311  # no secret
                pause = min(2 * pause, _LONGEST_PAUSE)
            current.failure = current.origin = current.raised = None
            self._unit.failure = None
            current.after_commit = []
            try:
                known = await self._claimed(self._time_left())
            except InUse:
                return Outcome(problems.still_running())
            if known is not None:
                return known  # somebody repeated the request meanwhile
            current.unit = self._unit

    async def _once(self, work: Work) -> tuple[Outcome, BaseException | None]:
        """The outcome of one run; and why it failed, where it did."""
        outcome = await work()
        answer, error = outcome.answer, outcome.error
        if error is not None or answer is None or not kept.is_final(answer):
            return outcome, self._reason(outcome)
        self._run = os.urandom(8).hex()
        text = kept.store_text(self._claim, answer, self._policy.largest, self._run)
        self._current.unsettled = self._before == (Change.NOTHING, Change.NOTHING)
        try:
            await self._unit.commit(text)
        except Exception as failure:
            return await self._not_committed(outcome, failure)
        self._current.unsettled = False
        await self._committed()
        return outcome, None

    def _reason(self, outcome: Outcome) -> BaseException | None:
        """Why the work failed, so that it may be told whether another run would help."""
        for error in (outcome.error, self._current.raised):
            for each in [] if error is None else chain_of(error):
                if _helps(each):
                    return each
        failure = self._unit.failure or self._current.failure
        return failure or outcome.error or RuntimeError("answered with a failure")

    async def _not_committed(
        self, outcome: Outcome, error: Exception
    ) -> tuple[Outcome, BaseException | None]:
        """COMMIT failed, or its answer was lost."""
        current = self._current
        current.unit = None
        if not isinstance(error, ConnectionLost) or error.nothing_executed:
            self._nothing_stayed()
            return Outcome(None, error), error
        current.receipt = "resolved"
        logger.warning("the answer to COMMIT was lost; the receipt is looked up")
        try:
            known = await self._looked_up()
        except (InUse, DatabaseUnavailable) as unknown:
            # Whoever repeats the request with its key learns it.
            current.receipt = "unknown"
            current.failure = error
            logger.warning("the receipt could not be looked up: %s", unknown)
            return Outcome(None, error), RuntimeError("unknown")
        if known is not None:
            current.doubtful, current.committed = self._before[1], Change.YES
            current.unsettled = False
            current.failure = current.origin = None
            if self._met_run != self._run:
                # This run was not committed; but the client has repeated its request, and that was.
                current.after_commit = []
                return known, None
            await self._committed()
            return Outcome(outcome.answer), None
        # The claim is ours now: what was sent before can never be committed.
        self._nothing_stayed()
        error.nothing_executed = True
        return Outcome(None, error), error

    async def _looked_up(self) -> Outcome | None:
        while True:
            try:
                return await self._claimed(self._time_left(), self._run)
            except DatabaseUnavailable:
                if self._time_left() <= 0:
                    raise
                await self._sleep(_PAUSE)

    def _nothing_stayed(self) -> None:
        self._current.unsettled = False
        self._current.committed, self._current.doubtful = self._before

    def _time_left(self) -> float:
        return max(0.0, min(deadline.remaining() - _RESERVE, 60.0))

    def _may_run_again(self, failure: BaseException) -> bool:
        return self._repeats and _helps(failure) and self._time_left() > 0

    async def _committed(self) -> None:
        if self._claim.key[0] < 256 // _REMOVES:
            try:
                await self._unit.after(texts.remove_expired(self._policy.keep + 3600))
            except Exception as error:
                logger.warning("expired receipts were not removed: %s", type(error).__name__)
        for function in self._current.after_commit or []:
            try:
                result = function()
                if isawaitable(result):
                    await result
            except Exception:
                logger.exception("an after_commit function failed; the request stays executed")


def _explained(error: Exception) -> Exception:
    """What an error while claiming means."""
    state = sqlstate_of(error)
    if state == _LOCK_TIMEOUT:
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


def _helps(failure: BaseException) -> bool:
    """Whether running all again may help."""
    return isinstance(failure, (ConnectionLost, DatabaseReadOnly)) or sqlstate_of(failure) in _AGAIN
