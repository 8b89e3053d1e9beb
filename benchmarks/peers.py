"""The apps that are compared, each unpacked as Lambda unpacks it.

sunup's are real packages of `sunup package`. The others are what a plain `pip install --target` or
`npm ci` leaves, with bytecode beside the sources: many packages go without it, and start slower.
"""

import compileall
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import certifi
from packaging.requirements import Requirement

from sunup.connecting.tls import ROOTS
from sunup.local.emulator.package import runtime_folder, unpack

ROOT = Path(__file__).parent.parent
PEERS = ROOT / "benchmarks" / "peers"

SUNUP = "sunup: users"
SUNUP_ASGI = "sunup: users, no framework"
SUNUP_FASTAPI = "sunup: FastAPI, SQLAlchemy"
SUNUP_SNAPSTART = "sunup: FastAPI, SQLAlchemy, SnapStart"
FLOOR = "floor: handler, asyncpg, in INIT"
STARLETTE = "Starlette, Mangum, psycopg, boto3"
FASTAPI = "FastAPI, Mangum, SQLAlchemy, boto3"
POWERTOOLS = "Powertools, psycopg, boto3"
NODE = "Node: Hono, Drizzle, pg, AWS SDK"
BUNDLED = "Node: bundled"
CONNECTED = "Node: bundled, connected in INIT"
PRIMED = "Node: bundled, primed in INIT"

# What Lambda's runtime has anyhow: it is neither in these packages nor in their sizes.
_OF_THE_RUNTIME = ("boto3",)


@dataclass(frozen=True)
class Peer:
    """One app. `zipped` and `unpacked` are in bytes; `environ` is what it needs besides DB_*."""

    name: str
    folder: Path
    zipped: int
    unpacked: int
    handler: str = "lambda_function.handler"
    environ: Mapping[str, str] = field(default_factory=dict)
    runtime: Path | None = None
    bootstrap: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Roots:
    """Files of root certificates, the emulator's among them."""

    few: Path
    whole_store: Path
    emulator: Path


def roots(folder: Path, emulator: Path) -> Roots:
    """On Lambda sunup trusts a handful of roots and the usual app its system's 140."""
    few, whole = folder / "few.pem", folder / "whole.pem"
    few.write_text(Path(ROOTS).read_text() + emulator.read_text())
    whole.write_text(Path(certifi.where()).read_text() + emulator.read_text())
    return Roots(few, whole, emulator)


def names() -> list[str]:
    """The peers that this machine can build, in their order: those of Node where node and npm are."""
    node = (
        (NODE, BUNDLED, CONNECTED, PRIMED) if shutil.which("node") and shutil.which("npm") else ()
    )
    # Wheels of what they need are for newer systems than Lambda's Python 3.11 has.
    orm = (SUNUP_FASTAPI, SUNUP_SNAPSTART, FASTAPI) if sys.version_info >= (3, 12) else ()
    return [SUNUP, SUNUP_ASGI, FLOOR, STARLETTE, POWERTOOLS, *orm, *node]


def build(folder: Path, trusted: Roots, wanted: Collection[str]) -> list[Peer]:
    """Make those that are wanted, in a new folder."""
    runtime = runtime_folder(folder / "runtime")
    install(folder / "sdk", *_OF_THE_RUNTIME)
    for path in (folder / "sdk").iterdir():
        (runtime / path.name).symlink_to(path)
    users, asgi, fastapi = (
        ROOT / "examples" / name for name in ("users", "users_asgi", "users_fastapi")
    )
    few = {"DB_SSLROOTCERT": str(trusted.few)}
    whole = {"DB_SSLROOTCERT": str(trusted.whole_store)}
    psycopg = ("psycopg", "psycopg-binary")
    orm = ("fastapi", "mangum", "sqlalchemy", "greenlet", "asyncpg")
    recipes: dict[str, Callable[[str], Peer]] = {
        SUNUP: lambda name: packaged(name, users, folder / "users", few, runtime),
        SUNUP_ASGI: lambda name: packaged(name, asgi, folder / "users_asgi", few, runtime),
        FLOOR: lambda name: python(name, "floor", folder, ("asyncpg",), few, runtime),
        SUNUP_FASTAPI: lambda name: packaged(name, fastapi, folder / "fastapi", few, runtime),
        SUNUP_SNAPSTART: lambda name: packaged(
            name,
            fastapi,
            folder / "fastapi_snapstart",
            {**few, "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"},
            runtime,
        ),
        STARLETTE: lambda name: python(
            name, "starlette_mangum", folder, ("starlette", "mangum", *psycopg), whole, runtime
        ),
        POWERTOOLS: lambda name: python(
            name, "powertools", folder, ("aws-lambda-powertools", *psycopg), whole, runtime
        ),
        FASTAPI: lambda name: python(name, "fastapi_mangum", folder, orm, whole, runtime, fastapi),
    }
    peers = [recipe(name) for name, recipe in recipes.items() if name in wanted]
    if not set(wanted) <= set(recipes):
        environ = {"NODE_EXTRA_CA_CERTS": str(trusted.emulator)}
        peers += [peer for peer in node(folder, environ) if peer.name in wanted]
    return peers


def packaged(name: str, app: Path, folder: Path, environ: Mapping[str, str], runtime: Path) -> Peer:
    """An app as `sunup package` packs it."""
    package = folder.with_suffix(".zip")
    machine = "arm64" if os.uname().machine in ("aarch64", "arm64") else "x86_64"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    command = [sys.executable, "-m", "sunup.local.cli", "package", str(app), "-o", str(package)]
    run([*command, "--python", version, "--arch", machine])
    unpack(package, folder)
    return Peer(
        name, folder, package.stat().st_size, size(folder), environ=environ, runtime=runtime
    )


def python(
    name: str,
    source: str,
    folder: Path,
    needs: Collection[str],
    environ: Mapping[str, str],
    runtime: Path,
    base: Path | None = None,
) -> Peer:
    """An app as pip and zip pack it; `base` is an app of which `source` replaces files."""
    target = folder / source
    install(target, *needs)
    if base is not None:
        shutil.copytree(base, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("tests"))
    shutil.copytree(PEERS / source, target, dirs_exist_ok=True)
    if base is not None:
        app = target / "app.py"
        app.write_text(without_sunup(app.read_text()))
    compileall.compile_dir(target, quiet=2)
    return Peer(name, target, zipped(target), size(target), environ=environ, runtime=runtime)


def node(folder: Path, environ: Mapping[str, str]) -> list[Peer]:
    """The sample's shape: with its node_modules, and as one file of esbuild's."""
    source = PEERS / "node"
    bootstrap = (shutil.which("node") or "node", str(source / "runtime.mjs"))
    plain, whole = folder / "node", folder / "node_build"
    shutil.copytree(source, plain, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copytree(plain, whole)
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--silent")
    run(["npm", "ci", "--omit=dev", *quiet], plain)
    run(["npm", "ci", *quiet], whole)
    (plain / "package-lock.json").unlink()
    peers = [
        Peer(NODE, plain, zipped(plain), size(plain), "index.handler", environ, None, bootstrap)
    ]
    for name, entry in ((BUNDLED, "index"), (CONNECTED, "connected"), (PRIMED, "primed")):
        target = folder / f"node_{entry}"
        target.mkdir()
        (target / "package.json").write_text('{"type": "module"}')
        # pg and pino are CommonJS, which asks for `require`.
        banner = (
            'import{createRequire}from"node:module";const require=createRequire(import.meta.url);'
        )
        options = ("--bundle", "--minify", "--platform=node", "--format=esm", "--target=node20")
        esbuild = str(whole / "node_modules" / ".bin" / "esbuild")
        out = f"--outfile={target / entry}.js"
        run(
            [esbuild, f"{entry}.js", *options, f"--banner:js={banner}", "--log-level=error", out],
            whole,
        )
        handler = f"{entry}.handler"
        sizes = zipped(target), size(target)
        peers += [Peer(name, target, *sizes, handler, environ, None, bootstrap)]
    return peers


def install(target: Path, *names: str) -> None:
    """What `pip install --target` would leave, taken from this environment: pinned, no network."""
    site = Path(sysconfig.get_path("purelib"))
    wanted, done = list(names), set()
    while wanted:
        name = wanted.pop()
        if name in done:
            continue
        done.add(name)
        distribution = importlib.metadata.distribution(name)
        for each in map(Requirement, distribution.requires or ()):
            if each.marker is None or each.marker.evaluate({"extra": ""}):
                wanted.append(each.name)
        for file in distribution.files or ():
            path = Path(str(distribution.locate_file(file))).resolve()
            if path.is_relative_to(site) and path.is_file():
                copy = target / path.relative_to(site)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, copy)
    compileall.compile_dir(target, quiet=2)


def without_sunup(text: str) -> str:
    """The FastAPI example's app.py with an engine of its own, and without receipts."""
    for old, new in (
        ("from sunup import exactly_once\n", ""),
        (
            "from sunup.integrations.sqlalchemy import create_async_engine",
            "from engine import create_async_engine",
        ),
        ("app.add_middleware(exactly_once, database=engine, repeat=True)\n", ""),
    ):
        if old not in text:
            raise SystemExit(f"the FastAPI example's app.py: expected the line {old!r}")
        text = text.replace(old, new)
    return text


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def zipped(folder: Path) -> int:
    """Bytes of the folder as a zip file."""
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder))
    return archive.stat().st_size


def run(command: list[str], folder: Path | None = None) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"{' '.join(command[:3])} failed: {result.stderr.strip()[-500:]}")
