"""Python in a process of its own, as somebody runs it who has set nothing."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

# Whether CI runs the tests: there nothing that they need may be missing. Tests do not see it.
IN_CI = bool(os.environ.get("CI"))


def python(
    folder: Path,
    *arguments: object,
    without: tuple[str, ...] = ("DB_",),
    environ: Mapping[str, str] = MappingProxyType({}),
) -> "subprocess.CompletedProcess[str]":
    """Run Python in a folder; `without`: how variables begin that it must not have."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(without)}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={**clean, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
