"""Three ways to execute a POST once that people write, and that do not hold.

Each is a WSGI app on a `sunup.psycopg.Database`, and no worse than it must be: a key is unique, the
work is one transaction, and nothing is run again but after a connection was lost.
"""

import time
from collections.abc import Callable
from typing import Any

import psycopg

from sunup.failures import ConnectionLost

from .apps import DETAIL, INSERT, Answer, a_run, answer, wsgi

IN_USE: Answer = (409, b'{"error": "in use"}')


def _work(connection: Any, path: str, post: str) -> Answer:
    run = a_run(post)
    (number,) = connection.execute(INSERT.format("%s", "%s"), (post, run)).fetchone()
    connection.execute(DETAIL.format("%s"), (run,))
    return answer(path, post, number)


def _kept(connection: Any, key: str) -> Answer | None:
    row = connection.execute("select status, body from answers where key = %s", (key,)).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1].encode())


def _keep(connection: Any, key: str, found: Answer) -> None:
    connection.execute(
        "update answers set status = %s, body = %s where key = %s",
        (found[0], found[1].decode(), key),
    )


def _claim(connection: Any, key: str) -> bool:
    text = "insert into answers (key) values (%s) on conflict do nothing"
    return bool(connection.execute(text, (key,)).rowcount)


class OwnTransaction:
    """The key is committed ahead of the work, and the answer behind it; given back on a failure.

    Where the work's COMMIT was executed and its answer lost, the key is given back all the same.
    Where the process ends in between, nobody gives it back.
    """

    def __init__(self, db: Any) -> None:
        self._db = db

    def __call__(self, path: str, post: str, key: str) -> Answer:
        with self._db.transaction() as c:
            claimed = _claim(c, key)
        if not claimed:
            with self._db.connection() as c:
                return _kept(c, key) or IN_USE
        try:
            with self._db.transaction() as c:
                found = _work(c, path, post)
        except Exception:
            with self._db.transaction() as c:
                c.execute("delete from answers where key = %s", (key,))
            raise
        with self._db.transaction() as c:
            _keep(c, key, found)
        return found


class XactStatus:
    """Key, work and answer are one transaction; after a lost COMMIT the server is asked about it.

    A transaction of which nothing had reached the disk is unknown to the server after a crash, and
    its number is given to another one: "committed" is that one's.
    """

    def __init__(self, db: Any) -> None:
        self._db = db

    def __call__(self, path: str, post: str, key: str) -> Answer:
        while True:
            number, found = None, None  # of this run
            try:
                with self._db.transaction() as c:
                    if not _claim(c, key):
                        return _kept(c, key) or IN_USE
                    (number,) = c.execute("select pg_current_xact_id()::text").fetchone()
                    found = _work(c, path, post)
                    _keep(c, key, found)
            except ConnectionLost:
                if found is None or not self._committed(number):
                    continue
            return found

    def _committed(self, number: Any) -> bool:
        while True:
            try:
                with self._db.connection() as c:
                    text = "select pg_xact_status(%s::xid8)"
                    (status,) = c.execute(text, (number,)).fetchone()
            except ConnectionLost:
                continue
            except psycopg.errors.InvalidParameterValue:
                return False  # of the future: it was never
            if status != "in progress":
                return bool(status == "committed")
            time.sleep(0.02)


class NoFencing:
    """Work and answer are one transaction; after a lost COMMIT a look tells whether to run again.

    What is not there may still come: the COMMIT may be on its way. (Two requests at once with one
    key are not its weakness here: the clients do not send them.)
    """

    def __init__(self, db: Any) -> None:
        self._db = db

    def __call__(self, path: str, post: str, key: str) -> Answer:
        while True:
            try:
                with self._db.connection() as c:
                    kept = _kept(c, key)
                if kept is not None:
                    return kept
                with self._db.transaction() as c:
                    found = _work(c, path, post)
                    c.execute(
                        "insert into answers (key, status, body) values (%s, %s, %s) on conflict"
                        " (key) do update set status = excluded.status, body = excluded.body",
                        (key, found[0], found[1].decode()),
                    )
            except ConnectionLost:
                continue
            return found


NAIVE: dict[str, Callable[[Any], Callable[[str, str, str], Answer]]] = {
    "own-transaction": OwnTransaction,
    "xact-status": XactStatus,
    "no-fencing": NoFencing,
}


def app_of(name: str, settings: Any) -> tuple[Any, Any]:
    """The app, and its database."""
    from sunup.psycopg import Database

    db = Database(settings)
    return wsgi(NAIVE[name](db)), db
