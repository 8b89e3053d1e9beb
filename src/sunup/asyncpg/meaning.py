"""What asyncpg's exceptions mean, where they have no SQLSTATE: those of Python's TLS, and two."""

import asyncio

from sunup.connecting.meaning import Meaning
from sunup.failures import DatabaseUnreachable, TLSFailed, chain_of

MEANING = Meaning(
    "asyncpg",
    texts=(
        (r"UNEXPECTED_EOF|EOF occurred", DatabaseUnreachable),
        (r"certificate|\[SSL|rejected SSL upgrade|ssl context", TLSFailed),
    ),
    # It refuses to send a statement after the server's farewell, or while another is under way.
    unsent=("InternalClientError", "InterfaceError"),
    # After a farewell that was read before its end. It has no base class.
    broken=("InternalClientError",),
)


def was_cancelled(error: BaseException) -> bool:
    """Whether the task was cancelled, and only an error in its clean-up hides that."""
    task = asyncio.current_task()
    if task is None or not task.cancelling():
        return False
    return any(isinstance(each, asyncio.CancelledError) for each in chain_of(error))
