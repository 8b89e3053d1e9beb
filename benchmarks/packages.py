"""Packages of popular dependencies with native parts, for both processors, and what it takes.

python benchmarks/packages.py [--write docs/benchmarks]

The one for this machine's processor is imported, as Lambda's INIT does it. `cold` is with an empty
cache of uv's, `warm` with a filled one, both with the network as it is.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHON = "3.13"

# Requirement, and what the handler's module imports of it.
POPULAR = {
    "asyncpg": "asyncpg.protocol.protocol",
    "cryptography": "cryptography.hazmat.bindings._rust",
    "grpcio": "grpc._cython.cygrpc",
    "lxml": "lxml.etree",
    "numpy": "numpy.linalg",
    "orjson": "orjson",
    "pandas": "pandas",
    "pillow": "PIL.Image",
    "psycopg[binary]": "psycopg",
    "pydantic": "pydantic",
    "scikit-image": "skimage.filters",
    "sqlalchemy": "sqlalchemy.orm",
    "uvloop": "uvloop",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    folder = parser.parse_args().write
    lines = ["| dependency | processor | zipped | unpacked | imported |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as name:
        environ = {**os.environ, "UV_CACHE_DIR": str(Path(name) / "cache")}
        for requirement, module in POPULAR.items():
            for arch in ("arm64", "x86_64"):
                app = project(Path(name) / requirement, requirement, module)
                made, _ = package(app, arch, environ)
                tried = "yes" if made["executed"] else "not this processor"
                sizes = " | ".join(f"{made[key] / 1e6:.1f} MB" for key in ("zipped", "unpacked"))
                lines.append(f"| {requirement} | {arch} | {sizes} | {tried} |")
                print(lines[-1], flush=True)
        users = ROOT / "examples" / "users"
        times = []
        for cache in ("cold", "warm", "warm"):
            environ["UV_CACHE_DIR"] = str(Path(name) / "users")
            times.append((cache, package(users, "arm64", environ, Path(name) / "u.zip")[1]))
    told = ", ".join(f"{cache} {seconds:.1f} s" for cache, seconds in times)
    lines += ["", f"`sunup package examples/users`: {told}."]
    print(lines[-1])
    if folder is not None:
        head = (
            f"# Packages\n\nMade by `python benchmarks/packages.py --write docs/benchmarks` on "
            f"{date.today()}, Linux {platform.machine()}, {os.cpu_count()} processors, for Python "
            f"{PYTHON}.\n\n"
        )
        (folder / "packages.md").write_text(head + "\n".join(lines) + "\n")


def project(folder: Path, requirement: str, module: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "requirements.txt").write_text(f"{requirement}\n")
    (folder / "lambda_function.py").write_text(f"import {module}\nhandler = print\n")
    return folder


def package(
    app: Path, arch: str, environ: dict[str, str], output: Path | None = None
) -> tuple[dict[str, float], float]:
    command = [sys.executable, "-m", "sunup.local.cli", "package", app, "--json", "--arch", arch]
    command += ["--python", PYTHON, "-o", output or app / "lambda.zip"]
    began = time.monotonic()
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{app.name} for {arch}: {result.stderr}")
    return json.loads(result.stdout), time.monotonic() - began


if __name__ == "__main__":
    main()
