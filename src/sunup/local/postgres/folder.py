"""The folder of a server's data, and what it needs before a server can run on it."""

import hashlib
import os
import pwd
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from sunup.local.servers import Binaries

from . import watcher
from .failure import PostgresFailed
from .sharing import Place

# Of the 107 bytes that a Unix socket's path may have (unix(7)); macOS has 103.
_LONGEST_SOCKET_FOLDER = 103 - len("/.s.PGSQL.5432")


def version_of(data: Path) -> str | None:
    """Which PostgreSQL made the data; nothing where there are none. Raises `PostgresFailed`."""
    try:
        found = (data / "PG_VERSION").read_text(errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not found.isdecimal():
        raise PostgresFailed(f"{data} is damaged (PG_VERSION is {found!r})", anew(data))
    return found


def anew(data: Path) -> str:
    """What to do about data that no server can take."""
    return f"Move {data} away to begin anew, without its data."


def account() -> dict[str, Any]:
    """The arguments of `subprocess` that make the server run as somebody other than root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def prepare(data: Path, binaries: Binaries) -> Path:
    """See that a server can run on the data; where they are to be made, if there are none yet.

    Only for who holds the lock. Raises `PostgresFailed` and `OSError`.
    """
    owner = account()
    if owner:
        _let_through(data)
        _let_through(binaries.folder / "postgres")
    if version_of(data) is not None:
        _own(data, owner)
        return data
    if data.exists() and any(data.iterdir()):
        raise PostgresFailed(
            f"{data} is not empty, and is not a data folder of PostgreSQL", anew(data)
        )
    # Beside it: where this is interrupted, nothing looks like data.
    made = data if data.is_mount() else data.with_name(f"{data.name}.new")
    if made != data:
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(mode=0o700)
    _own(made, owner)
    return made


def _own(folder: Path, owner: dict[str, Any]) -> None:
    """Give it to the server's user with all that is in it: root's `cp -r` has taken it."""
    if owner and folder.stat().st_uid != owner["user"]:
        for each in (folder, *folder.rglob("*")):
            os.chown(each, owner["user"], owner["group"], follow_symlinks=False)


def _let_through(path: Path) -> None:
    """Let `nobody` pass through the folders above, where a closed one (/root) is on the way."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode & 0o7777 | 0o001)  # search only: its content cannot be listed


def orphan(data: Path) -> int:
    """The process of a server that nobody watches any more, else 0.

    A copied folder's files name the original's process, and would keep a server from starting.
    """
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        if data.samefile(psutil.Process(pid).cwd()):
            return pid
    except psutil.AccessDenied:
        return 0  # the server itself will say whether it can start
    except (OSError, ValueError, psutil.Error):
        pass
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock", ".s.PGSQL.5432"):
        with suppress(OSError):
            (data / name).unlink()
    return 0


def socket_of(place: Place) -> Path:
    """Where the server listens: in its data, or elsewhere where their path is too long.

    Only for a user of it. Raises `OSError`.
    """
    if len(os.fsencode(place.data)) <= _LONGEST_SOCKET_FOLDER:
        return place.data
    # The same for the same data, also where they have been moved, and another for a copy: others
    # find it, and who has met the server before.
    found = place.users.stat()
    digest = hashlib.sha256(f"{found.st_dev} {found.st_ino}".encode()).hexdigest()[:12]
    made = Path(tempfile.gettempdir()) / f"sunup-{os.geteuid()}-{digest}"
    if len(os.fsencode(made)) <= _LONGEST_SOCKET_FOLDER:
        return made
    return Path("/tmp") / made.name  # noqa: S108  # TMPDIR is too long itself


def has_socket_folder(folder: Path) -> bool:
    """Whether it is there. Raises `PostgresFailed` where another has it: he would get our data."""
    if watcher.is_others(str(folder), account()):
        raise PostgresFailed(
            f"{folder} belongs to somebody else",
            "Take it away, or let TMPDIR name a folder of your own.",
        )
    return folder.exists()
