"""The end of a request: nothing of it goes on across a freeze, except what is named."""

from sunup import deadline
from sunup.request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .loop import Loop

# Seconds in which work that has run out of time notices this.
_TURN = 0.02


def end(request: Request, loop: "Loop | None", *, answered: bool) -> list[str]:
    """End what a request has left: tasks, which first get a bounded time, and connections.

    Returns the names of the tasks that remain. `loop` is the app's, where there is one.
    """
    if loop is None or (not loop.busy and not request.held):
        request.finish()
        return []
    limit = min(deadline.AFTERWARDS, deadline.remaining()) if answered else 0.0
    left = loop.settle(max(limit, deadline.for_cleaning() + _TURN))
    request.ended = True
    if request.held:
        loop.run(_finish(request), None)
        loop.settle(deadline.for_cleaning() + _TURN)
    return left


async def _finish(request: Request) -> None:
    request.finish()
