"""A deployment package as Lambda runs it: unpacked, with the runtime's own modules only."""

import importlib.metadata
import platform
import re
import sys
import zipfile
from pathlib import Path

from sunup.local.errors import CommandError

# What the managed runtime has in /var/runtime; boto3 is there too, and nothing of ours needs it.
_RUNTIME = ("awslambdaric", "simplejson", "snapshot-restore-py")

_NATIVE = re.compile(r"\.cpython-3(\d+)-(\w+?)-linux-gnu\.so$")


class PackageUnusable(CommandError):
    """This is no deployment package, or one for another machine."""

    def __init__(self, what: str) -> None:
        arch = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
        python = f"{sys.version_info[0]}.{sys.version_info[1]}"
        super().__init__(
            f"the deployment package cannot be run here: {what}",
            f"Build one for this machine: sunup package -o here.zip --arch {arch} --python "
            f"{python}",
        )


def unpack(package: Path, code: Path) -> None:
    """Unpack a package that this machine can run. Raises `PackageUnusable`."""
    try:
        with zipfile.ZipFile(package) as file:
            foreign = _foreign(file.namelist())
            if foreign is None:
                file.extractall(code)
    except (OSError, zipfile.BadZipFile) as error:
        raise PackageUnusable(f"{package}: {error}") from None
    if foreign is not None:
        raise PackageUnusable(f"{package.name} is for {foreign}")


def _foreign(names: list[str]) -> str | None:
    """The Python and the processor that native modules are for, where they are not ours."""
    for name in names:
        found = _NATIVE.search(name)
        if found and (int(found[1]), found[2]) != (sys.version_info[1], platform.machine()):
            return f"Python 3.{found[1]} on {found[2]}"
    return None


def runtime_folder(folder: Path) -> Path:
    """A folder with the runtime's modules, as links to those that are installed here."""
    folder.mkdir()
    for name in _RUNTIME:
        for file in importlib.metadata.files(name) or []:
            top = file.parts[0]
            if top != ".." and not top.endswith(".dist-info") and top != "__pycache__":
                link = folder / top
                if not link.exists():
                    link.symlink_to(str(importlib.metadata.distribution(name).locate_file(top)))
    return folder
