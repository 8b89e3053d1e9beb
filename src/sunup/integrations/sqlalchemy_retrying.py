"""A transaction of SQLAlchemy's that is run again where others were first: as `Database.run`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol, TypeVar

from sunup import request
from sunup.connecting.retrying import Retries

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
    own. What is meant by others, for how long, and what is raised: see `Database.run`.
    """
    if request.run_here() is not None:
        with sessions.begin() as session:
            return work(session)
    retries = Retries(time.time())
    while True:
        finished = False
        try:
            with sessions.begin() as session:
                result = work(session)
                finished = True
        except Exception as error:
            pause = retries.pause_after(error, finished=finished)
            if pause is None:
                raise
        else:
            return result
        time.sleep(pause)


async def run_async_transaction(sessions: BeginsAsync[S], work: Callable[[S], Awaitable[T]]) -> T:
    """As `run_transaction`, with an `async_sessionmaker` or an `AsyncEngine`."""
    if request.run_here() is not None:
        async with sessions.begin() as session:
            return await work(session)
    retries = Retries(time.time())
    while True:
        finished = False
        try:
            async with sessions.begin() as session:
                result = await work(session)
                finished = True
        except Exception as error:
            pause = retries.pause_after(error, finished=finished)
            if pause is None:
                raise
        else:
            return result
        await asyncio.sleep(pause)
