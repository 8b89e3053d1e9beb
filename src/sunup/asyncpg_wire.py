"""What asyncpg's connection sends: each statement is told to the `Session` before and after.

Everything of asyncpg's, cursors, prepared statements and COPY among them, goes through the
connection's protocol object (`Connection._protocol`); this stands in its place.
"""

from collections.abc import Awaitable
from typing import Any, TypeVar

from .failures import sqlstate_of, was_not_executed
from .session import Session
from .statements import Effect, effect_of

T = TypeVar("T")


class Wire:
    """asyncpg's protocol object, watched."""

    __slots__ = ("_protocol", "session")

    def __init__(self, protocol: Any, session: Session) -> None:
        self._protocol = protocol
        self.session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol, name)

    async def query(self, query: str, timeout: float | None) -> Any:
        """Run a command, or several, without parameters."""
        effect = effect_of(query)
        milliseconds = self.session.timeout_to_set()
        if milliseconds is not None and not self._protocol.is_in_transaction():
            if effect.begins and ";" not in query.rstrip("; \n"):
                # In the same round trip, and gone with the transaction.
                query = f"{query.rstrip('; ')}; set local statement_timeout = {milliseconds}"
            else:
                await self._set_timeout(milliseconds)
        return await self._watched(effect, self._protocol.query(query, timeout))

    async def prepare(self, stmt_name: str, query: str, *args: Any, **options: Any) -> Any:
        """Have a statement parsed, which executes nothing."""
        return await self._watched(
            _PARSING, self._protocol.prepare(stmt_name, query, *args, **options)
        )

    async def bind_execute(self, state: Any, *args: Any, **options: Any) -> Any:
        """Run a prepared statement."""
        await self._keep_time()
        return await self._watched(
            effect_of(state.query), self._protocol.bind_execute(state, *args, **options)
        )

    async def bind_execute_many(self, state: Any, *args: Any, **options: Any) -> Any:
        """Run a prepared statement once for each sequence of arguments."""
        await self._keep_time()
        return await self._watched(
            effect_of(state.query), self._protocol.bind_execute_many(state, *args, **options)
        )

    async def execute(self, state: Any, *args: Any, **options: Any) -> Any:
        """Go on with a cursor."""
        return await self._watched(
            effect_of(state.query), self._protocol.execute(state, *args, **options)
        )

    async def copy_in(self, copy_stmt: str, *args: Any, **options: Any) -> Any:
        """COPY ... FROM."""
        return await self._watched(
            effect_of(copy_stmt), self._protocol.copy_in(copy_stmt, *args, **options)
        )

    async def copy_out(self, copy_stmt: str, *args: Any, **options: Any) -> Any:
        """COPY ... TO."""
        return await self._watched(_PARSING, self._protocol.copy_out(copy_stmt, *args, **options))

    async def _keep_time(self) -> None:
        milliseconds = self.session.timeout_to_set()
        if milliseconds is not None and not self._protocol.is_in_transaction():
            await self._set_timeout(milliseconds)

    async def _set_timeout(self, milliseconds: int) -> None:
        await self._watched(
            _PARSING, self._protocol.query(f"set statement_timeout = {milliseconds}", None)
        )
        self.session.timeout = milliseconds / 1000

    async def _watched(self, effect: Effect, work: Awaitable[T]) -> T:
        protocol, session = self._protocol, self.session
        before: bool = protocol.is_in_transaction()
        session.active += 1
        try:
            result = await work
        except BaseException as error:
            if sqlstate_of(error) is not None and protocol.is_connected():
                session.refused(effect, before=before, after=protocol.is_in_transaction())
            elif not was_not_executed(error):
                session.lost(effect, before=before)
            raise
        else:
            session.done(
                effect,
                before=before,
                after=protocol.is_in_transaction(),
                rolled_back=result == b"ROLLBACK" or result == "ROLLBACK",
            )
            return result
        finally:
            session.active -= 1


_PARSING = effect_of("")
