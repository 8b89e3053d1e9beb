"""A connection whose waits end at the request's deadline, and what is still sent after it."""

import time
from typing import Any, NoReturn

import psycopg
from psycopg import errors, pq, waiting

from sunup import deadline
from sunup.connecting.meaning import is_uncertain
from sunup.connecting.savepoints import SPOILED, step_of
from sunup.connecting.session import AT_REST, JOINED, Session
from sunup.failures import sqlstate_of
from sunup.statements import Effect, effect_of, effect_of_all

from .joining import Joining
from .lock import Lock
from .meaning import MEANING

# Seconds between checks for signals, as in psycopg.
_INTERVAL = 0.1

# The same after the deadline: psycopg's wait in C begins anew at each signal, and the alarm rings
# more often than `_INTERVAL`.
_BRIEF = 0.02

# Seconds for having a statement cancelled at the deadline: a request to the server on a separate
# connection (TLS included), and the statement's end.
CANCELLING = 0.5

IDLE, ACTIVE = pq.TransactionStatus.IDLE, pq.TransactionStatus.ACTIVE
IN_TRANSACTION = (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR)


class Timed(Joining):
    """A `psycopg.Connection` whose waits end at the request's deadline with `DeadlineExceeded`.

    The statement is then cancelled on the server.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.session = Session()
        # To be closed by the thread that uses it.
        self._leaving = False
        # The texts of the statements that the next wait sends, as far as they are reported.
        self.texts: list[str] = []
        self.lock: Any = Lock(self._lock_patience)
        # While it is put right: until when, in seconds since the epoch.
        self._cleaning_until: float | None = None
        # The deadline whose clean-up has taken its time: nothing is waited for any more.
        self._slow: float | None = None

    def wait(self, gen: Any, interval: float = _INTERVAL, timeout: float | None = None) -> Any:
        """As in psycopg; raises `DeadlineExceeded` when the request's time is up."""
        limit = self._patience(gen)
        session = self.session
        if session.only_for is not None:
            self._refuse(gen, psycopg.InterfaceError(AT_REST))
        if limit <= 0:
            self._refuse(gen, self._too_late(gen))
        if self.ahead and session.joined and not session.active:
            self._send_ahead()
        spoiled = session.savepoints.spoiled and self._cleaning_until is None
        if spoiled and not effect_of_all(self.texts).rolls_back:
            self._refuse(gen, psycopg.InterfaceError(SPOILED))
        if session.joined and effect_of_all(self.texts).ends:
            self._refuse(gen, psycopg.InterfaceError(JOINED))
        if limit <= deadline.CLEANING:
            interval = min(interval, _BRIEF)
        status = self.pgconn.transaction_status
        confirmed: BaseException | None = None
        session.active += 1
        try:
            if timeout is not None and timeout <= limit:
                result = super().wait(gen, interval, timeout)
            else:
                ends = None if limit == deadline.NEVER else limit
                try:
                    result = super().wait(gen, interval, ends)
                except errors._WaitTimeout:  # noqa: SLF001
                    if limit == deadline.CLEANUP:
                        self._slow = deadline.at()
                    confirmed, result = self._interrupt(gen)
                    if not self._has_settled(gen, confirmed):
                        raise self._overrun() from None
        except BaseException as error:
            self._ended(gen, status, confirmed or error)
            raise
        else:
            self._ended(gen, status, confirmed if self.closed else None)
            return result
        finally:
            session.active -= 1
            if self._leaving and not session.active:
                self.close()

    def _refuse(self, gen: Any, error: BaseException) -> NoReturn:
        getattr(gen, "close", lambda: None)()
        self.texts.clear()
        raise error

    def _patience(self, gen: Any = None) -> float:
        if self._cleaning_until is not None:
            return max(0.01, self._cleaning_until - time.time())
        limit = deadline.at()
        if limit is None:
            return deadline.NEVER
        remaining = limit - time.time()
        if remaining >= deadline.CLEANUP:
            return remaining
        # The app's own clean-up, and its libraries': Django that could not set autocommit again
        # would never commit what comes next.
        status = self.pgconn.transaction_status
        ends = gen is not None and (getattr(gen, "__name__", "") in _CLEANS or _settle(self.texts))
        ends = ends and not self._commits_at_end
        if ends or status == pq.TransactionStatus.INERROR:
            return deadline.CLEANUP if self._slow != limit or status not in IN_TRANSACTION else 0.0
        if status == pq.TransactionStatus.INTRANS and remaining <= 0:
            remaining = min(deadline.CLEANUP, remaining + deadline.GRACE + deadline.CLEANUP)
        return max(0.0, remaining)

    @property
    def _commits_at_end(self) -> bool:
        """Whether it has a pipeline whose end commits what was sent."""
        return self._pipeline is not None and self.autocommit

    def _too_late(self, gen: Any) -> BaseException:
        """What a wait ends with that there is no time for; it may take the connection with it."""
        slow = self._slow == deadline.at() and self.pgconn.transaction_status in IN_TRANSACTION
        if slow or self._commits_at_end:
            self.pgconn.finish()
            if getattr(gen, "__name__", "") == "_rollback_gen" or _settle(self.texts):
                # No deadline: that would hide what is being undone.
                return psycopg.OperationalError("closed at the deadline, and so rolled back")
        return deadline.DeadlineExceeded()

    def _has_settled(self, gen: Any, confirmed: BaseException) -> bool:
        """Whether what was interrupted only keeps or undoes, and has."""
        if not self.closed:
            return confirmed is _DONE and _settle(self.texts)
        # Nothing of it is left. (The end of psycopg's own block has more to tell.)
        own = getattr(gen, "__name__", "") == "_exit_gen"
        return not own and _undo(self.texts)

    def _lock_patience(self) -> float:
        limit = self._patience()
        return -1 if limit == deadline.NEVER else limit

    def _overrun(self) -> BaseException:
        if self._cleaning_until is not None:
            return psycopg.OperationalError("no answer in time")
        return deadline.DeadlineExceeded()

    def _interrupt(self, gen: Any) -> tuple[BaseException, Any]:
        """Cancel the statement under way on the server; what it ended with, and its result."""
        if not self.session.engine.cancels:
            self.pgconn.finish()
            return _UNKNOWN, None
        try:
            self.cancel_safe(timeout=CANCELLING)
            result = waiting.wait(gen, self.pgconn.socket, interval=_BRIEF, timeout=CANCELLING)
        except errors.QueryCanceled as error:
            return error, None
        except BaseException as error:
            self.pgconn.finish()  # what became of it is not known
            if not isinstance(error, Exception):
                raise
            return _UNKNOWN, None
        return _DONE, result

    def _ended(self, gen: Any, status: int, error: BaseException | None) -> None:
        """Tell the session what became of what was sent."""
        texts, self.texts = self.texts, []
        if status == pq.TransactionStatus.UNKNOWN:
            return  # it was lost before: nothing was sent
        now = self.pgconn.transaction_status
        effect = effect_of_all(texts)
        untold = getattr(gen, "__name__", "") not in _QUIET or ACTIVE in (status, now)
        if effect.begins_only and (untold or self._pipeline is not None):
            effect = Effect.together([effect, _ANYTHING])
        before = status in IN_TRANSACTION
        after = now in IN_TRANSACTION or now == ACTIVE
        session = self.session
        if error is None and now == ACTIVE:
            session.begun(effect)
        elif error is None or error is _DONE:
            # COMMIT of a transaction that failed is a rollback.
            failed = status == pq.TransactionStatus.INERROR
            session.done(effect, before=before, after=after, rolled_back=failed)
        elif (
            sqlstate_of(error) is not None
            and not is_uncertain(error)
            and now in (IDLE, *IN_TRANSACTION)
        ):
            state = sqlstate_of(error)
            session.refused(effect, before=before or effect.begins, after=after, state=state)
        elif not MEANING.was_not_executed(error):
            session.lost(effect, before=before or effect.begins)


# What was not reported: COPY, a stream, a cursor of another class, a pipeline.
_ANYTHING = Effect("do")

# psycopg's own steps, which send only what `_exec_command` or a cursor has reported.
_QUIET = frozenset(
    (
        "_begun_anew",
        "_check_intrans_gen",
        "_close_gen",
        "_commit_gen",
        "_describe_gen",
        "_enter_gen",
        "_exec_command",
        "_exit_gen",
        "_fetch_gen",
        "_rollback_gen",
        "_scroll_gen",
        "_several",
        "_set_autocommit_gen",
        "_set_deferrable_gen",
        "_set_isolation_level_gen",
        "_set_read_only_gen",
        "_tpc_begin_gen",
        "_tpc_finish_gen",
        "_tpc_prepare_gen",
    )
)

# What ends a transaction or a cursor, and settings of psycopg's own, of which no server hears.
_CLEANS = frozenset(
    (
        "_close_gen",
        "_commit_gen",
        "_exit_gen",
        "_rollback_gen",
        "_set_autocommit_gen",
        "_set_deferrable_gen",
        "_set_isolation_level_gen",
        "_set_read_only_gen",
        "_tpc_finish_gen",
    )
)


def _settle(texts: list[str]) -> bool:
    """Whether these only keep or undo: what has ended well then has, however late."""
    effects = [effect_of(text) for text in texts if step_of(text) is None]
    return bool(texts) and all(
        effect.ends and not (effect.begins or effect.several) for effect in effects
    )


def _undo(texts: list[str]) -> bool:
    """Whether these only undo."""
    others = [text for text in texts if (step_of(text) or ("",))[0] != "rollback"]
    return bool(texts) and all(effect_of(text).rolls_back for text in others)


# A statement that ended well although it was to be cancelled.
_DONE = BaseException()
# One whose connection was closed under it.
_UNKNOWN = BaseException()
