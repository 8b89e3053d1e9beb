"""What a flow needs of a database, and what comes of an app's work."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from sunup.adapter.http import Answer
from sunup.engines import Engine

from .texts import ClaimText, Statement


class Unit(Protocol):
    """One transaction; see `sunup.asyncpg.unit`."""

    # What its blocks are of.
    database: object
    # Why the last block failed, or the commit.
    failure: BaseException | None

    # Of its connection, once it was begun.
    engine: Engine

    async def begin(self, claim: ClaimText, isolation: str | None) -> bool:
        """Begin with a claim's statements; whether the last one returned a row."""

    async def fetchrow(self, statement: Statement) -> Any:
        """A row; None where there is none."""

    async def commit(self, statement: Statement, before: str = "") -> None:
        """Run a statement and commit; `before` are some without values."""

    async def roll_back(self) -> None:
        """End it without a trace; nothing where it has ended."""

    async def end(self) -> None:
        """As `roll_back`, for good: what still begins it is to give up."""

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
