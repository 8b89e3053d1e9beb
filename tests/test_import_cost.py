"""What a cold start imports. By list and by count: clocks are noisy, lists are not."""

import json
import subprocess
import sys

# What the cold path must never load.
HEAVY = {"boto3", "botocore", "pydantic", "requests", "urllib3", "typer", "rich", "uvicorn"}

_TOOLS = ("sunup.cli", "sunup.emulator", "sunup.tools")


def modules_after(code: str) -> set[str]:
    script = f"import sys, json; {code}; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    return set(json.loads(result.stdout))


def test_importing_sunup_loads_nothing_but_itself() -> None:
    added = modules_after("import sunup") - modules_after("pass")
    assert {name for name in added if not name.startswith("json")} <= {"sunup"}


def test_importing_the_async_database_adds_little_to_asyncpg() -> None:
    added = modules_after("import sunup.asyncpg") - modules_after("import asyncpg")
    assert not added & HEAVY
    foreign = {name for name in added if not name.startswith("sunup")}
    # The standard library's own: what `iam` signs with and `credentials` asks os for is there.
    assert len(foreign) <= 2, foreign


def test_importing_the_sync_database_loads_neither_asyncpg_nor_ssl_of_our_own() -> None:
    added = modules_after("import sunup.psycopg") - modules_after("import psycopg")
    assert not added & (HEAVY | {"asyncpg"})
    foreign = {name for name in added if not name.startswith("sunup")}
    assert len(foreign) <= 4, foreign


def test_the_handler_loads_no_tool_and_no_sdk() -> None:
    loaded = modules_after("import sunup.adapter.handler, sunup.asyncpg, sunup.adapter.asgi")
    assert not loaded & HEAVY
    assert not {name for name in loaded if name.startswith(_TOOLS)}
