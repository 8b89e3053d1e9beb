"""The whole build: pins, wheels, app, bytecode, zip, checks."""

import hashlib
import tempfile
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sunup.local.errors import CommandError
from sunup.local.project import Project

from . import (
    application,
    archive,
    bytecode,
    conflicts,
    dependencies,
    django_apps,
    trial,
    unused,
    verify,
)
from .modules import Modules
from .target import Target

_SHOWN = 6


@dataclass(frozen=True)
class Part:
    """A top-level package of the zip, or the app itself; sizes in bytes."""

    name: str
    version: str
    unpacked: int
    zipped: int


@dataclass(frozen=True)
class Package:
    """What was made. `sha256` is in hex; `notes` are for the user."""

    path: Path
    target: Target
    handler: str
    sha256: str
    zipped: int
    unpacked: int
    files: int
    natives: int
    compiled: bytecode.Compiled
    executed: bool
    parts: list[Part]
    notes: list[str] = field(default_factory=list)


def build(
    project: Project,
    target: Target,
    output: Path,
    tell: Callable[[str], None] = lambda _: None,
) -> Package:
    """Make the package. Raises `CommandError`; then `output` is as it was."""
    if output.suffix != ".zip" or output.is_dir():
        raise CommandError(
            f"{output} is not the name of a zip file",
            "Pass a name that ends in .zip: --output lambda.zip.",
        )
    if not output.parent.is_dir():
        raise CommandError(
            f"there is no folder {output.parent}",
            "Create it, or choose another file with --output.",
        )
    project.check_handler()
    with tempfile.TemporaryDirectory(prefix="sunup-package-") as name:
        folder = Path(name) / "package"
        tell(f"Fetching the wheels for {target}")
        installed = dependencies.install(project, target, folder, Path(name))
        notes = installed.notes
        owners = installed.owners
        tell("Copying the app")
        app = Path(name) / "app"
        app.mkdir()
        notes += application.copy(project, app, output).notes
        names = _files(app)
        conflicts.check(names, _files(folder), owners)
        _move(app, names, folder)
        unused.remove(folder, project.texts("keep"))
        own = {path.split("/")[0].removesuffix(".py") for path in names}
        notes += verify.web_sockets(folder, names)
        natives = verify.natives(folder, target)
        if "psycopg" not in project.texts("keep"):
            verify.libpq(folder)
        modules = Modules(folder, target.python)
        notes += django_apps.missing(modules, folder, names)
        read = verify.handler_statically(
            modules,
            project.handler,
            project.app,
            own | {"sunup"},
            (project.folder, project.code),
        )
        tell(f"Compiling for Python {target.python}")
        compiled = bytecode.compile_folder(folder, target)
        notes += _check_compiled(compiled, read, own)
        unpacked = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        candidate = Path(name) / "lambda.zip"
        tell("Writing the zip file")
        archive.write(folder, candidate)
        parts = _parts(candidate, owners)
        notes += verify.sizes(candidate, unpacked, {part.name: part.unpacked for part in parts})
        executed = target.runs_here and compiled.interpreter is not None
        if executed and compiled.interpreter is not None:
            tell("Importing the handler from the package")
            note = trial.handler_natively(
                candidate, project.handler, compiled.interpreter, project.dotenv
            )
            notes += [note] if note else []
        content = candidate.read_bytes()
        files = _count(candidate)
        _put(content, output)
    if compiled.interpreter is None:
        notes.append(
            f"Python {target.python} is not installed here, so the package has no bytecode: a "
            f"cold start compiles what it imports ({compiled.files} files take "
            f"{compiled.seconds:.1f} s here). Install it: uv python install {target.python}."
        )
    return Package(
        path=output,
        target=target,
        handler=project.handler,
        sha256=hashlib.sha256(content).hexdigest(),
        zipped=len(content),
        unpacked=unpacked,
        files=files,
        natives=natives,
        compiled=compiled,
        executed=executed,
        parts=parts,
        notes=notes,
    )


def _move(app: Path, names: set[str], folder: Path) -> None:
    for name in sorted(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).rename(folder / name)


def _put(content: bytes, output: Path) -> None:
    """Replace the old file in one step, whoever else writes it at the same time."""
    part = _part(output, uuid.uuid4().hex)
    try:
        part.write_bytes(content)
        part.replace(output)
    except OSError as error:
        raise CommandError(
            f"{output} cannot be written: {error.strerror}", "Choose another file with --output."
        ) from None
    finally:
        part.unlink(missing_ok=True)


def _part(output: Path, run: str) -> Path:
    return output.with_name(f".{output.name}.{run}.part")


def _check_compiled(compiled: bytecode.Compiled, read: set[str], own: set[str]) -> list[str]:
    """What INIT reads must be Python; the rest of the app may be templates. Returns notes."""
    failed = {path: why.replace("/var/task/", "") for path, why in compiled.failed.items()}
    for path in sorted(read & failed.keys()):
        raise CommandError(" ".join(f"{path}: {failed[path]}".split()))
    others = sorted(path for path in failed if path.split("/")[0].removesuffix(".py") in own)
    if not others:
        return []
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    shown = ", ".join(others[:_SHOWN])
    return [f"Packaged without bytecode, because they cannot be compiled: {shown}{more}."]


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _parts(package: Path, owners: dict[str, tuple[str, str]]) -> list[Part]:
    unpacked: dict[tuple[str, str], int] = {}
    zipped: dict[tuple[str, str], int] = {}
    with zipfile.ZipFile(package) as file:
        for entry in file.infolist():
            top = entry.filename.split("/")[0]
            # The bytecode of single modules lies in one folder at the top.
            module = entry.filename.split("/")[-1].split(".")[0] if top == "__pycache__" else top
            module = module.removesuffix(".py")
            owner = owners.get(top) or owners.get(f"{module}.py")
            if owner is None:
                owner = ("sunup", "") if top == "sunup" else ("(the app)", "")
            unpacked[owner] = unpacked.get(owner, 0) + entry.file_size
            zipped[owner] = zipped.get(owner, 0) + entry.compress_size
    parts = [Part(*owner, unpacked[owner], zipped[owner]) for owner in unpacked]
    return sorted(parts, key=lambda part: -part.zipped)


def _count(package: Path) -> int:
    with zipfile.ZipFile(package) as file:
        return len(file.infolist())
