"""What a cold start imports. By list and by count: clocks are noisy, lists are not."""

import json
import subprocess
import sys

import pytest

# What the cold path must never load.
HEAVY = {"boto3", "botocore", "pydantic", "requests", "urllib3", "typer", "rich", "uvicorn"}

_TOOLS = ("sunup.local",)


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
    assert foreign <= {"hashlib", "_hashlib", "_blake2", "hmac", "_hmac"}  # to sign


def test_the_handler_loads_no_tool_and_no_sdk() -> None:
    loaded = modules_after("import sunup.adapter.handler, sunup.asyncpg, sunup.adapter.asgi")
    assert not loaded & HEAVY
    assert not {name for name in loaded if name.startswith(_TOOLS)}


# What a users app loads until it has answered its first request, beyond what awslambdaric loads:
# by package, how many modules, and how many of the standard library. More is slower for everybody:
# say why, and raise the number. (48: priming is a module of its own, for those that prime; 49: the
# end of an attempt to connect, since this request finds no database.)
DRIVER = {"sunup": 49, "asyncpg": 25, "msgspec": 13, "idna": 0}
BUDGETS = {
    "users": (DRIVER | {"starlette": 23, "anyio": 9}, 140),
    "users_asgi": (DRIVER | {"starlette": 0, "anyio": 0}, 110),
}

FIRST_REQUEST = """
import os, sys
os.environ.update(
    AWS_LAMBDA_FUNCTION_NAME="users", AWS_LAMBDA_INITIALIZATION_TYPE="on-demand",
    AWS_REGION="eu-central-1", DB_HOST="127.0.0.1", DB_PORT="1", DB_NAME="app", DB_USER="app",
    AWS_ACCESS_KEY_ID="AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY="x", LOG_LEVEL="CRITICAL")
sys.path.insert(0, "examples/{example}")
from lambda_function import handler
class Context:
    aws_request_id = "1"
    def get_remaining_time_in_millis(self): return 1000
event = {"version": "2.0", "rawPath": "/health", "rawQueryString": "", "headers": {},
    "requestContext": {"http": {"method": "GET", "path": "/health", "protocol": "HTTP/1.1",
    "sourceIp": "192.0.2.1"}, "timeEpoch": 0}, "isBase64Encoded": False}
assert handler(event, Context())["statusCode"] == 200
"""


@pytest.mark.parametrize("example", BUDGETS)
def test_a_users_app_starts_within_its_budget_of_modules(example: str) -> None:
    budget, most_standard = BUDGETS[example]
    code = FIRST_REQUEST.replace("{example}", example)
    ran = modules_after(f"exec({code!r})")
    added = ran - modules_after("import awslambdaric.bootstrap")
    assert not added & HEAVY
    assert not {name for name in added if name.startswith(_TOOLS)}
    own = {"app", "asgi", "bodies", "database", "lambda_function", "parameters", "users"}
    packages = {name.partition(".")[0] for name in added - own}
    foreign = {name for name in packages - set(budget) if not name.startswith("_cython")}
    foreign -= sys.stdlib_module_names
    assert foreign <= {"cython_runtime", "sniffio", "typing_extensions"}, foreign
    count = {name: sum(each.partition(".")[0] == name for each in added) for name in budget}
    over = {name: n for name, n in count.items() if n > budget[name]}
    assert not over, count
    standard = {n for n in added if n.partition(".")[0] in sys.stdlib_module_names}
    assert len(standard) <= most_standard, len(standard)
