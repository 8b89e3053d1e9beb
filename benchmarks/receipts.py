"""What a receipt costs: a request that writes one row, without a key and with one, by turns.

Round trips are counted by a wire between the app and the server, which can also make each one as
long as in a region (`--delay`). Durable commits, as in production.

python benchmarks/receipts.py [--requests 300] [--delay 1.0] [--write FOLDER]
"""

import argparse
import contextlib
import logging
import statistics
import sys
import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import psycopg
import report
from terminal import folder, machine, positive, progress
from tests.receipts.apps import TABLES, Client, serving
from tests.receipts.proxy import Proxy

from sunup.local import postgres
from sunup.settings import Settings

NAMES = {
    "asyncpg": "asyncpg, autocommit",
    "asyncpg-transactions": "asyncpg, `db.transaction()`",
    "psycopg": "psycopg",
    "sqlalchemy": "SQLAlchemy on psycopg",
    "sqlalchemy-async": "SQLAlchemy on asyncpg",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=positive, default=300, help="of each kind")
    parser.add_argument("--delay", type=float, default=1.0, help="milliseconds of a round trip")
    parser.add_argument("--write", type=folder, help="a folder for the table")
    arguments = parser.parse_args()
    rows = []
    with (
        tempfile.TemporaryDirectory(prefix="sunup-bench-") as name,
        postgres.running(Path(name) / "postgres", durable=True) as server,
    ):
        settings = replace(Settings.from_environment(server), log_level="CRITICAL")
        with psycopg.connect(
            host=server["DB_HOST"], user="postgres", dbname=server["DB_NAME"], autocommit=True
        ) as admin:
            admin.execute(TABLES.encode())
        logging.disable()
        for kind, title in NAMES.items():
            progress(title)
            with contextlib.closing(Wire(settings, arguments.delay)) as wire:
                rows.append((title, *measured(wire, kind, arguments.requests)))
    text = report.table(
        (
            "one row written",
            "round trips",
            "with a key",
            "repeated",
            "ms",
            "with a key",
            "repeated",
            "more",
        ),
        [
            (
                title,
                *(f"{trips}" for _, trips in found),
                *(f"{ms:.1f}" for ms, _ in found),
                f"{found[1][0] - found[0][0]:+.1f} ms",
            )
            for title, *found in rows
        ],
    )
    text = (
        f"# What a receipt costs\n\n{machine()}, PostgreSQL 18 with durable commits, medians of "
        f"{arguments.requests} requests each,\na round trip made {arguments.delay:g} ms long\n\n"
        f"{text}\n\n`python benchmarks/receipts.py`\n"
    )
    print(text)
    if arguments.write:
        (arguments.write / "receipts.md").write_text(text)


class Wire(Proxy):
    """Counts what the app sends, and delays it."""

    def __init__(self, settings: Settings, delay: float) -> None:
        self.trips = 0
        self.seconds = delay / 1000
        super().__init__(settings)

    def passing(self) -> None:
        """A message of the app's."""
        self.trips += 1
        if self.seconds:
            time.sleep(self.seconds)


def measured(wire: Wire, kind: str, count: int) -> list[tuple[float, int]]:
    """Milliseconds and round trips without a key, with a new one, with a known one."""
    times: list[list[float]] = [[], [], []]
    trips: list[list[int]] = [[], [], []]
    with serving(kind, wire.settings) as client:
        for number in range(count + 20):
            key = str(uuid.uuid4())
            name = f"/add?{uuid.uuid4()}"
            for which, (path, used) in enumerate(
                ((f"/add?{uuid.uuid4()}", None), (name, key), (name, key))
            ):
                took, sent = one(wire, client, path, used)
                if number >= 20:  # the first ones prepare their statements
                    times[which].append(took)
                    trips[which].append(sent)
    return [
        (statistics.median(took) * 1000, round(statistics.median(sent)))
        for took, sent in zip(times, trips, strict=True)
    ]


def one(wire: Wire, client: Client, path: str, key: str | None) -> tuple[float, int]:
    """Seconds and round trips of one request."""
    before, began = wire.trips, time.perf_counter()
    response: Any = client(path, key)
    took = time.perf_counter() - began
    time.sleep(0.005)  # what is put right after the answer is not part of it
    if response["statusCode"] != 201:
        raise SystemExit(f"{path} was answered {response}")
    return took, wire.trips - before


if __name__ == "__main__":
    main()
