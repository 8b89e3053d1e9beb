"""Whether a connection that rested still works."""

import select
import time
from typing import Any

import psycopg
from psycopg import pq


def readable(connection: "psycopg.Connection[Any]") -> bool:
    """Whether the server sent something unasked: nearly always that it closed the session."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return bool(poll.poll(0))


def ping(connection: "psycopg.Connection[Any]", timeout: float) -> bool:
    """One round trip with an empty statement, at most `timeout` seconds; False: it is dead.

    With libpq's non-blocking calls: psycopg's own wait would report to the session.
    """
    if connection.closed:
        return False
    pgconn = connection.pgconn
    end = time.monotonic() + timeout
    try:
        pgconn.send_query(b"")
        poll = select.poll()
        poll.register(pgconn.socket, select.POLLIN)
        pgconn.flush()
        while pgconn.is_busy():
            remaining = end - time.monotonic()
            if remaining <= 0 or not poll.poll(remaining * 1000):
                return False
            pgconn.consume_input()
        while (result := pgconn.get_result()) is not None:
            if result.status != pq.ExecStatus.EMPTY_QUERY:
                return False
    except psycopg.OperationalError:
        return False
    return not connection.closed
