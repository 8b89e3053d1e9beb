"""The emulated Aurora's front: pgbench through it, as a share of pgbench on the server itself.

Ten clients with `sslmode=verify-full` and a token through the front, and without TLS straight to
the server's Unix socket, by turns.

python benchmarks/relay.py [--rounds 3] [--seconds 5] [--clients 10] [--write FOLDER]
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import report
from terminal import folder, machine, positive, progress

from sunup.connecting.credentials import from_environment
from sunup.connecting.iam import auth_token
from sunup.local import postgres
from sunup.local.emulator import Emulator

# The name of a script of pgbench's, and its option.
SCRIPTS = {"one row by its key": "-S", "TPC-B, as pgbench has it": "-N"}
TARGET = 0.6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--seconds", type=positive, default=5)
    parser.add_argument("--clients", type=positive, default=10)
    parser.add_argument("--write", type=folder, help="a folder for the table")
    arguments = parser.parse_args()
    program = shutil.which("pgbench")
    if program is None:
        sys.exit("pgbench is missing: apt install postgresql-contrib, or brew install libpq")
    with (
        tempfile.TemporaryDirectory(prefix="sunup-bench-") as name,
        postgres.running(Path(name) / "postgres", durable=False) as server,
        Emulator(None, server=server) as aws,
    ):
        straight = dict(zip(("host", "user", "dbname"), server.values(), strict=True))
        places = {"front": _front(aws), "server": straight}
        progress("filling the tables")
        _run(program, straight, "-i", "-q", "-s", "5")
        with psycopg.connect(**straight) as connection:  # type: ignore[arg-type]
            connection.execute("grant all on all tables in schema public to app")
        rows = []
        for script, option in SCRIPTS.items():
            found: dict[str, list[float]] = {place: [] for place in places}
            for number in range(arguments.rounds):
                for way, place in places.items():
                    progress(f"{script}: round {number + 1}, {way}")
                    count = str(arguments.clients)
                    text = _run(
                        program, place, option, "-n", "-c", count, "-T", str(arguments.seconds)
                    )
                    found[way].append(float(re.search(r"tps = ([\d.]+)", text)[1]))  # type: ignore[index]
            front, plain = (statistics.median(found[way]) for way in places)
            rows.append((script, f"{front:,.0f}", f"{plain:,.0f}", f"{front / plain:.2f}"))
    progress("")
    head = ("transactions a second", "through the front", "server itself", "share")
    text = f"{report.table(head, rows)}\n\nThe target is a share of {TARGET}.\n"
    print(text)
    if arguments.write is not None:
        page = f"# The emulator's front\n\n{machine()}\n\n{text}\n`python benchmarks/relay.py`\n"
        (arguments.write / "relay.md").write_text(page, encoding="utf-8")


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
