"""The drivers' own test suites, through the emulated Aurora and on the plain server beneath it.

What fails through the front and not on the plain server is the front's fault, and is listed; it is
the exit status, too. Nothing is fetched: get the driver's repository first, at the version that is
installed here (`pip show psycopg`), and name its folder.

git clone --branch 3.3.9 https://github.com/psycopg/psycopg
git clone --branch v0.31.0 https://github.com/MagicStack/asyncpg
git clone --branch 1.31.6 https://codeberg.org/tlocke/pg8000
python tests/outside/suites.py psycopg FOLDER [more arguments of pytest]
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

from sunup.local import postgres, servers
from sunup.local.emulator import AuroraOptions, Emulator, EmulatorOptions

# Of its own: the plain server listens there, at its usual port.
PLAIN = "127.0.0.78"
LIMIT = 1200  # seconds for one run

Place = dict[str, str]

# pg8000's tests know no TLS: here each connection has it unless a test says otherwise.
_PG8000 = """
import ssl
import pg8000.core as core
made = core.CoreConnection.__init__
def __init__(self, *args, **kwargs):
    if kwargs.get("ssl_context") is None and len(args) < 9:
        kwargs["ssl_context"] = ssl.create_default_context(cafile={root!r})
    made(self, *args, **kwargs)
core.CoreConnection.__init__ = __init__
"""


def psycopg(place: Place, _: Path) -> tuple[list[str], dict[str, str]]:
    dsn = " ".join(f"{name}={value}" for name, value in place.items())
    # `slow` waits, `mypy` checks types, `proxy` wants another program.
    return ["--test-dsn", dsn, "-m", "not slow and not mypy and not proxy"], {}


def asyncpg(place: Place, _: Path) -> tuple[list[str], dict[str, str]]:
    names = {"dbname": "PGDATABASE", "hostaddr": ""}
    environ = {names.get(name, f"PG{name.upper()}"): value for name, value in place.items()}
    environ.pop("", None)
    return [], environ


def pg8000(place: Place, folder: Path) -> tuple[list[str], dict[str, str]]:
    environ = {"PGPORT": place.get("port", "5432"), "PGPASSWORD": place.get("password", "pw")}
    environ["PGHOST"] = place["host"]
    if "sslrootcert" in place:
        (folder / "sitecustomize.py").write_text(_PG8000.format(root=place["sslrootcert"]))
        environ["PYTHONPATH"] = str(folder)
    return [], environ


SUITES: dict[str, tuple[str, Callable[[Place, Path], tuple[list[str], dict[str, str]]]]] = {
    "psycopg": ("tests", psycopg),
    "asyncpg": ("tests", asyncpg),
    "pg8000": ("test", pg8000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("driver", choices=SUITES)
    parser.add_argument("folder", type=Path, help="the driver's repository")
    parser.add_argument("more", nargs="*", help="more arguments of pytest")
    arguments, more = parser.parse_known_args()
    tests = arguments.folder / SUITES[arguments.driver][0]
    if not tests.is_dir():
        sys.exit(f"there is no {tests}\n{__doc__}")
    more = [*arguments.more, *more]
    binaries = servers.others()[0] if servers.others() else servers.find()
    print(f"PostgreSQL {binaries.version} in {binaries.folder}")
    with (
        tempfile.TemporaryDirectory(prefix="sunup-suite-") as name,
        postgres.running(
            Path(name) / "postgres",
            durable=False,
            binaries=binaries,
            options={"listen_addresses": PLAIN, "max_prepared_transactions": "10"},
        ) as server,
        Emulator(
            None, EmulatorOptions(aurora=AuroraOptions(max_connections=90)), server=server
        ) as aws,
    ):
        plain = {"host": PLAIN, "user": "postgres", "dbname": "postgres"}
        results = {
            way: _run(arguments.driver, tests, place, Path(name) / way, more)
            for way, place in (("plain", plain), ("front", _front(aws)))
        }
    for way, found in results.items():
        kinds = {kind: list(found.values()).count(kind) for kind in set(found.values())}
        print(f"{way}: {', '.join(f'{number} {kind}' for kind, number in sorted(kinds.items()))}")
    plain_results, front_results = results["plain"], results["front"]
    worse = [
        name
        for name, kind in front_results.items()
        if kind == "failed" and plain_results.get(name) != "failed"
    ]
    print(f"{len(worse)} fail through the front only", *worse, sep="\n  ")
    sys.exit(1 if worse or not front_results else 0)


def _front(aws: Emulator) -> Place:
    """As the owner, with a token that is never too old: a suite may take longer than 15 minutes."""
    password = aws.console.password("postgres")
    verify, now = aws.iam.refusal, time.time()
    aws.iam.refusal = lambda *args, **options: verify(*args, **options | {"now": now})  # type: ignore[method-assign]
    return {
        "host": "localhost",
        "port": str(aws.aurora.port),
        "user": "postgres",
        "password": password,
        "dbname": "postgres",
        "sslmode": "verify-full",
        "sslrootcert": aws.environ["DB_SSLROOTCERT"],
    }


def _run(driver: str, tests: Path, place: Place, folder: Path, more: list[str]) -> dict[str, str]:
    """Each test's result: passed, failed or skipped."""
    folder.mkdir()
    # Apart from the repository, whose own package would be imported in place of the installed one.
    shutil.copytree(tests, folder / tests.name)
    options, environ = SUITES[driver][1](place, folder)
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:sunup", "--tb=no"]
    command += ["--continue-on-collection-errors"]
    command += ["-W", "ignore", "-o", "addopts=", f"--junit-xml={report}", *options, *more]
    print(f"{driver}, {'through the front' if 'sslmode' in place else 'plain'} ...", flush=True)
    with (folder / "output").open("w") as output:
        subprocess.run(
            [*command, tests.name],
            cwd=folder,
            env={**os.environ, **environ},
            stdout=output,
            stderr=output,
            timeout=LIMIT,
            check=False,
        )
    if not report.is_file():
        sys.exit((folder / "output").read_text()[-2000:])
    found = {}
    for case in ET.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        kind = "failed" if kinds & {"failure", "error"} else "skipped" if kinds else "passed"
        found[f"{case.get('classname')}.{case.get('name')}"] = kind
    return found


if __name__ == "__main__":
    main()
