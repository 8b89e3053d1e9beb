"""sunup's own run-time room in the package: the version that the project pins, else this one."""

import importlib.metadata
import shutil
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

import sunup
import sunup.local

_WHEEL = "Wheel-Version: 1.0\nGenerator: sunup\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def override(requirements: Iterable[str], scratch: Path) -> Path | None:
    """A file for uv that puts this sunup in the place of any: no index need have it.

    None where `requirements` (PEP 508) name another version, a path or a repository: that one is
    taken then.
    """
    extras: set[str] = set()
    for text in requirements:
        with suppress(InvalidRequirement):
            wanted = Requirement(text)
            if canonicalize_name(wanted.name) != "sunup":
                continue
            if wanted.url or not wanted.specifier.contains(sunup.__version__, prereleases=True):
                return None
            extras |= wanted.extras
    wheel = _wheel(scratch)
    file = scratch / "sunup.txt"
    names = f"[{','.join(sorted(extras))}]" if extras else ""
    file.write_text(f"sunup{names} @ {wheel.as_uri()}\n")
    return file


def prepare(folder: Path) -> str | None:
    """Leave the run-time room only, or copy this one; returns the version that is there."""
    if (folder / "sunup").is_dir():
        shutil.rmtree(folder / "sunup" / Path(sunup.local.__file__).parent.name, ignore_errors=True)
    else:
        copy(folder)
    for info in folder.glob("sunup-*.dist-info"):
        return info.name.removeprefix("sunup-").removesuffix(".dist-info")
    return sunup.__version__


def copy(target: Path) -> None:
    """Copy sunup's run-time room, as it is installed here."""
    source = Path(sunup.__file__).parent
    local = Path(sunup.local.__file__).parent.name

    def left_out(folder: str, names: list[str]) -> set[str]:
        out = {name for name in names if name == "__pycache__"}
        return out | {local} if Path(folder) == source else out

    shutil.copytree(source, target / "sunup", ignore=left_out)


def _wheel(scratch: Path) -> Path:
    """The run-time room as a wheel, with the metadata of the sunup that runs."""
    tree, version = scratch / "room", sunup.__version__
    copy(tree)
    path = scratch / f"sunup-{version}-py3-none-any.whl"
    info = f"sunup-{version}.dist-info"
    metadata = importlib.metadata.distribution("sunup").read_text("METADATA") or ""
    with zipfile.ZipFile(path, "w") as file:
        for each in sorted(tree.rglob("*")):
            if each.is_file():
                file.write(each, each.relative_to(tree).as_posix())
        file.writestr(f"{info}/METADATA", metadata)
        file.writestr(f"{info}/WHEEL", _WHEEL)
        file.writestr(f"{info}/RECORD", "")
    return path
