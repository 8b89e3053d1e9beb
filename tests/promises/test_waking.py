"""What sunup promises about a database that sleeps, seen through the whole of the emulated AWS."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from sunup.local.emulator import AuroraOptions, Emulator, FunctionOptions, GatewayOptions
from sunup.local.emulator.options import HangAt
from sunup.local.testing import Emulate

USERS = Path(__file__).parent.parent.parent / "examples" / "users"
STAGES: list[HangAt] = ["tcp", "tls", "auth"]


def timed(url: str) -> tuple[httpx2.Response, float]:
    began = time.monotonic()
    reply = httpx2.get(url, timeout=60)
    return reply, time.monotonic() - began


def asleep(aws: Emulator) -> None:
    aws.do("aurora/pause")
    assert aws.state()["aurora"]["state"] == "asleep"


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("stage", STAGES)
def test_the_first_request_is_answered_within_a_second_of_the_wake(
    emulate: Emulate, stage: HangAt, warm: bool
) -> None:
    aws = emulate(USERS, aurora=AuroraOptions(resume_seconds=2.5, hang_at=stage))
    if warm:
        assert httpx2.get(f"{aws.url}/users").status_code == 200
    asleep(aws)
    reply, took = timed(f"{aws.url}/users")
    assert (reply.status_code, reply.json()) == (200, [])
    assert 2.4 < took < 3.5


@pytest.mark.parametrize("stage", STAGES)
def test_a_wake_that_takes_too_long_is_a_503_before_the_gateway_s_own(
    emulate: Emulate, stage: HangAt
) -> None:
    aws = emulate(
        USERS,
        aurora=AuroraOptions(resume_seconds=6, hang_at=stage),
        gateway=GatewayOptions(timeout=4),
        environ={"GATEWAY_TIMEOUT": "4"},
    )
    asleep(aws)
    reply, took = timed(f"{aws.url}/users")
    assert reply.status_code == 503
    assert reply.json() == {
        "error": "The database is waking up",
        "code": "database_resuming",
        "executed": "no",
    }
    assert int(reply.headers["retry-after"]) > 0
    assert took < 4
    time.sleep(6.5 - took)
    assert timed(f"{aws.url}/users")[0].status_code == 200


def test_at_full_length_twelve_seconds_of_resume_are_a_200(emulate: Emulate) -> None:
    aws = emulate(USERS, aurora=AuroraOptions(resume_seconds=12))
    asleep(aws)
    reply, took = timed(f"{aws.url}/users")
    assert reply.status_code == 200
    assert 11.9 < took < 13


def test_at_full_length_forty_five_seconds_are_a_503_and_then_a_200(emulate: Emulate) -> None:
    aws = emulate(USERS, aurora=AuroraOptions(resume_seconds=45))
    asleep(aws)
    reply, took = timed(f"{aws.url}/users")
    assert (reply.status_code, reply.json()["code"]) == (503, "database_resuming")
    assert 25 < took < 30
    # A client that does as it is told, again and again.
    replies: list[httpx2.Response] = []
    while not replies or replies[-1].status_code != 200:
        time.sleep(int((replies[-1] if replies else reply).headers["retry-after"]))
        replies.append(timed(f"{aws.url}/users")[0])
        assert len(replies) < 4
    assert all(each.json()["code"] == "database_resuming" for each in replies[:-1])


def test_many_requests_of_a_sleeping_database_all_get_their_answer(emulate: Emulate) -> None:
    aws = emulate(
        USERS,
        aurora=AuroraOptions(resume_seconds=4),
        functions=FunctionOptions(concurrency=8),
    )
    asleep(aws)
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda _: timed(f"{aws.url}/users"), range(8)))
    assert [reply.status_code for reply, _ in replies] == [200] * 8
    assert max(took for _, took in replies) < 6.5


def test_what_needs_no_database_does_not_wait_for_it_nor_wake_it_later(emulate: Emulate) -> None:
    aws = emulate(USERS, aurora=AuroraOptions(resume_seconds=30))
    assert timed(f"{aws.url}/health")[0].status_code == 200
    asleep(aws)
    reply, took = timed(f"{aws.url}/health")
    assert reply.status_code == 200
    assert took < 5
    assert aws.state()["aurora"]["state"] == "asleep"


PLAIN_POOL = """
import asyncio, asyncpg, json, os, ssl, sys
from sunup.connecting.credentials import CredentialSource
from sunup.settings import Settings
from sunup.connecting.waking import password_for

loop = asyncio.new_event_loop()
settings = Settings.from_environment()
pool = None

async def work():
    global pool
    if pool is None:
        # The way of the sample, and of most: a pool whose client ends what is idle for too long.
        pool = await asyncpg.create_pool(
            host=settings.host, port=settings.port, user=settings.user, database=settings.database,
            password=lambda: password_for(settings, CredentialSource().find()),
            ssl=ssl.create_default_context(cafile=settings.sslrootcert),
            min_size=0, max_size=1, max_inactive_connection_lifetime=0.5)
    return await pool.fetchval("select 1")

def handler(event, context):
    return {"statusCode": 200, "body": str(loop.run_until_complete(work()))}
"""


BY_PSYCOPG = """
from sunup import Handler, psycopg

db = psycopg.Database()

def app(environ, start_response):
    with db.connection() as connection:
        connection.execute("select 1")
    start_response("200 OK", [])
    return []

handler = Handler(app, database=db)
"""


@pytest.mark.parametrize(
    ("driver", "stage"), [("asyncpg", "tls"), ("asyncpg", "auth"), ("psycopg", "auth")]
)
def test_no_half_login_is_frozen_that_would_keep_the_database_awake(
    emulate: Emulate, tmp_path: Path, driver: str, stage: HangAt
) -> None:
    """After a 503 the attempt under way is closed before the freeze; the resume goes on."""
    (tmp_path / "lambda_function.py").write_text(BY_PSYCOPG)
    aws = emulate(
        USERS if driver == "asyncpg" else tmp_path,
        aurora=AuroraOptions(resume_seconds=2.5, hang_at=stage, pause_after=0.3),
        gateway=GatewayOptions(timeout=3),
        environ={"GATEWAY_TIMEOUT": "3"},
    )
    url = f"{aws.url}/users"
    for _ in range(2):  # a new instance, which was connecting in INIT, and a frozen one
        asleep(aws)
        reply, took = timed(url)
        assert (reply.status_code, "retry-after" in reply.headers) == (503, True)
        assert took < 3
        time.sleep(0.1)
        assert [each["state"] for each in aws.state()["instances"]] == ["frozen"]
        assert aws.state()["aurora"]["state"] == "resuming"
        end = time.monotonic() + 6
        while aws.state()["aurora"]["state"] != "asleep" and time.monotonic() < end:
            time.sleep(0.05)
        assert aws.state()["aurora"]["state"] == "asleep"
    aws.do("aurora/resume")
    time.sleep(2.55)
    assert timed(url)[0].status_code == 200


def test_the_database_pauses_although_frozen_instances_hold_their_sockets(
    emulate: Emulate, tmp_path: Path
) -> None:
    """And the usual way, a client's idle timer, does not let it: the timer is frozen too."""
    options = AuroraOptions(pause_after=1, resume_seconds=0.5)
    aws = emulate(USERS, aurora=options, environ={"DB_IDLE_SESSION_TIMEOUT": "0.5"})
    assert timed(f"{aws.url}/users")[0].status_code == 200
    time.sleep(3)
    assert aws.state()["aurora"]["state"] == "asleep"
    assert [each["state"] for each in aws.state()["instances"]] == ["frozen"]
    assert timed(f"{aws.url}/users")[0].status_code == 200

    (tmp_path / "lambda_function.py").write_text(PLAIN_POOL)
    usual = emulate(tmp_path, aurora=options)
    assert timed(usual.url)[0].text == "1"
    time.sleep(3)
    assert usual.state()["aurora"]["state"] == "awake"
    assert usual.state()["aurora"]["connections"] == 1
