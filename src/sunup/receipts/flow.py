"""A request with a receipt: its work is one transaction, with the receipt in it."""

import logging
import random
from collections.abc import Callable
from contextlib import suppress
from inspect import isawaitable

from sunup import deadline, request
from sunup.connecting.retrying import note_conflict, refused_for_others
from sunup.failures import (
    ConnectionLost,
    DatabaseReadOnly,
    DatabaseUnavailable,
    chain_of,
)
from sunup.statements import Change

from . import kept, problems, texts
from .claiming import LONGEST_PAUSE, PAUSE, Claiming, InUse
from .claims import Claim
from .policy import Policy
from .unit import Outcome, Sleep, Unit, Work

logger = logging.getLogger("sunup.receipts")

# How often the work is run.
_MOST_RUNS = 20

# One request in so many removes expired rows.
_REMOVES = 32


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
        current = request.active()
        assert current is not None
        self._current = current
        self._claiming = Claiming(policy, claim, current)
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
            await self._unit.end()

    async def _claimed(self, wait: float) -> Outcome | None:
        return await self._claiming.claimed(self._unit, wait)

    async def _worked(self, work: Work) -> Outcome:
        """Run the work until it has an outcome that stays."""
        current, pause = self._current, PAUSE
        while True:
            current.runs += 1
            outcome, failure = await self._once(work)
            if failure is None:
                return outcome
            await self._unit.roll_back()
            if not self._may_run_again(failure):
                return await self._of_another(failure) or outcome
            logger.info("the work is run again, after %s", type(failure).__name__)
            await self._sleep(random.uniform(0, min(pause, self._claiming.time_left())))  # noqa: S311
            pause = min(2 * pause, LONGEST_PAUSE)
            current.failure = current.origin = current.raised = None
            self._unit = self._new_unit()
            try:
                known = await self._claimed(self._claiming.time_left())
            except InUse:
                return Outcome(problems.still_running())
            if known is not None:
                return known  # somebody repeated the request meanwhile

    async def _of_another(self, failure: BaseException) -> Outcome | None:
        """What the client is told whose request was repeated meanwhile, where nobody waits.

        Of two that claim one key on Aurora DSQL the second one's COMMIT fails.
        """
        if not (self._unit.engine.optimistic and refused_for_others(failure)):
            return None
        assert isinstance(failure, Exception)
        self._unit = self._new_unit()
        known = None
        with suppress(InUse, DatabaseUnavailable):
            known = await self._claimed(0)
        if known is None:
            note_conflict(failure)
        return known

    async def _once(self, work: Work) -> tuple[Outcome, BaseException | None]:
        """The outcome of one run; and why it failed, where it did."""
        current = self._current
        run = request.Run(self._unit, request.run_here())
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
            run.unit = None
            run.over = not committed
            if current.run is run:
                current.run = None
        if committed:
            await self._afterwards(run)
        return outcome, failure

    async def _committed(
        self, outcome: Outcome, run: request.Run
    ) -> tuple[Outcome, BaseException | None]:
        assert outcome.answer is not None
        statement = kept.stored(
            self._claim, outcome.answer, self._policy.largest, self._claiming.run
        )
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
            note_conflict(error)
            return Outcome(None, error), error
        logger.warning("the answer to COMMIT was lost; the receipt is looked up")
        lost = self._claiming.run
        try:
            known = await self._claiming.looked_up(self._unit, self._sleep)
        except (InUse, DatabaseUnavailable) as unknown:
            # Whoever repeats the request with its key learns it.
            current.receipt = "unknown"
            current.failure = error
            logger.warning("the receipt could not be looked up: %s", unknown)
            return Outcome(None, error), RuntimeError("unknown")
        if known is None or self._claiming.met == lost:
            current.receipt = "resolved"
        if known is not None:
            current.doubtful, current.committed = self._before[1], Change.YES
            current.unsettled = False
            current.failure = current.origin = None
            if self._claiming.met != lost:
                # This run was not committed; but the client has repeated its request, and that was.
                run.after_commit = []
                return known, None
            return Outcome(outcome.answer, outcome.error), None
        # The claim is ours now: what was sent before can never be committed.
        self._nothing_stayed()
        error.nothing_executed = True
        return Outcome(None, error), error

    def _nothing_stayed(self) -> None:
        self._current.unsettled = False
        self._current.committed, self._current.doubtful = self._before

    def _may_run_again(self, failure: BaseException) -> bool:
        # What a run within another one has done on the other's database is not undone.
        wanted = self._repeats and request.run_here() is None and _helps(failure)
        return wanted and self._current.runs < _MOST_RUNS and self._claiming.time_left() > 0

    async def _afterwards(self, run: request.Run) -> None:
        """Whatever happens here, even the request's deadline: its answer goes out."""
        steps = list(run.after_commit)
        if self._claim.key[0] < 256 // _REMOVES:
            text = texts.remove_expired(self._policy.keep + 3600, self._unit.engine)
            steps.insert(0, lambda: self._unit.after(text))
        while steps:
            try:
                result = steps.pop(0)()
                if isawaitable(result):
                    await result
            except (SystemExit, KeyboardInterrupt):
                raise
            except Exception as error:
                if refused_for_others(error) and self._unit.engine.optimistic:
                    # Of two that clean up at once.
                    logger.info("after the commit: %s", type(error).__name__)
                else:
                    logger.exception("what follows a commit failed; the request stays executed")
            except BaseException as error:
                if deadline.remaining() <= 0:
                    logger.warning("%s after the commit; %d more not begun", error, len(steps))
                    return
                logger.exception("what follows a commit was cancelled; the request stays executed")


def _helps(failure: BaseException) -> bool:
    """Whether running all again may help."""
    return isinstance(failure, (ConnectionLost, DatabaseReadOnly)) or refused_for_others(failure)
