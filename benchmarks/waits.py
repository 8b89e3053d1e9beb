"""What a user sees who comes while the database sleeps: from outside, through the gateway.

The sample's stack (Node.js, Hono, Drizzle, pg, the AWS SDK) and the users API of this repository,
each on a new instance, behind the same emulated HTTP API, which gives up after 30 s. A client that
is told to come again does so after `Retry-After`, or after a second where nothing is said.

python benchmarks/waits.py [--write FOLDER]
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2
import peers
import report
from peers import Peer
from terminal import folder, machine, progress

from sunup.local.emulator import AuroraOptions, Emulator, EmulatorOptions, certificates

COMPARED = (peers.NODE, peers.SUNUP)
SLEEPS = (0.0, 15.0, 28.0, 40.0)  # seconds until the database is awake
DEAD = "40 s, a dead socket"
ATTEMPTS = 5


@dataclass(frozen=True)
class Seen:
    """Of one answer: its status, when it came (seconds from the first request), `Retry-After`."""

    status: int
    at: float
    retry_after: str | None

    def __str__(self) -> str:
        told = f" (again in {self.retry_after} s)" if self.retry_after else ""
        return f"{self.status} at {self.at:.1f} s{told}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=folder, help="a folder for the table")
    arguments = parser.parse_args()
    if peers.NODE not in peers.names():
        raise SystemExit("node and npm are missing: the sample's stack cannot be built")
    rows: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="sunup-bench-") as name:
        keep = Path(name) / "keep"
        root = certificates.make(Path(name), keep=keep).root
        progress("building the packages")
        built = peers.build(Path(name), peers.roots(Path(name), root), COMPARED)
        for peer in sorted(built, key=lambda each: COMPARED.index(each.name)):
            for sleep in SLEEPS:
                progress(f"{peer.name}: {sleep:.0f} s")
                rows.setdefault(f"{sleep:.0f} s" if sleep else "awake", []).append(
                    told(peer, keep, sleep, dead=False)
                )
            progress(f"{peer.name}: {DEAD}")
            rows.setdefault(DEAD, []).append(told(peer, keep, SLEEPS[-1], dead=True))
    progress("")
    text = report.table(
        ("the database sleeps", *COMPARED), [(name, *cells) for name, cells in rows.items()]
    )
    print(text)
    if arguments.write is not None:
        page = f"# What a user sees\n\n{machine()}\n\n{text}\n\n{EXPLAINED}\n"
        (arguments.write / "waits.md").write_text(page, encoding="utf-8")


EXPLAINED = """Until the database is awake as many seconds pass as the first column says. Each request is the first of a new
instance; in the last row of one that had a connection, which was cut while the instance was frozen. The gateway's own
503 comes at 30.0 s, without `Retry-After`. `python benchmarks/waits.py`"""


def told(peer: Peer, keep: Path, sleep: float, *, dead: bool) -> str:
    """What a client sees until it is served."""
    migrations = peers.ROOT / "examples" / "users" / "migrations"
    options = EmulatorOptions(
        handler=peer.handler,
        bootstrap=peer.bootstrap,
        environ=peer.environ,
        migrations=migrations,
        keep=keep,
        aurora=AuroraOptions(resume_seconds=sleep, deep_resume_seconds=sleep),
    )
    with Emulator(peer.folder, options) as aws:
        if dead:
            assert httpx2.get(f"{aws.url}/users", timeout=60).status_code == 200
            aws.do("aurora/drop")
        if sleep:
            aws.do("aurora/pause")
        return ", ".join(map(str, seen(aws)))


def seen(aws: Emulator) -> list[Seen]:
    found: list[Seen] = []
    began = time.monotonic()
    while len(found) < ATTEMPTS:
        reply = httpx2.get(f"{aws.url}/users", timeout=60)
        retry_after = reply.headers.get("retry-after")
        found.append(Seen(reply.status_code, time.monotonic() - began, retry_after))
        if reply.is_success:
            break
        time.sleep(float(retry_after or 1))
    return found


if __name__ == "__main__":
    main()
