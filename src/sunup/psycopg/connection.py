"""psycopg's own connection, which ends at the deadline and knows whether it is clean."""

import socket
import time
from collections import deque
from typing import Any, TypeVar

import psycopg
from psycopg import errors, pq, waiting

from sunup import deadline, request
from sunup.connecting.meaning import is_uncertain
from sunup.connecting.savepoints import SPOILED, step_of
from sunup.connecting.session import AT_REST, JOINED, Session
from sunup.connecting.waking import retires
from sunup.failures import sqlstate_of
from sunup.settings import Settings
from sunup.statements import Effect, effect_of, effect_of_all

from .cursor import ServerCursor
from .joining import Joining
from .lock import Lock
from .meaning import MEANING

T = TypeVar("T")

# Seconds between checks for signals, as in psycopg.
_INTERVAL = 0.1

# The same after the deadline: psycopg's wait in C begins anew at each signal, and the alarm rings
# more often than `_INTERVAL`.
_BRIEF = 0.02

# Seconds for having a statement cancelled at the deadline: a request to the server on a separate
# connection (TLS included), and the statement's end.
_CANCELLING = 0.5

_IDLE, _ACTIVE = pq.TransactionStatus.IDLE, pq.TransactionStatus.ACTIVE
_IN_TRANSACTION = (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR)


class Connection(Joining):
    """A `psycopg.Connection` whose waits end at the request's deadline with `DeadlineExceeded`.

    The statement is then cancelled on the server.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.server_cursor_factory = ServerCursor
        self.session = Session()
        # The request that uses it.
        self.holder: request.Request | None = None
        # In seconds since the epoch: when it was given back; when it is too old to be handed out.
        self.rests_since = time.time()
        self.retires = deadline.NEVER
        # Lent, and resting in the other pool.
        self.spare = False
        # Taken away from its holder, whose request has ended.
        self.taken = False
        # To be closed by the thread that uses it.
        self._leaving = False
        # The texts of the statements that the next wait sends, as far as they are reported.
        self.texts: list[str] = []
        self.lock: Any = Lock(self._lock_patience)
        # While it is put right: until when, in seconds since the epoch.
        self._cleaning_until: float | None = None
        # The deadline whose clean-up has taken its time: nothing is waited for any more.
        self._slow: float | None = None
        self._state: tuple[object, ...] = ()

    def begun(self, settings: Settings) -> None:
        """It has been opened: its present state is what each block begins with."""
        session = self.session
        session.engine = settings.engine
        self.retires = retires(settings)
        if session.engine.sessions:
            session.startup_timeout = session.timeout = settings.statement_timeout
        if not session.engine.prepared:
            self.prepare_threshold = None
        self._state = self._driver_state()

    def is_dead(self) -> bool:
        """Whether it is known to be closed."""
        return self.closed

    def is_spare(self) -> bool:
        """Whether another library has it, and does not use it."""
        return self.spare

    @property
    def clean(self) -> bool:
        """Whether it can be handed on as it is: by the protocol, the driver and the session."""
        return (
            self.pgconn.transaction_status == _IDLE
            and self.session.clean
            and self._num_transactions == 0
            and self._tpc is None
            and not self._notifies_backlog
            and self._pipeline is None
            and self._driver_state() == self._state
        )

    def put_right(self) -> bool:
        """Make it clean, in at most `deadline.CLEANING` seconds; False: it has to be closed.

        An open transaction is rolled back, the session reset, the driver's settings put back.
        """
        session = self.session
        status = self.pgconn.transaction_status
        in_use = session.active or self._num_transactions or self._pipeline is not None
        if in_use or self._tpc is not None or not session.can_be_reset:
            return False
        if status != _IDLE and status not in _IN_TRANSACTION:
            return False
        self._cleaning_until = time.time() + deadline.for_cleaning()
        try:
            if status != _IDLE:
                self.rollback()
            if session.touched:
                self.autocommit = True
                self.texts.append("select 1")  # what is not the app's is no change of its
                psycopg.Cursor(self).execute(session.engine.reset)
                session.was_reset()
            self._notifies_backlog = deque()
            if self._state and self._driver_state() != self._state:
                self._put_driver_state_back()
        except psycopg.Error:
            return False
        finally:
            self._cleaning_until = None
        return self.clean

    def adopt(self) -> None:
        """Make its present state the one that each block starts with."""
        self.session.adopt()
        self._state = self._driver_state()

    def leave(self) -> None:
        """End it; a statement under way, perhaps another thread's, is cancelled first."""
        if self.closed:
            return
        if self.pgconn.transaction_status == _ACTIVE and self.session.engine.cancels:
            self._try_cancel(timeout=_CANCELLING)
        if not self.session.active:
            self.close()
            return
        # Closing is the business of the thread that uses it, which sees the end of the stream.
        self._leaving = True
        try:
            with socket.socket(fileno=socket.dup(self.pgconn.socket)) as ours:
                ours.shutdown(socket.SHUT_RDWR)
        except (OSError, psycopg.Error):
            pass

    def keep_time(self) -> None:
        """Have the server's statement_timeout follow the deadline, where that is needed."""
        session = self.session
        milliseconds = session.timeout_to_set()
        if milliseconds is not None and self.pgconn.transaction_status == _IDLE:
            touched = session.touched
            with self.lock:
                self.wait(self._exec_command(f"set statement_timeout = {milliseconds}"))
            session.touched = touched
            session.timeout = milliseconds / 1000

    def wait(self, gen: Any, interval: float = _INTERVAL, timeout: float | None = None) -> Any:
        """As in psycopg; raises `DeadlineExceeded` when the request's time is up."""
        limit = self._patience(gen)
        session = self.session
        refused = session.only_for is not None
        if limit <= 0 or refused:
            error: BaseException = deadline.DeadlineExceeded()
            if refused:
                error = psycopg.InterfaceError(AT_REST)
            elif self._is_to_end:
                self.pgconn.finish()
                if getattr(gen, "__name__", "") == "_rollback_gen" or _settle(self.texts):
                    # No deadline: that would hide what is being undone.
                    error = psycopg.OperationalError("closed at the deadline, and so rolled back")
            gen.close()
            self.texts.clear()
            raise error
        if self.ahead and session.joined and not session.active:
            self._send_ahead()
        if session.savepoints.spoiled and self._cleaning_until is None:
            self._refuse_spoiled(gen)
        if session.joined and effect_of_all(self.texts).ends:
            gen.close()
            self.texts.clear()
            raise psycopg.InterfaceError(JOINED)
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

    def _refuse_spoiled(self, gen: Any) -> None:
        if not effect_of_all(self.texts).rolls_back:
            getattr(gen, "close", lambda: None)()
            self.texts.clear()
            raise psycopg.InterfaceError(SPOILED)

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
        if self._pipeline is not None and self.autocommit:
            ends = False  # its end is a commit
        if ends or status == pq.TransactionStatus.INERROR:
            return deadline.CLEANUP if self._slow != limit or status not in _IN_TRANSACTION else 0.0
        if status == pq.TransactionStatus.INTRANS and remaining <= 0:
            remaining = min(deadline.CLEANUP, remaining + deadline.GRACE + deadline.CLEANUP)
        return max(0.0, remaining)

    @property
    def _is_to_end(self) -> bool:
        """Whether nothing is left but to close it, after the deadline."""
        if self._pipeline is not None and self.autocommit:
            return True  # what it has sent would be committed
        status = self.pgconn.transaction_status
        return status in _IN_TRANSACTION and self._slow is not None and self._slow == deadline.at()

    def _has_settled(self, gen: Any, confirmed: BaseException) -> bool:
        """Whether what was interrupted only keeps or undoes, and has."""
        if not self.closed:
            return confirmed is _DONE and _settle(self.texts)
        # Nothing of it is left. (The end of psycopg's own block has more to tell.)
        own = getattr(gen, "__name__", "") == "_exit_gen"
        return bool(self.texts) and not own and _undo(self.texts)

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
            self.cancel_safe(timeout=_CANCELLING)
            result = waiting.wait(gen, self.pgconn.socket, interval=_BRIEF, timeout=_CANCELLING)
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
        untold = getattr(gen, "__name__", "") not in _QUIET or _ACTIVE in (status, now)
        if effect.begins_only and (untold or self._pipeline is not None):
            effect = Effect.together([effect, _ANYTHING])
        before = status in _IN_TRANSACTION
        after = now in _IN_TRANSACTION or now == _ACTIVE
        session = self.session
        if error is None and now == _ACTIVE:
            session.begun(effect)
        elif error is None or error is _DONE:
            # COMMIT of a transaction that failed is a rollback.
            failed = status == pq.TransactionStatus.INERROR
            session.done(effect, before=before, after=after, rolled_back=failed)
        elif (
            sqlstate_of(error) is not None
            and not is_uncertain(error)
            and now in (_IDLE, *_IN_TRANSACTION)
        ):
            state = sqlstate_of(error)
            session.refused(effect, before=before or effect.begins, after=after, state=state)
        elif not MEANING.was_not_executed(error):
            session.lost(effect, before=before or effect.begins)

    def _driver_state(self) -> tuple[object, ...]:
        return (
            self.autocommit,
            self.isolation_level,
            self.read_only,
            self.deferrable,
            self.row_factory,
            self.cursor_factory,
            self.prepare_threshold,
            self.prepared_max,
            self.server_cursor_factory,
            len(self._notice_handlers),
            len(self._notify_handlers),
        )

    def _put_driver_state_back(self) -> None:
        state: Any = self._state
        self.autocommit, self.isolation_level, self.read_only, self.deferrable = state[:4]
        self.put_factories_back()


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
    steps = [step_of(text) or ("rollback" if effect_of(text).rolls_back else "",) for text in texts]
    return all(step[0] == "rollback" for step in steps)


# A statement that ended well although it was to be cancelled.
_DONE = BaseException()
# One whose connection was closed under it.
_UNKNOWN = BaseException()
