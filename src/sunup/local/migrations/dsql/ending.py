"""The end of a migration: its version, its checksum and its progress, in one transaction."""

from collections.abc import Callable
from typing import Any

from .conflicts import retried
from .lease import Lease
from .progress import Progress
from .sending import Sending
from .transaction import roll_back


class Ending:
    """Executes what notes that a migration is applied or undone; all of it or nothing.

    What Alembic and `files` execute meanwhile is remembered, and said again where the transaction
    met another one.
    """

    def __init__(self, lease: Lease, connection: Any, revision: str, direction: str) -> None:
        self._lease = lease
        self._connection = connection
        self._progress = Progress(lease.schema, revision, direction)
        self._said: list[Sending] = []
        self._is_open = False

    def execute(self, sending: Sending) -> None:
        """Execute it. Raises what psycopg raises, and `CommandError`."""
        self._attempt(sending.send)
        self._said.append(sending)

    def commit(self) -> None:
        """End the transaction. Raises as `execute`."""
        self._attempt(lambda: self._connection.execute("commit"))
        self._is_open = False

    def _attempt(self, last: Callable[[], Any]) -> None:
        def work() -> None:
            try:
                self._open()
                last()
            except BaseException:
                self._is_open = False
                roll_back(self._connection)
                raise

        retried(work)

    def _open(self) -> None:
        if self._is_open:
            return
        self._connection.execute("begin")
        self._lease.guard(self._connection)
        self._progress.forget(self._connection)
        for each in self._said:
            each.again()
        self._is_open = True
