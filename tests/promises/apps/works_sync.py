"""What a sync app does, by the request's path."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import sunup

Answer = tuple[int, str]

# Seconds: longer than any request here may take, and not for ever, since no thread can be ended.
HANG = 2.5


class Session(Protocol):
    """A connection, whichever library's."""

    def execute(self, statement: str) -> object:
        """Run a statement."""

    def value(self, statement: str) -> object:
        """The first value of a statement's result."""

    def unsettle(self) -> None:
        """Change what the driver keeps of it."""

    def settled(self) -> bool:
        """Whether that is as it was."""


class Sessions(Protocol):
    """Where they come from."""

    def connection(self) -> AbstractContextManager[Session]:
        """A block with a connection, whose work is committed at its end."""

    def transaction(self) -> AbstractContextManager[Session]:
        """A block with a transaction."""

    def thread_ends(self) -> None:
        """What a thread of the app's own does at its end."""
        return


def app(db: Sessions) -> Any:
    """A WSGI app."""

    def served(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        row, _, seconds = environ["QUERY_STRING"].partition("&")
        status, text = WORKS[environ["PATH_INFO"].strip("/")](db, row, float(seconds))
        start_response(f"{status} X", [("Content-Type", "text/plain")])
        return [text.encode()]

    return served


def insert(db: Sessions, row: str) -> None:
    with db.connection() as session:
        session.execute(f"insert into t values ('{row}')")


def plain(db: Sessions, row: str, _: float) -> Answer:
    with db.connection() as session:
        state = [
            session.value("show search_path"),
            session.value("show role"),
            session.value("show default_transaction_isolation"),
        ]
        if not session.settled():
            state.append("of another block")
        session.execute(f"insert into t values ('{row}')")
    return 200, repr(state)


def transaction(db: Sessions, row: str, seconds: float) -> Answer:
    with db.transaction() as session:
        session.execute(f"insert into t values ('{row}')")
        time.sleep(seconds)
    return 200, "done"


def two_blocks(db: Sessions, row: str, _: float) -> Answer:
    insert(db, row)
    with db.connection() as session:
        session.execute("select pg_sleep(100)")
    return 200, "never"


def nested(db: Sessions, row: str, _: float) -> Answer:
    insert(db, row)
    with db.connection(), db.connection():
        pass
    return 200, "done"


def raises_within(db: Sessions, row: str, _: float) -> Answer:
    with db.transaction() as session:
        session.execute(f"insert into t values ('{row}')")
        raise ValueError("within")


def raises_after(db: Sessions, row: str, _: float) -> Answer:
    insert(db, row)
    raise ValueError("after")


def hangs(_: Sessions, __: str, ___: float) -> Answer:
    time.sleep(HANG)
    return 200, "never"


def hangs_in_a_statement(db: Sessions, row: str, _: float) -> Answer:
    with db.transaction() as session:
        session.execute("select 1 from one for update")
        session.execute(f"insert into t values ('{row}')")
        session.execute("select pg_sleep(100)")
    return 200, "never"


def hangs_in_a_transaction(db: Sessions, row: str, _: float) -> Answer:
    with db.transaction() as session:
        session.execute("select 1 from one for update")
        session.execute(f"insert into t values ('{row}')")
        time.sleep(HANG)
    return 200, "never"


def computes_in_a_transaction(db: Sessions, row: str, _: float) -> Answer:
    with db.transaction() as session:
        session.execute("select 1 from one for update")
        session.execute(f"insert into t values ('{row}')")
        until = time.monotonic() + HANG
        while time.monotonic() < until:
            sum(range(1000))
    return 200, "never"


def swallows(db: Sessions, row: str, _: float) -> Answer:
    for _ in range(3):
        try:
            with db.connection() as session:
                session.execute("select pg_sleep(100)")
        except Exception:
            continue
    insert(db, row)
    return 200, "done"


_cleaned: list[str] = []


def cleans_up_slowly(db: Sessions, row: str, seconds: float) -> Answer:
    with db.transaction() as session:
        session.execute(f"insert into t values ('{row}')")
        try:
            time.sleep(HANG)
        finally:
            time.sleep(min(seconds, 0.35))
            _cleaned.append(row)
    return 200, "never"


def was_cleaned_up(_: Sessions, row: str, __: float) -> Answer:
    return 200, str(row in _cleaned)


def leaves_a_thread(db: Sessions, row: str, seconds: float) -> Answer:
    def later() -> None:
        try:
            with db.transaction() as session:
                session.execute(f"insert into t values ('{row}-later')")
                time.sleep(seconds / 10)
        except Exception:
            return
        finally:
            db.thread_ends()

    threading.Thread(target=later, daemon=True, name="later").start()
    insert(db, row)
    return 200, "done"


def changes_the_session(db: Sessions, row: str, seconds: float) -> Answer:
    with db.connection() as session:
        session.unsettle()
        session.execute("set search_path = public, pg_catalog")
        session.execute("set role pg_monitor")
        session.execute("set default_transaction_isolation = serializable")
        if seconds > 0.5:
            raise ValueError("and raises")
    return 200, "done"


def fails(db: Sessions, row: str, _: float) -> Answer:
    with db.transaction() as session:
        session.execute(f"insert into t values ('{row}')")
        session.execute("select 1 / 0")
    return 200, "never"


def answers_itself(db: Sessions, _: str, __: float) -> Answer:
    try:
        with db.connection(), db.connection(), db.connection():
            pass
    except sunup.DatabaseUnavailable:
        pass
    return 503, "the app's own words"


def gets_over_it(db: Sessions, _: str, __: float) -> Answer:
    try:
        with db.connection(), db.connection(), db.connection():
            pass
    except sunup.DatabaseUnavailable:
        pass
    raise ValueError("of another cause")


def dies_within(db: Sessions, row: str, seconds: float) -> Answer:
    with db.transaction() as session:
        session.execute(f"insert into t values ('{row}')")
        if seconds > 0.3:
            session.execute("select pg_terminate_backend(pg_backend_pid())")
        session.execute("select 1")
    return 200, "done"


def dies_in_a_second_block(db: Sessions, row: str, _: float) -> Answer:
    insert(db, row)
    with db.transaction() as session:
        session.execute("select pg_terminate_backend(pg_backend_pid())")
        session.execute("select 1")
    return 200, "never"


def idles_too_long(db: Sessions, row: str, seconds: float) -> Answer:
    insert(db, row)
    with db.connection() as session:
        session.execute("select 1")
        session.execute("commit")
        time.sleep(seconds)  # longer than the server waits: 57P05
        session.execute("select 1")
    return 200, "never"


def asks_again_in_its_error_handler(db: Sessions, row: str, _: float) -> Answer:
    insert(db, row)
    try:
        int("the app's own mistake")
    except ValueError:
        with db.connection(), db.connection():
            return 200, "never"
    return 200, "never"


WORKS: dict[str, Callable[[Sessions, str, float], Answer]] = {
    each.__name__: each
    for each in (
        plain,
        transaction,
        two_blocks,
        nested,
        raises_within,
        raises_after,
        hangs,
        hangs_in_a_statement,
        hangs_in_a_transaction,
        computes_in_a_transaction,
        swallows,
        cleans_up_slowly,
        was_cleaned_up,
        leaves_a_thread,
        changes_the_session,
        fails,
        answers_itself,
        gets_over_it,
        dies_within,
        dies_in_a_second_block,
        idles_too_long,
        asks_again_in_its_error_handler,
    )
}
