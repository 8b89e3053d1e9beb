"""A request with a receipt: its work is one transaction, with the receipt in it.

Where the answer to COMMIT was lost, the same key is claimed again on another connection. The claim
waits for the first transaction, if that still lives, and then either meets its receipt, or takes
its place for ever: an INSERT that was waited for has ended. So it is known what happened, and the
client gets its answer.
"""

import logging
import os
import random
import time
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
# A lock_timeout, or the session's own statement_timeout.
_TOOK_TOO_LONG = ("55P03", "57014")
_NO_TABLE = "42P01"
_NO_RIGHT = "42501"

# Seconds of the deadline that are left for the answer, once the work has been run.
_RESERVE = 0.3
# Seconds of the first pause before the work is run again, at most; each one may be twice as long.
_PAUSE = 0.02
_LONGEST_PAUSE = 1.0

# How often the work is run, and for how many seconds where there is no deadline.
_MOST_RUNS = 20
_LONGEST = 60.0

# Seconds beyond the deadline after which the server ends a transaction in which nothing happens.
_BEYOND = 2.0

# How often a key is claimed again that was given back in between.
_CLAIMS = 10

# One request in so many removes expired rows.
_REMOVES = 32


class Unit(Protocol):
    """One transaction; see `sunup.asyncpg.unit`."""

    failure: BaseException | None

    async def begin(self, text: str, isolation: str | None) -> bool:
        """Begin with these statements; whether the last one returned a row."""

    async def fetchrow(self, statement: texts.Statement) -> Any:
        """A row; None where there is none."""

    async def commit(self, statement: texts.Statement, before: str = "") -> None:
        """Run a statement and commit; `before` are some without values."""

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
    """One request. `new_unit` makes a transaction, which is not begun: for each run its own."""

    def __init__(
        self,
        policy: Policy,
        claim: Claim,
        new_unit: Callable[[], Unit],
        *,
        repeats: bool,
        sleep: Sleep,
    ) -> None:
        self._policy = policy
        self._claim = claim
        self._new_unit = new_unit
        self._unit = new_unit()
        self._repeats = repeats
        self._sleep = sleep
        self._began = time.time()
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
        current.receipt = "claiming"
        try:
            try:
                known = await self._claimed(min(self._policy.wait, deadline.remaining()))
            except InUse:
                current.receipt = "in use"
                return Outcome(problems.still_running())
            if known is not None:
                return known
            current.receipt = "new"
            return await self._worked(work)
        finally:
            await self._unit.roll_back()

    async def _claimed(self, wait: float, lost: str = "") -> Outcome | None:
        """None: the key is ours, in an open transaction. Else what the client is told.

        The receipt of the run that was `lost` is met even where it has expired.
        """
        claim, keep, expired = self._claim, self._policy.keep, False
        for _ in range(_CLAIMS):
            self._run = os.urandom(8).hex()
            text = texts.claim(
                claim.key,
                claim.fingerprint,
                self._run,
                wait=wait,
                idle=min(deadline.remaining(), _LONGEST) + _BEYOND,
                keep=keep,
                expired=expired,
            )
            try:
                if await self._unit.begin(text, self._policy.isolation):
                    return None
            except Exception as error:
                if sqlstate_of(error) in _AGAIN:
                    continue  # the other's transaction has ended while this one waited for it
                if isinstance(error, ConnectionLost) and self._time_left() > 0:
                    continue  # nothing has been done
                raise _explained(error) from None
            row = await self._unit.fetchrow(texts.read(claim.key, keep))
            await self._unit.roll_back()
            if row is not None:
                fingerprint, status, headers, body, expired = row
                if not expired or (lost and kept.run_of(headers) == lost):
                    return self._met(fingerprint, status, headers, body)
            # Else it was removed, or given back, in between.
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
            await self._unit.roll_back()
            if not self._may_run_again(failure):
                return outcome
            logger.info("the work is run again, after %s", type(failure).__name__)
            await self._sleep(random.uniform(0, min(pause, self._time_left())))  # noqa: S311
            pause = min(2 * pause, _LONGEST_PAUSE)
            current.failure = current.origin = current.raised = None
            self._unit = self._new_unit()
            try:
                known = await self._claimed(self._time_left())
            except InUse:
                return Outcome(problems.still_running())
            if known is not None:
                return known  # somebody repeated the request meanwhile

    async def _once(self, work: Work) -> tuple[Outcome, BaseException | None]:
        """The outcome of one run; and why it failed, where it did."""
        current = self._current
        run = request.Run(self._unit)
        current.run = current.run or run
        token = request.working.set(run)
        committed = False
        try:
            outcome = await work()
            failure = self._reason(outcome)
            if failure is None:
                outcome, failure = await self._committed(outcome, run)
            committed = failure is None
        finally:
            request.working.reset(token)
            run.unit, run.over = None, not committed
            if current.run is run:
                current.run = None
        if committed:
            await self._afterwards(run)
        return outcome, failure

    async def _committed(
        self, outcome: Outcome, run: request.Run
    ) -> tuple[Outcome, BaseException | None]:
        assert outcome.answer is not None
        statement = kept.stored(self._claim, outcome.answer, self._policy.largest, self._run)
        # To read the whole of a small table would be a conflict with all that is inserted there.
        before = texts.BY_INDEX if self._policy.isolation == "serializable" else ""
        self._current.unsettled = self._before == (Change.NOTHING, Change.NOTHING)
        try:
            await self._unit.commit(statement, before)
        except Exception as failure:
            return await self._not_committed(outcome, failure, run)
        self._current.unsettled = False
        return outcome, None

    def _reason(self, outcome: Outcome) -> BaseException | None:
        """Why the work failed; None: its answer may be kept.

        A response that was whole when something failed stands, as it does without a receipt, unless
        that was a block of the database's: the work is not there then.
        """
        found = self._unit.failure or self._current.failure
        for error in (outcome.error, self._current.raised):
            for each in [] if error is None else chain_of(error):
                if _helps(each) or isinstance(each, DatabaseUnavailable):
                    found = each
        answer = outcome.answer
        sent = self._current.can_send
        final = answer is not None and kept.is_final(answer) and (sent is None or sent(answer))
        if final and (outcome.error is None or not found):
            return None
        if outcome.error is not None:
            outcome.answer = None if final else answer
        return found or outcome.error or RuntimeError("answered with a failure")

    async def _not_committed(
        self, outcome: Outcome, error: Exception, run: request.Run
    ) -> tuple[Outcome, BaseException | None]:
        """COMMIT failed, or its answer was lost."""
        current = self._current
        if not isinstance(error, ConnectionLost) or error.nothing_executed:
            self._nothing_stayed()
            return Outcome(None, error), error
        current.receipt = "resolved"
        logger.warning("the answer to COMMIT was lost; the receipt is looked up")
        lost = self._run
        try:
            known = await self._looked_up(lost)
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
            if self._met_run != lost:
                # This run was not committed; but the client has repeated its request, and that was.
                run.after_commit = []
                return known, None
            return Outcome(outcome.answer, outcome.error), None
        # The claim is ours now: what was sent before can never be committed.
        self._nothing_stayed()
        error.nothing_executed = True
        return Outcome(None, error), error

    async def _looked_up(self, lost: str) -> Outcome | None:
        pause = _PAUSE
        while True:
            try:
                return await self._claimed(self._time_left(), lost)
            except DatabaseUnavailable:
                if self._time_left() <= 0:
                    raise
                await self._sleep(min(pause, self._time_left()))
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _nothing_stayed(self) -> None:
        self._current.unsettled = False
        self._current.committed, self._current.doubtful = self._before

    def _time_left(self) -> float:
        return max(0.0, min(deadline.remaining() - _RESERVE, self._began + _LONGEST - time.time()))

    def _may_run_again(self, failure: BaseException) -> bool:
        wanted = self._repeats and _helps(failure) and self._current.runs < _MOST_RUNS
        return wanted and self._time_left() > 0

    async def _afterwards(self, run: request.Run) -> None:
        """Whatever happens here, even the request's deadline: its answer goes out."""
        steps = list(run.after_commit)
        if self._claim.key[0] < 256 // _REMOVES:
            text = texts.remove_expired(self._policy.keep + 3600)
            steps.insert(0, lambda: self._unit.after(text))
        while steps:
            try:
                result = steps.pop(0)()
                if isawaitable(result):
                    await result
            except (SystemExit, KeyboardInterrupt):
                raise
            except Exception:
                logger.exception("what follows a commit failed; the request stays executed")
            except BaseException as error:
                if deadline.remaining() <= 0:
                    logger.warning("%s after the commit; %d more not begun", error, len(steps))
                    return
                logger.exception("what follows a commit was cancelled; the request stays executed")


def _explained(error: Exception) -> Exception:
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


def _helps(failure: BaseException) -> bool:
    """Whether running all again may help."""
    if isinstance(failure, (ConnectionLost, DatabaseReadOnly)) or sqlstate_of(failure) in _AGAIN:
        return True
    # asyncpg's, after a migration: outside of a transaction it prepares the statement again itself.
    return type(failure).__name__ in ("InvalidCachedStatementError", "OutdatedSchemaCacheError")
