"""Fetches the pinned wheels for the target with pip, and leaves out what Lambda does not need."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from sunup.local.errors import CommandError

from .pins import Pin
from .strip import strip
from .target import Target

# Lambda's managed runtimes have their own (Developer Guide, "Runtime-included SDK versions"); the
# rest serves to install.
LEFT_OUT = frozenset({"boto3", "botocore", "s3transfer", "pip", "setuptools", "wheel"})

# Sources of native modules, type stubs, and what an installer notes for itself.
_SUFFIXES = (".pyi", ".pyx", ".pxd", ".pxi", ".c", ".cc", ".cpp", ".h", ".hpp", ".pyc", ".pyo")
_NOTES = frozenset({"RECORD", "INSTALLER", "REQUESTED", "WHEEL", "direct_url.json"})
_FOLDERS = frozenset({"tests", "__pycache__"})


def install(pins: list[Pin], target: Target, folder: Path) -> None:
    """Unpack the wheels into a folder. Raises `CommandError` naming what has no wheel."""
    folder.mkdir()
    if not pins:
        return
    requirements = folder.with_name("requirements.txt")
    requirements.write_text("".join(f"{pin.line}\n" for pin in pins))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    command += ["--disable-pip-version-check", "--no-input", "--no-warn-conflicts"]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={target.python}"]
    command += [f"--platform={platform}" for platform in target.platforms]
    command += [f"--target={folder}", f"--requirement={requirements}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        raise _failure(result.stderr, target)
    shutil.rmtree(folder / "bin", ignore_errors=True)  # the wheels' scripts
    _prune(folder)


def _failure(output: str, target: Target) -> CommandError:
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if missing:
        name = missing[1].replace("==", " ")
        offered = re.search(r"from versions: ([^)]+)\)", output)
        other = bool(offered and offered[1] != "none")
        return CommandError(
            f"{name} has no wheel for {target} (glibc {target.glibc})",
            "Other versions have one: choose one of those."
            if other
            else "Choose another version or another target, or build the wheel and give it to pip "
            "(PIP_FIND_LINKS=folder).",
        )
    if "DO NOT MATCH THE HASHES" in output:
        named = re.findall(r"^\s+(\S+==\S+)", output, re.MULTILINE)
        return CommandError(
            f"what the index gave for {', '.join(named) or 'a dependency'} is not what was pinned",
            "Somebody changed it after it was pinned. If that was you, pin it again.",
        )
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")] or [output.strip()]
    return CommandError(f"pip failed: {errors[-1].removeprefix('ERROR: ')}")


def _prune(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            if path.name in _FOLDERS:
                shutil.rmtree(path)
        elif path.name.endswith(_SUFFIXES) or _is_note(path):
            path.unlink()
        elif path.suffix == ".so" or ".so." in path.name:
            strip(path)


def _is_note(path: Path) -> bool:
    return path.parent.name.endswith(".dist-info") and path.name in _NOTES
