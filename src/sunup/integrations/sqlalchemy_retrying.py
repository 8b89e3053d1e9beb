"""A transaction of SQLAlchemy's that is run again where others were first: as `Database.run`."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeVar

from sqlalchemy import event
from sqlalchemy.orm import Session as OrmSession

from sunup import request
from sunup.connecting.retrying import Retries
from sunup.deadline import DeadlineExceeded

S_co = TypeVar("S_co", covariant=True)
S = TypeVar("S")
T = TypeVar("T")


class Begins(Protocol[S_co]):
    """An `Engine` (a connection comes of it) or a `sessionmaker` (a session)."""

    def begin(self) -> AbstractContextManager[S_co]:
        """A transaction, committed at the block's end."""


class BeginsAsync(Protocol[S_co]):
    """An `AsyncEngine` or an `async_sessionmaker`."""

    def begin(self) -> AbstractAsyncContextManager[S_co]:
        """A transaction, committed at the block's end."""


def run_transaction(sessions: Begins[S], work: Callable[[S], T]) -> T:
    """Run `work(session)` in a transaction, and all of it again where others were first.

    `sessions` is a `sessionmaker` or an `Engine`; each run has a session, or a connection, of its
    own. What is meant by others, for how long, and what is raised: see `Database.run`. What
    listeners do after the commit is not run again.
    """
    with _ledger():
        return _run(sessions, work)


def _run(sessions: Begins[S], work: Callable[[S], T]) -> T:
    joined = request.run_here() is not None
    retries = Retries(time.time(), request.doubts())
    while True:
        watched = _Watched()
        try:
            with sessions.begin() as session:
                watched.begin(session)
                result = work(session)
                watched.finished()
        except (Exception, DeadlineExceeded) as error:
            pause = None
            if not (joined or watched.committed):
                pause = retries.pause_after(error, broken=True, sent=watched.is_finished)
            if pause is None:
                raise
        else:
            retries.ended_well()
            return result
        time.sleep(pause)


async def run_async_transaction(sessions: BeginsAsync[S], work: Callable[[S], Awaitable[T]]) -> T:
    """As `run_transaction`, with an `async_sessionmaker` or an `AsyncEngine`."""
    with _ledger():
        return await _run_async(sessions, work)


async def _run_async(sessions: BeginsAsync[S], work: Callable[[S], Awaitable[T]]) -> T:
    joined = request.run_here() is not None
    retries = Retries(time.time(), request.doubts())
    while True:
        watched = _Watched()
        try:
            async with sessions.begin() as session:
                watched.begin(session)
                result = await work(session)
                watched.finished()
        except Exception as error:
            pause = None
            if not (joined or watched.committed):
                pause = retries.pause_after(error, broken=True, sent=watched.is_finished)
            if pause is None:
                raise
        else:
            retries.ended_well()
            return result
        await asyncio.sleep(pause)


@contextmanager
def _ledger() -> Iterator[None]:
    """Who has lost which answer only a request's ledger knows: outside of one there is another."""
    token = request.current.set(request.Request()) if request.active() is None else None
    try:
        yield
    finally:
        if token is not None:
            request.current.reset(token)


class _Watched:
    """One run: whether its work has ended, and whether something of it was committed."""

    def __init__(self) -> None:
        self.is_finished = False
        # Of the driver's connections, with the number of their commits before this one's.
        self._sessions: list[tuple[Any, int]] = []

    def begin(self, session: Any) -> None:
        """Watch each connection that it works on, also those of a flush in the commit."""
        found = getattr(session, "sync_session", None) or getattr(
            session, "sync_connection", session
        )
        if not isinstance(found, OrmSession):
            self._watch(found)
            return
        transaction: Any = found.get_transaction()
        begun = {} if transaction is None else transaction._connections  # noqa: SLF001
        for connection in {id(each[0]): each[0] for each in begun.values()}.values():
            self._watch(connection)
        event.listen(found, "after_begin", lambda _, __, connection: self._watch(connection))

    def _watch(self, connection: Any) -> None:
        mine = getattr(connection.connection.driver_connection, "session", None)
        if mine is not None:  # another engine than sunup's may be among the session's
            self._sessions.append((mine, mine.commits))

    def finished(self) -> None:
        """Raises `Swallowed` where COMMIT would be a rollback."""
        for mine, _ in self._sessions:
            mine.check_not_aborted()
        self.is_finished = True

    @property
    def committed(self) -> bool:
        return any(mine.commits != before for mine, before in self._sessions)
