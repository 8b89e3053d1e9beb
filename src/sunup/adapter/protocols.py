"""What the handler needs from its parts: the database, the app's interface, Lambda's context."""

from collections.abc import Awaitable
from typing import Any, Protocol

from sunup.settings import Settings

from .http import Answer, Call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType


class StartableDatabase(Protocol):
    """What the handler needs from a Database: to begin connecting in the background."""

    @property
    def settings(self) -> Settings:
        """Its settings; raises `SettingsError` when they are wrong."""

    def start(self) -> Awaitable[None] | None:
        """Begin to connect and return at once."""

    def connection(self) -> Any:
        """A connection, checked and awake, for a `with` or an `async with` block."""

    def close(self) -> Awaitable[None] | None:
        """Close the connections, and forget credentials."""


class Runner(Protocol):
    """Calls an app of one interface."""

    # What calls the app's code, for the alarm.
    callers: "tuple[CodeType, ...]"

    def __call__(self, call: Call) -> Answer:
        """Serve one request. Raises `DeadlineExceeded`, and what the app raised."""

    def stop(self, limit: float | None = None) -> None:
        """Run the app's shut-down."""


class LambdaContext(Protocol):
    """The part of Lambda's context object that is used."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""


def request_id(context: object) -> str | None:
    """The invocation's id; None where there is no such context (a test, a console)."""
    return getattr(context, "aws_request_id", None)


def remaining_ms(context: object) -> int | None:
    """Milliseconds until Lambda ends the invocation, where that is known."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return None if remaining is None else remaining()
