"""Looks at a finished package as Lambda will: whether it loads there and is small enough."""

import json
import os
import struct
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from sunup.local.errors import CommandError

from . import imports
from .target import Target

# Lambda Developer Guide, "Lambda quotas": direct upload 50 MB zipped, 250 MB unzipped.
LARGEST_ZIP = 50 * 1024 * 1024
LARGEST_FOLDER = 250 * 1024 * 1024

_IMPORT_SECONDS = 60

# As INIT does it, except that no database is waited for: there is no database.
_IMPORT = """
import importlib, json, sys
module, name = sys.argv[1:]
try:
    handler = getattr(importlib.import_module(module), name)
    answer = None if callable(handler) else ["TypeError", f"{name} is not callable"]
except BaseException as error:
    answer = [type(error).__name__, str(error)]
sys.stdout = sys.__stdout__
print("\\n" + json.dumps(answer), flush=True)
import os
os._exit(0)
"""
# What cannot be otherwise on Lambda; other exceptions may come from settings that are not here.
_CERTAIN = {"ImportError", "ModuleNotFoundError", "AttributeError", "SyntaxError", "TypeError"}


def natives(folder: Path, target: Target) -> int:
    """Check that each native module is for the target's processor; returns how many there are."""
    count = 0
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or not (path.suffix == ".so" or ".so." in path.name):
            continue
        with path.open("rb") as file:
            header = file.read(20)
        if header[:4] != b"\x7fELF" or struct.unpack("<H", header[18:20])[0] != target.elf_machine:
            raise CommandError(
                f"{path.relative_to(folder)} is not for {target.arch} on Linux",
                "It was copied with the app's files; leave it out: [tool.sunup] exclude = [...].",
            )
        count += 1
    return count


def handler_statically(folder: Path, handler: str, app: str, own: set[str]) -> None:
    """Check that the handler's module is there, binds the name, and finds what it imports."""
    module, _, name = handler.rpartition(".")
    module = module.replace("/", ".")
    path = imports.locate(folder, module)
    if path is None or path.suffix != ".py":
        raise CommandError(
            f"the handler's module {module} is not in the package",
            'Name it in pyproject.toml: [tool.sunup] handler = "module.name".',
        )
    try:
        bound = imports.defines(path, name)
    except SyntaxError as error:
        raise CommandError(f"{path.name}, line {error.lineno}: {error.msg}") from None
    if not bound:
        raise CommandError(f"{path.name} has no {name!r} (the handler is {handler!r})")
    _app_named_by(folder, path)
    named = imports.apps_named(path) or [app]
    lost = imports.missing(folder, [module, *(each.partition(":")[0] for each in named)], own)
    if lost:
        names = ", ".join(f"{what} (in {where})" for what, where in lost)
        raise CommandError(
            f"imported, but not in the package: {names}",
            "Add it to the dependencies in pyproject.toml, and pin: sunup pin",
        )


def _app_named_by(folder: Path, path: Path) -> None:
    """Check that the app is there whose name the handler's module gives to `Handler`."""
    for name in imports.apps_named(path):
        module, _, attribute = name.partition(":")
        place = imports.locate(folder, module)
        if place is None:
            raise CommandError(
                f"{path.name}: Handler({name!r}): there is no module {module} in the package"
            )
        top = attribute.partition(".")[0].partition("(")[0]
        if place.suffix == ".py" and top and not imports.defines(place, top):
            raise CommandError(f"{path.name}: Handler({name!r}): {place.name} has no {top!r}")


def handler_natively(
    package: Path, handler: str, interpreter: str, environ: Mapping[str, str]
) -> str | None:
    """Import the handler from the unpacked package, as Lambda's INIT does.

    Raises `CommandError` for what must fail on Lambda too; returns what else was raised.
    """
    with tempfile.TemporaryDirectory(prefix="sunup-package-") as folder:
        with zipfile.ZipFile(package) as file:
            file.extractall(folder)
        module, _, name = handler.rpartition(".")
        try:
            result = subprocess.run(  # noqa: S603
                [interpreter, "-S", "-s", "-c", _IMPORT, module.replace("/", "."), name],
                cwd=folder,
                env=_environment(folder, environ),
                capture_output=True,
                text=True,
                timeout=_IMPORT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"importing it took more than {_IMPORT_SECONDS} s"
    if result.returncode:
        raise CommandError(f"importing {handler} ended the process: status {result.returncode}")
    answer = json.loads(result.stdout.strip().splitlines()[-1])
    if answer is None:
        return None
    kind, message = answer
    text = f"importing {handler} raises {kind}: {message}".replace(folder, "/var/task")
    if kind in _CERTAIN:
        raise CommandError(text, "On Lambda INIT would fail in the same way.")
    return text


def _environment(folder: str, environ: Mapping[str, str]) -> dict[str, str]:
    """A sandbox's variables, with a database that is not there and is not waited for."""
    own = {
        name: value
        for name, value in environ.items()
        if not name.startswith(("AWS_", "DB_", "PYTHON", "PG", "SUNUP_"))
    }
    return {
        **own,
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": folder,
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAMBDA_TASK_ROOT": folder,
        "AWS_LAMBDA_FUNCTION_NAME": "sunup-package",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "provisioned-concurrency",
        "AWS_REGION": "eu-central-1",
        "DB_HOST": "localhost",
        "DB_PASSWORD": "none",
    }


def sizes(package: Path, unpacked: int, parts: Mapping[str, int]) -> list[str]:
    """Check the sizes against Lambda's limits; returns notes. `parts` are unpacked sizes in bytes.

    Raises `CommandError`.
    """
    zipped = package.stat().st_size
    if unpacked > LARGEST_FOLDER:
        largest = sorted(parts.items(), key=lambda part: -part[1])[:5]
        names = ", ".join(f"{name} {size / 2**20:.0f} MB" for name, size in largest)
        raise CommandError(
            f"the package is {unpacked / 2**20:.0f} MB unpacked; Lambda takes 250 MB",
            f"The largest parts: {names}.",
        )
    if zipped > LARGEST_ZIP:
        note = (
            f"{zipped / 2**20:.0f} MB is more than the 50 MB of a direct upload: sunup deploy "
            "sends it through the S3 bucket that [tool.sunup] bucket names."
        )
        return [note]
    return []
