"""The cold start of examples/users_fastapi: with sunup, and with Mangum and boto3.

The same app in the emulator: real runtime client, TLS, tokens, frozen between requests; INIT at the
full processor, the request at the share of the memory. Fresh processes, round robin.

python benchmarks/fastapi.py [ROUNDS]
"""

import os
import platform
import re
import shutil
import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import httpx2

from sunup.emulator import Emulator, EmulatorOptions

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "users_fastapi"
MEMORY = (128, 1769)


def peer(folder: Path) -> Path:
    """The same app, with another engine and another entry."""
    shutil.copytree(EXAMPLE, folder)
    shutil.copytree(ROOT / "benchmarks" / "peers" / "fastapi_mangum", folder, dirs_exist_ok=True)
    app = folder / "app.py"
    text = app.read_text()
    ours = "from sunup.integrations.sqlalchemy import create_async_engine"
    assert ours in text
    app.write_text(text.replace(ours, "from engine import create_async_engine"))
    return folder


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(
        f"{date.today()}, Python {platform.python_version()}, {platform.machine()}, "
        f"{os.cpu_count()} processors, {rounds} rounds; medians"
    )
    with tempfile.TemporaryDirectory() as folder:
        apps = {"sunup": EXAMPLE, "Mangum + boto3": peer(Path(folder) / "peer")}
        for memory in MEMORY:
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in apps}
            for number in range(rounds + 1):
                for name, app in apps.items():
                    measured = cold(app, memory)
                    if number:  # the first round writes bytecode
                        found[name].append(measured)
            cold_ms = {}
            for name, pairs in found.items():
                init = statistics.median(pair[0] for pair in pairs)
                first = statistics.median(pair[1] for pair in pairs)
                cold_ms[name] = statistics.median(sum(pair) for pair in pairs)
                print(
                    f"{memory:>5} MB  {name:<15} INIT {init:5.0f} ms   "
                    f"first request {first:5.0f} ms   cold response {cold_ms[name]:5.0f} ms"
                )
            ratio = cold_ms["sunup"] / cold_ms["Mangum + boto3"]
            print(f"{memory:>5} MB  sunup / Mangum + boto3: {ratio:.2f}")


def cold(app: Path, memory: int) -> tuple[float, float]:
    """Milliseconds of INIT and of the first request, which needs a query."""
    environ = {"PYTHONDONTWRITEBYTECODE": ""}
    with Emulator(app, EmulatorOptions(memory=memory, environ=environ)) as aws:
        began = time.perf_counter()
        response = httpx2.get(f"{aws.url}/users", timeout=60)
        took = (time.perf_counter() - began) * 1000
        assert response.status_code == 200, response.text
        report = next(
            str(event["line"])
            for event in aws.timeline.events
            if "Init Duration" in str(event.get("line"))
        )
        match = re.search(r"Init Duration: ([\d.]+) ms", report)
        assert match
        init = float(match[1])
        return init, took - init


if __name__ == "__main__":
    main()
