"""What metrics and traces cost: processor time of a warm request with three statements, and of INIT.

The same small app and event in one process, round robin, as in benchmarks/adapter.py; INIT is the
import of what is switched on, in fresh processes. OpenTelemetry sends nowhere: what its SDK and an
exporter take besides is theirs.

python benchmarks/observing.py [--write FOLDER] [--rounds 15]
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from typing import Any

import report
from adapter import EVENT, Context, asgi
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from terminal import folder, machine, positive

from sunup import Handler, logs
from sunup.connecting import timing
from sunup.settings import Settings

REQUESTS = 300
STARTS = 15
KINDS = {
    "off": Settings(),
    "METRICS=emf": Settings(metrics="emf"),
    "TRACES=ids": Settings(traces="ids"),
    "TRACES=xray, not sampled": Settings(traces="xray"),
    "TRACES=xray, sampled": Settings(traces="xray"),
    "TRACES=otel": Settings(traces="otel"),
}
STATEMENTS = ("select id, name from users where id = $1", "select 1", "update users set name = $1")


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "lifespan":
        for text in STATEMENTS:
            timing.end(timing.begin(), text, 1)
    await asgi(scope, receive, send)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=folder, help="a folder for the table")
    parser.add_argument("--rounds", type=positive, default=15)
    arguments = parser.parse_args()
    trace.set_tracer_provider(TracerProvider())
    handlers = {name: Handler(app, settings=settings) for name, settings in KINDS.items()}
    nowhere = logging.StreamHandler(open(os.devnull, "w"))  # noqa: SIM115, PTH123
    nowhere.setFormatter(logs.JsonFormatter())
    logging.getLogger().handlers[:] = [nowhere]
    times: dict[str, list[float]] = {name: [] for name in handlers}
    for number in range(arguments.rounds + 1):
        for name, handler in handlers.items():
            sampled = int("not" not in name)
            os.environ["_X_AMZN_TRACE_ID"] = (
                f"Root=1-58406520-a006649127e371903a2de979;Parent=4c721bf33e3caf8f;Sampled={sampled}"
            )
            began = time.process_time()
            for _ in range(REQUESTS):
                answer = handler(EVENT, Context())
                assert json.loads(answer["body"])["id"] == 1
            if number:
                times[name].append((time.process_time() - began) / REQUESTS * 1e6)
    for handler in handlers.values():
        handler.close()
    medians = {name: statistics.median(found) for name, found in times.items()}
    rows = []
    for name, settings in KINDS.items():
        if name == "TRACES=xray, not sampled":
            init = ""
        else:
            init = f"{init_of(settings) - init_of(KINDS['off']):+.1f}" if name != "off" else ""
        rows.append((name, f"{medians[name]:.0f}", f"{medians[name] / medians['off']:.2f}", init))
    text = report.table(("", "us a warm request", "ratio", "INIT ms beyond"), rows)
    print(text)
    if arguments.write is not None:
        page = (
            "# What metrics and traces cost\n\nMade by `python benchmarks/observing.py`: "
            f"{machine()}.\n\n{text}\n\nProcessor time of a request with three statements and its "
            "log line, through the Lambda entry, without runtime client and database.\n"
        )
        (arguments.write / "observing.md").write_text(page, encoding="utf-8")


def init_of(settings: Settings) -> float:
    """Milliseconds of processor time from a process's start until its handler is there."""
    program = (
        "import time\nfrom sunup import Handler\nfrom sunup.settings import Settings\n"
        "import asyncio, json, logging, random, re, secrets\n"
        f"settings = Settings(metrics={settings.metrics!r}, traces={settings.traces!r})\n"
        "import sunup.connecting.waking\nbegan = time.process_time()\n"
        "async def app(*_): ...\nHandler(app, settings=settings, lifespan='off')\n"
        "print((time.process_time() - began) * 1000)\nimport os\nos._exit(0)"
    )
    found = []
    for _ in range(STARTS):
        command = [sys.executable, "-u", "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(float(done.stdout))
    return statistics.median(found)


if __name__ == "__main__":
    main()
