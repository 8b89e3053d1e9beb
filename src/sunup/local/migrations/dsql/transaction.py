"""A transaction on a connection that otherwise commits each statement by itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import psycopg

from .conflicts import retried

Result = TypeVar("Result")


def in_transaction(
    connection: "psycopg.Connection[tuple[object, ...]]", work: Callable[[], Result]
) -> Result:
    """Do `work` in a transaction, again where it met another one; what it returned.

    Raises what the driver and `work` raise; it was rolled back then, unless the connection was
    lost.
    """

    def once() -> Result:
        with transaction(connection):
            return work()

    return retried(once)


@contextmanager
def transaction(connection: "psycopg.Connection[tuple[object, ...]]") -> Iterator[None]:
    """One attempt: BEGIN, the block, COMMIT; else ROLLBACK."""
    connection.execute("begin")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        roll_back(connection)
        raise


def roll_back(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """End a transaction that failed; one whose connection was lost has ended."""
    with suppress(psycopg.Error):
        if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            connection.execute("rollback")
