"""What asyncpg's connection sends: each statement is told to the `Session` before and after.

Everything of asyncpg's, cursors, prepared statements and COPY among them, goes through the
connection's protocol object (`Connection._protocol`); this stands in its place.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from .failures import sqlstate_of, was_not_executed
from .session import Session
from .statements import Change, Effect, effect_of

# Parsing a statement executes nothing.
_NOTHING = effect_of("")


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
        await self._settled()
        effect = effect_of(query)
        milliseconds = self.session.timeout_to_set()
        if milliseconds is not None and not self._protocol.is_in_transaction():
            if effect.begins and ";" not in query.rstrip("; \n"):
                # In the same round trip, and gone with the transaction.
                query = f"{query.rstrip('; ')}; set local statement_timeout = {milliseconds}"
            else:
                await self._set_timeout(milliseconds)
        return await self._watched(effect, self._protocol.query, query, timeout)

    async def prepare(self, *args: Any, **options: Any) -> Any:
        """Have a statement parsed."""
        await self._settled()
        return await self._watched(_NOTHING, self._protocol.prepare, *args, **options)

    async def bind_execute(self, state: Any, *args: Any, **options: Any) -> Any:
        """Run a prepared statement."""
        return await self._run(self._protocol.bind_execute, state, *args, **options)

    async def bind_execute_many(self, state: Any, *args: Any, **options: Any) -> Any:
        """Run a prepared statement once for each sequence of arguments."""
        return await self._run(self._protocol.bind_execute_many, state, *args, **options)

    async def execute(self, state: Any, *args: Any, **options: Any) -> Any:
        """Go on with a cursor."""
        return await self._run(self._protocol.execute, state, *args, **options)

    async def copy_in(self, copy_stmt: str, *args: Any, **options: Any) -> Any:
        """COPY ... FROM."""
        await self._settled()
        effect = effect_of(copy_stmt)
        return await self._watched(effect, self._protocol.copy_in, copy_stmt, *args, **options)

    async def copy_out(self, *args: Any, **options: Any) -> Any:
        """COPY ... TO."""
        await self._settled()
        return await self._watched(_NOTHING, self._protocol.copy_out, *args, **options)

    async def _run(
        self, send: Callable[..., Awaitable[Any]], state: Any, *args: Any, **options: Any
    ) -> Any:
        await self._settled()
        milliseconds = self.session.timeout_to_set()
        if milliseconds is not None and not self._protocol.is_in_transaction():
            await self._set_timeout(milliseconds)
        return await self._watched(effect_of(state.query), send, state, *args, **options)

    async def _set_timeout(self, milliseconds: int) -> None:
        statement = f"set statement_timeout = {milliseconds}"
        await self._watched(_NOTHING, self._protocol.query, statement, None)
        self.session.timeout = milliseconds / 1000

    async def _settled(self) -> None:
        """Wait until what was cancelled has ended: before, the transaction's state is not known."""
        protocol = self._protocol
        if protocol._is_cancelling():  # noqa: SLF001
            await protocol._wait_for_cancellation()  # noqa: SLF001
        if not protocol.is_in_transaction():
            self.session.changed = Change.NOTHING

    async def _watched(
        self, effect: Effect, send: Callable[..., Awaitable[Any]], *args: Any, **options: Any
    ) -> Any:
        protocol, session = self._protocol, self.session
        before: bool = protocol.is_in_transaction()
        session.active += 1
        try:
            result = await send(*args, **options)
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
                rolled_back=result in (b"ROLLBACK", "ROLLBACK"),
            )
            return result
        finally:
            session.active -= 1
