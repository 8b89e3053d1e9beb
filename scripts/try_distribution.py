"""Builds the sdist and the wheel from a used tree, and tries both as a stranger would.

python scripts/try_distribution.py

Nothing of what a used tree has beside the files (`.env`, Terraform's state, databases, packages)
may be in them. `make setup` has to work from the sdist. The wheel, in a virtual environment of its
own with nothing but what its metadata asks for, makes a project, serves it, packages it and runs
the package.
"""

import json
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLANTED = (
    "examples/users/.env",
    "examples/users/.sunup/postgres/PG_VERSION",
    "examples/users/.venv/bin/python",
    "examples/users/lambda.zip",
    "examples/users/terraform/.terraform/sunup.json",
    "examples/users/terraform/terraform.tfstate",
    "examples/users/terraform/terraform.tfstate.backup",
    "examples/users/terraform/terraform.tfvars",
    "examples/users/tests/__pycache__/test_users.pyc",
    "src/sunup/__pycache__/settings.pyc",
    "src/sunup/.env",
)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="sunup-dist-") as name:
        folder = Path(name)
        sdist, wheel = build(folder)
        set_up(sdist, folder)
        try_project(install(wheel, folder, "asyncpg,dev"), folder)
        try_ci(install(wheel, folder, "deploy"), folder)
    print("The sdist and the wheel work.")


def build(folder: Path) -> tuple[Path, Path]:
    """Both, from a copy of this tree with the traces of use in it."""
    used = folder / "used"
    ignored = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, used, ignore=ignored)
    for planted in PLANTED:
        (used / planted).parent.mkdir(parents=True, exist_ok=True)
        (used / planted).write_text("secret")
    run(sys.executable, "-m", "hatchling", "build", "-d", folder / "dist", cwd=used)
    sdist, wheel = next(folder.glob("dist/*.tar.gz")), next(folder.glob("dist/*.whl"))
    with tarfile.open(sdist) as tar, zipfile.ZipFile(wheel) as archive:
        names = [*tar.getnames(), *archive.namelist()]
    leaked = [each for each in names if each.endswith(tuple(Path(p).name for p in PLANTED))]
    assert not leaked, f"of a used tree: {leaked}"
    return sdist, wheel


def set_up(sdist: Path, folder: Path) -> None:
    """`make setup`, in the unpacked sdist."""
    with tarfile.open(sdist) as tar:
        tar.extractall(folder, filter="data")
    source = folder / sdist.name.removesuffix(".tar.gz")
    run("make", "-s", "setup", f"PYTHON={sys.executable}", cwd=source)
    run(source / ".venv" / "bin" / "sunup", "--version")


def install(wheel: Path, folder: Path, extras: str) -> Path:
    """A virtual environment with the wheel and what it asks for, at the pinned versions."""
    environment = folder / extras
    run(sys.executable, "-m", "venv", environment)
    pinned = re.findall(r"^[\w.-]+==.*?(?= \\$|$)", requirements(), re.MULTILINE)
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(pinned))
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet"]
    run(*pip, "--disable-pip-version-check", "-c", constraints, f"{wheel}[{extras}]")
    return environment / "bin" / "sunup"


def requirements() -> str:
    """The pins, with their hashes."""
    return (ROOT / "requirements" / "dev.txt").read_text()


def try_project(sunup: Path, folder: Path) -> None:
    """As the README has it: new, dev, package, emulate."""
    shop = folder / "shop"
    run(sunup, "new", "shop", cwd=folder)
    port, console = free_port(), free_port()
    with served(sunup, "dev", "shop", "--port", port, folder=folder):
        try_api(port)
    arch = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    run(sunup, "package", "shop", "--arch", arch, "--python", python, cwd=folder)
    emulate = ("emulate", shop / "lambda.zip", "--port", port, "--console-port", console)
    with served(sunup, *emulate, folder=folder):
        try_api(port)


def try_ci(sunup: Path, folder: Path) -> None:
    """As CI has it: what deploys, without the local AWS."""
    run(sunup, "--help")
    run(sunup, "pin", folder / "shop")
    run(sunup, "package", folder / "shop")
    tell(sunup, "emulate")
    done = subprocess.run([sunup, "emulate"], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 1, done
    assert "pip install 'sunup[dev]'" in done.stderr, done


def try_api(port: int) -> None:
    """A user is added, and read again."""
    url = f"http://localhost:{port}/users"
    user = {"name": "Mesota", "email": "mesota@example.com"}
    asked = urllib.request.Request(
        url, json.dumps(user).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
        assert answer.status == 201, answer.status
    with urllib.request.urlopen(url, timeout=60) as answer:
        users = json.load(answer)
    assert [each["email"] for each in users] == [user["email"]], users


@contextmanager
def served(sunup: Path, *arguments: object, folder: Path) -> Iterator[None]:
    """A server in the background, once it answers; ended as by Ctrl-C."""
    tell(sunup, *arguments)
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(  # noqa: S603
            [sunup, *map(str, arguments)], cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            port = int(str(arguments[arguments.index("--port") + 1]))
            until = time.monotonic() + 60
            while not answers(port):
                if process.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    sys.exit(f"it does not answer:\n{log.read()}")
                time.sleep(0.1)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def answers(port: int) -> bool:
    """Whether somebody listens."""
    try:
        socket.create_connection(("localhost", port), timeout=1).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(*command: object, cwd: Path | None = None) -> None:
    """Run a command; print what it says where it fails."""
    tell(*command)
    result = subprocess.run(  # noqa: S603
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False
    )
    if result.returncode:
        sys.exit(f"it failed:\n{result.stdout}{result.stderr}")


def tell(*command: object) -> None:
    """Print a command as a person would type it."""
    print(
        "$", *(Path(str(each)).name if "/" in str(each) else each for each in command), flush=True
    )


if __name__ == "__main__":
    main()
