"""A zip file that depends on its content only: the same files give the same bytes."""

import os
import stat
import zipfile
from pathlib import Path

from sunup.local.errors import CommandError

# The earliest time that a zip file can hold.
_MOMENT = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
# Lambda reads as another user: everybody may read (Developer Guide, "zip").
_FILE, _PROGRAM = 0o100644, 0o100755


def write(folder: Path, output: Path) -> None:
    """Write the folder's files in the order of their names, without times, owners or umask.

    Of their modes only whether they are programs. Raises `CommandError` for a name that is not
    UTF-8.
    """
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        paths = {
            _name(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()
        }
        for name in sorted(paths):
            entry = zipfile.ZipInfo(name, _MOMENT)
            entry.create_system = _UNIX
            executable = paths[name].stat().st_mode & stat.S_IXUSR
            entry.external_attr = (_PROGRAM if executable else _FILE) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, paths[name].read_bytes(), compresslevel=9)


def _name(path: Path) -> str:
    """A file's name as a zip file has it, whatever the locale here."""
    try:
        return os.fsencode(path.as_posix()).decode("utf-8")
    except UnicodeDecodeError as error:
        shown = error.object.decode("utf-8", errors="backslashreplace")
        raise CommandError(
            f"the name of {shown} is not UTF-8",
            "Rename it, or leave it out: [tool.sunup] exclude = [...].",
        ) from None
