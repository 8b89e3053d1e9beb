"""What importing sunup costs, against importing the driver alone: fresh processes, round robin.

python benchmarks/imports.py [ROUNDS]
"""

import statistics
import subprocess
import sys
import time

from terminal import machine, rounds_wanted

# What an app's own choices cost in each cold start: docs/frameworks.md has the figures.
FRAMEWORKS = {
    "Starlette": "import starlette.applications, starlette.routing, starlette.responses",
    "FastAPI": "import fastapi; fastapi.FastAPI()",
    "Flask": "import flask; flask.Flask('app')",
    "Django": (
        "from django.conf import settings; settings.configure(ROOT_URLCONF='x');"
        "from django.core.wsgi import get_wsgi_application; get_wsgi_application()"
    ),
    "SQLAlchemy (ORM, asyncio)": "import sqlalchemy.ext.asyncio, sqlalchemy.orm",
    "boto3 with an RDS client": "import boto3; boto3.client('rds', region_name='eu-central-1')",
    "Mangum": "import mangum",
}

CASES = {
    "python": "pass",
    "import sunup": "import sunup",
    "import asyncpg": "import asyncpg",
    "import sunup.asyncpg": "import sunup.asyncpg",
    "import psycopg": "import psycopg",
    "import sunup.psycopg": "import sunup.psycopg",
    "import sunup.asyncpg, sunup.adapter.handler": "import sunup.asyncpg, sunup.adapter.handler",
}


def main() -> None:
    rounds = rounds_wanted("What importing costs.", 40)
    cases = CASES | FRAMEWORKS
    times: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, code in cases.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            if number:  # the first round warms the disk's cache
                times[name].append((time.perf_counter() - began) * 1000)
    print(f"{machine()}, {rounds} rounds")
    base = statistics.median(times["python"])
    for name in cases:
        print(f"{name:<45} {statistics.median(times[name]) - base:7.1f} ms beyond Python's start")
    for driver in ("asyncpg", "psycopg"):
        own = [
            a - b
            for a, b in zip(times[f"import sunup.{driver}"], times[f"import {driver}"], strict=True)
        ]
        print(f"sunup's own part beyond {driver:<21} {statistics.median(own):7.1f} ms")


if __name__ == "__main__":
    main()
