"""Wakes the database for nobody in particular: a schedule asks for it before people come."""

from collections.abc import Callable
from typing import Any

from .protocols import StartableDatabase


def woken(database: StartableDatabase) -> Callable[[Any, Any], Any]:
    """A function for the event `{"sunup": "wake"}`: connects, and is answered when it is awake.

    Raises what the connection raises when the function's time is up; the schedule asks again.
    """

    def answer(_: Any, __: Any) -> Any:
        connection: Any = database.connection()
        if hasattr(connection, "__aenter__"):
            return _connected(connection)
        with connection:
            return {"awake": True}

    return answer


async def _connected(connection: Any) -> dict[str, bool]:
    async with connection:
        return {"awake": True}
