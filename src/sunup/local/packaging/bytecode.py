"""Compiles the package for its Python, since the function's folder is read-only on Lambda.

Without bytecode each cold start compiles every module that it imports and throws the result away.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from sunup.local.errors import CommandError

from .target import Target

# Unchecked: the bytecode is taken as it is, with no look at the source's time, which a zip keeps
# in steps of two seconds only (PEP 552). Run in a separate process, in a fixed order and with a
# fixed hash seed, so that the same sources give the same bytes.
_COMPILE = """
import importlib.util, json, os, py_compile, sys
root = sys.argv[1]
failed = {}
for path in json.load(sys.stdin):
    source = os.path.join(root, path)
    try:
        py_compile.compile(
            source, importlib.util.cache_from_source(source), "/var/task/" + path, doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, quiet=0)
    except py_compile.PyCompileError as error:
        failed[path] = str(error.exc_value) or error.exc_type_name
json.dump(failed, sys.stdout)
"""


@dataclass(frozen=True)
class Compiled:
    """`interpreter` is None when none was found; `seconds` is what compiling takes here."""

    interpreter: str | None
    files: int
    seconds: float
    failed: dict[str, str]


def compile_folder(folder: Path, target: Target) -> Compiled:
    """Compile the whole folder, with an interpreter of the target's version if there is one."""
    sources = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*.py") if path.is_file()
    )
    found = interpreter(target.python)
    began = time.perf_counter()
    if found is None:
        # What Lambda would do at each cold start: measured, so that the warning has a figure.
        failed = _failing(folder, sources)
        seconds = time.perf_counter() - began
        # What this Python cannot read a newer one may.
        older = tuple(map(int, target.python.split("."))) < sys.version_info[:2]
        return Compiled(None, len(sources), seconds, failed if older else {})
    result = subprocess.run(  # noqa: S603
        [found, "-S", "-s", "-c", _COMPILE, str(folder)],
        input=json.dumps(sources),
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONHASHSEED": "0", "PATH": os.defpath, "LC_ALL": "C.UTF-8"},
    )
    if result.returncode:
        raise CommandError(f"{found} cannot compile: {result.stderr.strip().splitlines()[-1]}")
    seconds = time.perf_counter() - began
    return Compiled(found, len(sources), seconds, json.loads(result.stdout))


def _failing(folder: Path, sources: list[str]) -> dict[str, str]:
    failed = {}
    for path in sources:
        try:
            compile((folder / path).read_bytes(), path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            failed[path] = str(error) or type(error).__name__
    return failed


def interpreter(python: str) -> str | None:
    """A CPython of this version: the running one, on PATH, pyenv's, uv's."""
    if python == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return sys.executable
    for candidate in _candidates(python):
        if _version_of(candidate) == python:
            return candidate
    return None


def _candidates(python: str) -> list[str]:
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    found = [shutil.which(f"python{python}")]
    for folder, pattern in ((pyenv, f"{python}.*"), (uv, f"cpython-{python}.*")):
        found += [str(each / "bin" / "python3") for each in sorted(folder.glob(pattern))[::-1]]
    return [each for each in found if each is not None]


def _version_of(candidate: str) -> str | None:
    code = "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"
    try:
        result = subprocess.run(  # noqa: S603
            [candidate, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    name, _, version = result.stdout.strip().partition(" ")
    return version if name == "cpython" else None
