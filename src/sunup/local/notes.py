"""The note by which others find an app's database on this machine; `sunup.nearby` reads it."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sunup.nearby import NOTE

from .errors import CommandError


@contextmanager
def told(folder: Path, variables: Mapping[str, str]) -> Iterator[None]:
    """Let others find another server while the block runs: that of `sunup dev --database-url`.

    Raises `CommandError`.
    """
    path = folder / NOTE
    with write(folder, variables, {"lock": path}) as note:
        try:
            yield
        finally:
            with suppress(OSError):
                if os.path.samestat(os.fstat(note.fileno()), path.stat()):
                    path.unlink()


def hidden(folder: Path) -> Path:
    """Where an app's folder has what is this machine's; git passes it over. Raises `OSError`."""
    made = folder / ".sunup"
    made.mkdir(exist_ok=True)
    ignore = made / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    return made


def write(folder: Path, variables: Mapping[str, str], more: Mapping[str, Path]) -> IO[str]:
    """Write it, and keep it locked until it is closed.

    `more` is what it says beside: `lock` (held as long as it is true), and for a server of ours
    `data` and `users`. Raises `CommandError`.
    """
    path = folder / NOTE
    content = {"folder": str(folder), "variables": dict(variables)}
    content |= {name: str(value) for name, value in more.items()}
    try:
        hidden(folder)
        # Its owner's only: there may be a password in it.
        number, name = tempfile.mkstemp(dir=path.parent, prefix="database-")
        try:
            file = os.fdopen(number, "w", encoding="utf-8")
            fcntl.flock(file, fcntl.LOCK_EX)
            json.dump(content, file)
            file.flush()
            Path(name).replace(path)
        except OSError:
            Path(name).unlink()
            raise
    except OSError as error:
        raise CommandError(
            f"{path} cannot be written: {error.strerror or error}",
            "Take away what is in its place, or give yourself the right to write there.",
        ) from None
    return file
