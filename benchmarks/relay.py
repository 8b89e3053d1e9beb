"""The emulated Aurora's front: pgbench through it, as a share of pgbench on the server itself.

By turns through the front (TCP, TLS with verify-full, a token) and straight to the same server: the
same way, where it is an installed one with TLS (`--postgres 17`), and by its Unix socket, which
costs least.

python benchmarks/relay.py [--rounds 3] [--seconds 5] [--clients 10] [--postgres 17] [--write FOLDER]
"""

import argparse
import os
import pwd
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import report
import targets
from targets import Target
from terminal import folder, machine, positive, progress

from sunup.connecting.credentials import from_environment
from sunup.connecting.iam import auth_token
from sunup.local import postgres, servers
from sunup.local.emulator import Emulator, certificates

# The name of a script of pgbench's, and its option.
SCRIPTS = {"one row by its key": "-S", "three updates and an insert": "-N"}
TARGET = 0.6
ADDRESS = "127.0.0.77"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--seconds", type=positive, default=5)
    parser.add_argument("--clients", type=positive, default=10)
    parser.add_argument("--postgres", help="an installed server, which has TLS: its version")
    parser.add_argument("--write", type=folder, help="a folder for the table")
    arguments = parser.parse_args()
    program = shutil.which("pgbench")
    if program is None:
        sys.exit("pgbench is missing: apt install postgresql-contrib, or brew install postgresql")
    installed = next(iter(servers.others()), None)
    wanted = arguments.postgres or (installed.version if installed else None)
    binaries = servers.find(wanted)
    with tempfile.TemporaryDirectory(prefix="sunup-bench-") as name:
        secured = {} if binaries.embedded else _secured(Path(name))
        with (
            postgres.running(
                Path(name) / "postgres", durable=False, binaries=binaries, options=secured
            ) as server,
            Emulator(None, server=server) as aws,
        ):
            straight = dict(zip(("host", "user", "dbname"), server.values(), strict=True))
            places = {"through the front": _front(aws)}
            if secured:
                places["the server, with the same TLS"] = straight | {
                    "host": "localhost",
                    "hostaddr": ADDRESS,
                    "sslmode": "verify-full",
                    "sslrootcert": str(Path(name) / "root.pem"),
                }
            places["its Unix socket"] = straight
            progress("filling the tables")
            _run(program, straight, "-i", "-q", "-s", "5")
            with psycopg.connect(**straight) as connection:  # type: ignore[arg-type]
                connection.execute("grant all on all tables in schema public to app")
            rows = [_row(program, places, script, arguments) for script in SCRIPTS]
    progress("")
    head = ["transactions a second", *places]
    for place in list(places)[1:]:
        head.append(f"share of {place}")
    text = (
        f"{report.table(tuple(head), rows)}\n\nThe target is a share of {TARGET} of the same way.\n"
    )
    print(text)
    if arguments.write is not None:
        server_is = f"PostgreSQL {binaries.version}, {arguments.clients} clients of pgbench"
        page = f"# The emulator's front\n\n{machine()}, {server_is}\n\n{text}\n`python benchmarks/relay.py`\n"
        (arguments.write / "relay.md").write_text(page, encoding="utf-8")
        found = [
            Target(
                f"{row[0]}: share of the same way to the server",
                TARGET,
                float(row[-2]),
                at_least=True,
            )
            for row in rows
            if secured
        ]
        targets.note(arguments.write, "relay", found)


def _row(
    program: str, places: dict[str, dict[str, str]], script: str, arguments: argparse.Namespace
) -> tuple[str, ...]:
    found: dict[str, list[float]] = {place: [] for place in places}
    for number in range(arguments.rounds):
        for way, place in places.items():
            progress(f"{script}: round {number + 1}, {way}")
            count, seconds = str(arguments.clients), str(arguments.seconds)
            text = _run(program, place, SCRIPTS[script], "-n", "-c", count, "-T", seconds)
            rate = re.search(r"tps = ([\d.]+)", text)
            assert rate is not None
            found[way].append(float(rate[1]))
    front, *others = (statistics.median(each) for each in found.values())
    rates = [f"{each:,.0f}" for each in (front, *others)]
    return (script, *rates, *(f"{front / each:.2f}" for each in others))


def _secured(folder: Path) -> dict[str, str]:
    """The settings of a server with TLS, at its usual port of an address that nobody else has."""
    certificates.make(folder)
    key = folder / "server.pem"
    folder.chmod(0o755)
    if os.geteuid() == 0:  # the server runs as nobody
        nobody = pwd.getpwnam("nobody")
        os.chown(key, nobody.pw_uid, nobody.pw_gid)
    return {
        "listen_addresses": ADDRESS,
        "ssl": "on",
        "ssl_cert_file": str(key),
        "ssl_key_file": str(key),
    }


def _front(aws: Emulator) -> dict[str, str]:
    environ = aws.environ
    credentials = from_environment(environ)
    assert credentials is not None
    return {
        "host": "localhost",
        "hostaddr": "127.0.0.1",
        "port": environ["DB_PORT"],
        "user": "app",
        "dbname": environ["DB_NAME"],
        "sslmode": "verify-full",
        "sslrootcert": environ["DB_SSLROOTCERT"],
        "password": auth_token(
            host="localhost",
            port=int(environ["DB_PORT"]),
            user="app",
            region=environ["AWS_REGION"],
            credentials=credentials,
        ),
    }


def _run(program: str, place: dict[str, str], *options: str) -> str:
    place = dict(place)
    environ = {"PATH": os.environ["PATH"], "PGPASSWORD": place.pop("password", "")}
    name = place.pop("dbname")
    # Its options know no sslmode: a connection string in place of the database's name does.
    target = " ".join(f"{key}={value}" for key, value in {**place, "dbname": name}.items())
    done = subprocess.run(
        [program, *options, target], env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr.strip())
    return done.stdout


if __name__ == "__main__":
    main()
