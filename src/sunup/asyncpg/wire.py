"""What asyncpg's connection sends: each statement is reported to the `Session`, before and after.

Everything in asyncpg, including cursors, prepared statements and COPY, goes through the
connection's protocol object (`Connection._protocol`); this stands in its place.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import asyncpg

from sunup.connecting.meaning import is_uncertain
from sunup.connecting.savepoints import SPOILED, step_of
from sunup.connecting.session import AT_REST, JOINED, Session
from sunup.failures import sqlstate_of
from sunup.statements import Change, Effect, effect_of

from .meaning import MEANING

# What asyncpg sends for a transaction within another.
_SAVEPOINT = re.compile(r"(SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO) (__asyncpg_savepoint\w+);")

# Who sent a statement does not wait for its end any more.
_GIVEN_UP = (asyncio.CancelledError, TimeoutError)

# Parsing a statement executes nothing.
_NOTHING = effect_of("")


class Wire:
    """asyncpg's protocol object, watched.

    What asyncpg asks of it for each statement has its own slots, and only one coroutine stands
    in between: together a tenth of a short statement's time on a loopback.
    """

    __slots__ = (
        "_get_timeout",
        "_is_cancelling",
        "_protocol",
        "behind_begin",
        "get_settings",
        "is_connected",
        "is_in_transaction",
        "savepoints",
        "session",
        "tag",
        "terminate",
    )

    def __init__(self, protocol: Any, session: Session, terminate: Callable[[], None]) -> None:
        self._protocol = protocol
        # Closes the connection at once.
        self.terminate = terminate
        self.session = session
        # asyncpg's own, of transactions within a request's one transaction that have not ended.
        self.savepoints: dict[str, None] = {}
        # What goes with the next BEGIN in one round trip, and how that ended.
        self.behind_begin = ""
        self.tag: Any = ""
        self._get_timeout = protocol._get_timeout  # noqa: SLF001
        self._is_cancelling = protocol._is_cancelling  # noqa: SLF001
        self.get_settings = protocol.get_settings
        self.is_connected = protocol.is_connected
        self.is_in_transaction = protocol.is_in_transaction

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol, name)

    async def query(self, query: str, timeout: float | None) -> Any:
        """Run a command, or several, without parameters."""
        effect = effect_of(query)
        if self.session.joined and (found := _SAVEPOINT.match(query)):
            self._note_savepoint(found[1], found[2])
        if self.session.engine.optimistic and (step := step_of(query)) is not None:
            return await self._without_savepoint(query, *step, timeout)
        if effect.begins:
            await self._settled()
            milliseconds = self.session.timeout_to_set()
            alone = ";" not in query.rstrip("; \n") and not self.is_in_transaction()
            more, self.behind_begin = self.behind_begin, ""
            if milliseconds is not None and alone:
                # In the same round trip, and gone with the transaction.
                more = f"set local statement_timeout = {milliseconds}; {more}"
            if more:
                both = f"{query.rstrip('; ')}; {more.rstrip('; ')}"
                self.tag = await self._watched(effect, self._protocol.query, both, timeout)
                starts = query.lstrip()[:5].lower() == "start"
                return "START TRANSACTION" if starts else "BEGIN"
        return await self._watched(effect, self._protocol.query, query, timeout, timed=True)

    async def _without_savepoint(
        self, query: str, step: str, name: str, timeout: float | None
    ) -> Any:
        session = self.session
        await self._settled()
        if not self.is_in_transaction() or (session.aborted and step != "rollback"):
            return await self._watched(effect_of(query), self._protocol.query, query, timeout)
        text = session.savepoint(step, name)
        if text is None:
            raise asyncpg.InterfaceError(SPOILED)
        if text:
            await self.begin_anew(text)
        return step.upper()

    async def begin_anew(self, text: str) -> None:
        """Begin the transaction anew. Raises `SerializationError` where its key was claimed."""
        try:
            await self._watched(_NOTHING, self._protocol.query, text, None, anew=True)
        except asyncpg.UniqueViolationError:
            # Somebody has repeated the request, and was faster.
            raise asyncpg.SerializationError("the key was claimed meanwhile") from None
        self.session.sent(text)

    def _note_savepoint(self, step: str, name: str) -> None:
        if step == "SAVEPOINT":
            self.savepoints[name] = None
            return
        ended = False
        for each in list(self.savepoints):
            ended = ended or each == name
            if ended:  # and with it those within
                del self.savepoints[each]

    def prepare(self, *args: Any, **options: Any) -> Coroutine[Any, Any, Any]:
        """Have a statement parsed."""
        self.session.parsed = self.session.only_for is None  # else it is refused
        return self._watched(_NOTHING, self._protocol.prepare, *args, parses=True, **options)

    def bind_execute(self, state: Any, *args: Any, **options: Any) -> Coroutine[Any, Any, Any]:
        """Run a prepared statement."""
        effect, send = effect_of(state.query), self._protocol.bind_execute
        return self._watched(effect, send, state, *args, timed=True, **options)

    def bind_execute_many(self, state: Any, *args: Any, **options: Any) -> Coroutine[Any, Any, Any]:
        """Run a prepared statement once for each sequence of arguments."""
        effect, send = effect_of(state.query), self._protocol.bind_execute_many
        return self._watched(effect, send, state, *args, timed=True, **options)

    def execute(self, state: Any, *args: Any, **options: Any) -> Coroutine[Any, Any, Any]:
        """Go on with a cursor."""
        effect, send = effect_of(state.query), self._protocol.execute
        return self._watched(effect, send, state, *args, timed=True, **options)

    def copy_in(self, copy_stmt: str, *args: Any, **options: Any) -> Coroutine[Any, Any, Any]:
        """COPY ... FROM."""
        effect = effect_of(copy_stmt)
        return self._watched(effect, self._protocol.copy_in, copy_stmt, *args, **options)

    def copy_out(self, copy_stmt: str, *args: Any, **options: Any) -> Coroutine[Any, Any, Any]:
        """COPY ... TO."""
        effect = effect_of(copy_stmt)
        return self._watched(effect, self._protocol.copy_out, copy_stmt, *args, **options)

    async def _set_timeout(self, milliseconds: int) -> None:
        statement = f"set statement_timeout = {milliseconds}"
        await self._watched(_NOTHING, self._protocol.query, statement, None)
        self.session.timeout = milliseconds / 1000

    async def _settled(self) -> None:
        """Wait until what was cancelled has ended: the transaction's state is known only then."""
        if self._is_cancelling():
            await self._protocol._wait_for_cancellation()  # noqa: SLF001

    async def _watched(
        self,
        effect: Effect,
        send: Callable[..., Awaitable[Any]],
        *args: Any,
        timed: bool = False,
        parses: bool = False,
        anew: bool = False,
        **options: Any,
    ) -> Any:
        session, is_in_transaction = self.session, self.is_in_transaction
        if session.only_for is not None and session.only_for is not asyncio.current_task():
            raise asyncpg.InterfaceError(AT_REST)
        if session.joined and effect.ends:
            raise asyncpg.InterfaceError(JOINED)
        if session.savepoints.spoiled and not (anew or effect.rolls_back):
            raise asyncpg.InterfaceError(SPOILED)
        if self._is_cancelling():
            await self._settled()
        before: bool = is_in_transaction()
        if not before:
            session.changed = Change.NOTHING
            if timed and (milliseconds := session.timeout_to_set()) is not None:
                await self._set_timeout(milliseconds)
        session.active += 1
        try:
            result = await send(*args, **options)
        except BaseException as error:
            if isinstance(error, _GIVEN_UP) and not session.engine.cancels:
                self.terminate()  # it would go on until its end, and whoever comes would wait
            told = sqlstate_of(error) is not None and not is_uncertain(error)
            if told and self.is_connected():
                after = is_in_transaction()
                session.refused(effect, before=before, after=after, state=sqlstate_of(error))
            elif not MEANING.was_not_executed(error):
                session.lost(effect, before=before)
            raise
        else:
            session.done(
                effect,
                before=before,
                after=is_in_transaction(),
                rolled_back=result in _ROLLED_BACK,
            )
            return result
        finally:
            session.active -= 1
            session.parsed = parses


# asyncpg's results of ROLLBACK, and of a COMMIT that was one.
_ROLLED_BACK = (b"ROLLBACK", "ROLLBACK")
