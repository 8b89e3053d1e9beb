"""What a connection does while its transaction is a request's whole work: see `unit`."""

import re
from typing import Any

import psycopg
from psycopg import errors, generators, pq

from sunup.connecting.savepoints import SPOILED, step_of
from sunup.connecting.session import (
    ENDED,
    FAILED,
    GONE,
    ISOLATED,
    KEEP,
    UNDO,
    Session,
)
from sunup.statements import effect_of_all

from .cursor import text_of

_PARAMETER = re.compile(r"\$\d+")


class Joining(psycopg.Connection[tuple[Any, ...]]):
    """Commits and rollbacks become savepoints, sent before the next statement, if there is one."""

    session: Session
    # The texts of the statements that the next wait sends.
    texts: list[str]
    # The driver's settings that each block begins with.
    _state: tuple[object, ...]
    # What has to be sent before the next statement.
    ahead = ""
    joined_isolation: psycopg.IsolationLevel | None = None

    def begin_with(self, text: str, isolation: str | None) -> int:
        """Begin a transaction and run more in the same round trip; its last command's rows."""
        if isolation is None:
            begin = self._get_tx_start_command().decode()
            self.joined_isolation = self.isolation_level
            if self.session.engine.optimistic:
                self.joined_isolation = psycopg.IsolationLevel.REPEATABLE_READ  # it has no other
        else:
            begin = f"begin isolation level {isolation.replace('_', ' ')}"
            self.joined_isolation = psycopg.IsolationLevel[isolation.upper()]
        with self.lock:
            self.texts.append("begin")
            results = self.wait(self._several(f"{begin}; {text}"))
        return int(results[-1].ntuples)

    def commit_joined(self) -> None:
        """Commit what `begin_with` began."""
        with self.lock:
            self.texts.append("commit")
            self.wait(self._several("commit"))

    def unmeasured_row(self, text: str, values: tuple[Any, ...]) -> Any:
        """Run a query that is not the app's, with parameters `$1` and so on; its first row."""
        return self._unmeasured(text, values).fetchone()

    def store(self, text: str, values: tuple[Any, ...]) -> None:
        """Change the request's receipt. Raises `InterfaceError` where it is not there any more."""
        if self._unmeasured(text, values).rowcount != 1:
            raise psycopg.InterfaceError(GONE)

    def _exec_command(self, command: Any, *arguments: Any, **options: Any) -> Any:
        # psycopg's own: BEGIN, COMMIT, ROLLBACK, savepoints.
        text = text_of(command, self)
        instead = self.without_savepoint(text)
        if instead is not None:
            return self._begun_anew(instead) if instead else iter(())
        if self.session.savepoints.spoiled and not effect_of_all([text]).rolls_back:
            raise psycopg.InterfaceError(SPOILED)
        self.texts.append(text)
        return super()._exec_command(command, *arguments, **options)

    def without_savepoint(self, text: str) -> str | None:
        """What to send instead, perhaps nothing, where the server has no savepoints.

        None: it is sent as it is. Raises `InterfaceError` where nothing can be done instead.
        """
        session = self.session
        if not session.engine.optimistic or (step := step_of(text)) is None:
            return None
        status = self.pgconn.transaction_status
        failed = status == pq.TransactionStatus.INERROR
        alone = status == pq.TransactionStatus.IDLE and self.autocommit
        if alone or (failed and step[0] != "rollback"):
            return None  # the server's own refusal
        instead = session.savepoint(*step)
        if instead is None:
            raise psycopg.InterfaceError(SPOILED)
        return instead

    def begin_anew(self, text: str) -> None:
        """See `Savepoints`. Raises `SerializationFailure` where the request's key was claimed."""
        self.wait(self._begun_anew(text))

    def _begun_anew(self, text: str) -> Any:
        # What is not the app's is no change of its.
        self.texts.append("select 1")
        try:
            yield from self._several(text)
        except errors.UniqueViolation:
            # Somebody has repeated the request, and was faster.
            raise errors.SerializationFailure("the key was claimed meanwhile") from None
        self.session.sent(text)

    def _unmeasured(self, text: str, values: tuple[Any, ...]) -> Any:
        self.texts.append("select 1")  # what is not the app's is no change of its
        cursor: Any = psycopg.Cursor(self, row_factory=psycopg.rows.tuple_row)
        return cursor.execute(_PARAMETER.sub("%s", text), values, binary=True)

    def check_joined(self) -> None:
        """Raise `InterfaceError` where a request's one transaction cannot be committed."""
        self.check_savepoints()
        if self.pgconn.transaction_status == pq.TransactionStatus.IDLE:
            raise psycopg.InterfaceError(ENDED)

    def check_savepoints(self) -> None:
        """Raise `InterfaceError` where only a rollback is taken, for lack of savepoints."""
        if self.session.savepoints.spoiled:
            raise psycopg.InterfaceError(SPOILED)

    def unmeasured(self, text: str) -> int:
        """Run statements that are not the app's; the rows of the last one."""
        with self.lock:
            return int(self.wait(self._several(text))[-1].ntuples)

    def commit(self) -> None:
        """As in psycopg; in a request's one transaction the work is kept by a savepoint.

        Raises `InFailedSqlTransaction` there, where the block hides that a statement failed.
        """
        if not self.session.joined:
            super().commit()
        elif self._num_transactions:
            super().commit()  # psycopg's own refusal
        elif self.pgconn.transaction_status == pq.TransactionStatus.INERROR and not self.ahead:
            raise errors.InFailedSqlTransaction(FAILED)
        elif not self.ahead:
            self._end_block(KEEP)

    def rollback(self) -> None:
        """As in psycopg; in a request's one transaction the block's work is undone."""
        if not self.session.joined or self._num_transactions:
            super().rollback()
        elif not self.ahead:
            self.undo()

    def set_autocommit(self, value: bool) -> None:  # noqa: FBT001
        """As in psycopg, which refuses a change in a request's one transaction."""
        if not self.session.joined or value != self.autocommit:
            super().set_autocommit(value)

    def set_isolation_level(self, value: Any) -> None:
        """As in psycopg; a request's one transaction has at least the isolation that it has."""
        has = self.joined_isolation or psycopg.IsolationLevel.READ_COMMITTED
        if self.session.joined:
            if value is None or value <= has:
                return
            wanted = psycopg.IsolationLevel(value).name.lower()
            raise psycopg.ProgrammingError(ISOLATED.format(wanted=wanted))
        super().set_isolation_level(value)

    def undo(self) -> None:
        """Undo what was done since the last savepoint, before the next statement."""
        if not self.ahead:
            self._end_block(UNDO)

    def _end_block(self, step: str) -> None:
        optimistic = self.session.engine.optimistic
        self.ahead = self.session.block_ended(step) if optimistic else step

    def block_ended(self) -> None:
        """Have what the block has set put back, too, before the next statement."""
        if self.session.engine.optimistic:
            return  # it is done
        if self.session.touched or self.session.localized:
            self.ahead = self.session.block_ended(self.ahead or KEEP)

    def _several(self, text: str) -> Any:
        """Send several statements at once; a generator, as psycopg's own."""
        self._check_connection_ok()
        self.pgconn.send_query(text.encode())
        results = yield from generators.execute(self.pgconn)
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise errors.error_from_result(result, encoding="utf-8")
        return results

    def _send_ahead(self) -> None:
        ahead, self.ahead = self.ahead, ""
        texts, self.texts = self.texts, []
        try:
            if ahead == self.session.savepoints.restart:
                self.begin_anew(ahead)
            else:
                self.texts = [ahead]
                self.wait(self._several(ahead))
                self.session.sent(ahead)
        except BaseException:
            self.ahead = ahead  # what it undoes is still there
            raise
        self.texts = texts

    def put_factories_back(self) -> None:
        """Have the driver's settings that the server does not know as each block begins with."""
        state: Any = self._state
        if not state:
            return
        self.row_factory, self.cursor_factory, self.prepare_threshold = state[4:7]
        self.prepared_max, self.server_cursor_factory = state[7:9]
        del self._notice_handlers[state[9] :]
        del self._notify_handlers[state[10] :]
