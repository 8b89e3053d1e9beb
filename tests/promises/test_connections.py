"""What sunup promises about connections that die, tokens that are refused, servers that are full."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sunup.asyncpg import Database
from sunup.failures import TokenRefused
from sunup.local.emulator import AuroraOptions, Emulator, FunctionOptions
from sunup.local.testing import Emulate
from sunup.settings import Settings

USERS = Path(__file__).parent.parent.parent / "examples" / "users"


def post(aws: Emulator, name: str) -> httpx2.Response:
    user = {"name": name, "email": f"{name}@example.com"}
    return httpx2.post(f"{aws.url}/users", json=user, timeout=60)


def names(aws: Emulator) -> list[str]:
    users = httpx2.get(f"{aws.url}/users?limit=1000", timeout=60).json()
    return [user["name"] for user in users]


def wait_asleep_or(aws: Emulator, seconds: float) -> None:
    del aws
    time.sleep(seconds)


FAULTS: dict[str, Callable[[Emulator], Any]] = {
    "a freeze longer than the idle timeout": lambda aws: wait_asleep_or(aws, 1.2),
    "a dropped connection": lambda aws: aws.do("aurora/drop"),
    "a restart": lambda aws: aws.do("aurora/restart"),
    "a failover": lambda aws: aws.do("aurora/failover"),
    "a refusal": lambda aws: aws.do("aurora/refuse"),
    "a pause": lambda aws: aws.do("aurora/pause"),
    "a rotation of the credentials": lambda aws: aws.do("credentials/rotate"),
    "a reaped instance": lambda aws: aws.do("instances/reap"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_request_is_answered_and_nothing_is_written_twice(
    emulate: Emulate, fault: str
) -> None:
    aws = emulate(
        USERS,
        aurora=AuroraOptions(resume_seconds=1),
        environ={"DB_IDLE_SESSION_TIMEOUT": "0.8"},
    )
    written = []
    for number in range(4):
        FAULTS[fault](aws)
        reply = post(aws, f"u{number}")
        assert reply.status_code == 201, reply.text
        written.append(f"u{number}")
    assert names(aws) == written


def test_a_write_whose_answer_was_lost_is_told_as_such_and_never_repeated(
    emulate: Emulate,
) -> None:
    aws = emulate(USERS)
    assert post(aws, "before").status_code == 201
    aws.aurora.faults.reset_next = True
    reply = post(aws, "lost")
    assert (reply.status_code, reply.json()["code"]) == (500, "connection_lost")
    assert "retry-after" not in reply.headers
    assert names(aws).count("lost") == 1  # it was executed; a repetition would be a conflict
    aws.aurora.faults.reset_next = True
    reply = httpx2.get(f"{aws.url}/users")
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    assert names(aws) == ["before", "lost"]


def test_a_read_only_server_is_told_as_such_until_it_is_over(emulate: Emulate) -> None:
    aws = emulate(USERS)
    aws.aurora.faults.read_only = True
    reply = post(aws, "a")
    assert (reply.status_code, reply.json()["code"]) == (503, "database_read_only")
    aws.aurora.faults.read_only = False
    assert post(aws, "a").status_code == 201


def test_revoked_credentials_are_a_503_and_a_log_line_with_the_causes(emulate: Emulate) -> None:
    aws = emulate(USERS)
    assert post(aws, "a").status_code == 201
    aws.do("credentials/revoke")
    assert post(aws, "b").status_code == 201  # sessions outlive their token
    aws.do("aurora/drop")
    reply = post(aws, "c")
    assert (reply.status_code, reply.json()["code"]) == (503, "token_refused")
    assert int(reply.headers["retry-after"]) > 0
    events = aws.timeline.events
    lines = "\n".join(each["line"] for each in events if each["kind"] == "log")
    assert "(5) the AWS credentials have expired or were revoked" in lines
    assert f"(5) signed with the credentials {aws.iam.current.id}" in lines
    assert {each["reason"] for each in events if each["kind"] == "refused"} == {
        "the credentials were revoked"
    }
    assert aws.iam.current.secret not in lines
    assert "X-Amz-Signature" not in lines
    # New credentials reach new instances, as on Lambda.
    aws.do("credentials/rotate")
    aws.do("instances/reap")
    assert post(aws, "c").status_code == 201


async def test_each_attempt_signs_a_token_of_its_own(
    emulate: Emulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that was kept would be refused an hour later, by Aurora's clock and ours."""
    aws = emulate()
    for name, value in aws.iam.current.environment().items():
        monkeypatch.setenv(name, value)
    db = Database(Settings.from_environment(aws.environ))
    async with db.connection() as connection:
        first = await connection.fetchval("select pg_backend_pid()")
    aws.do("aurora/drop")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    async with db.connection() as connection:
        assert await connection.fetchval("select pg_backend_pid()") != first
    aws.do("aurora/drop")
    monkeypatch.setattr("sunup.connecting.iam.time.time", lambda: now + 3600)
    await db.close()


async def test_a_role_without_rds_iam_is_refused_as_aurora_does(
    emulate: Emulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = emulate()
    for name, value in aws.iam.current.environment().items():
        monkeypatch.setenv(name, value)
    settings = replace(Settings.from_environment(aws.environ), user="nobody_known")
    db = Database(settings)
    with pytest.raises(TokenRefused, match='PAM authentication failed for user "nobody_known"'):
        async with db.connection():
            pass
    await db.close()


def test_a_burst_on_too_few_connections_hangs_nobody_and_recovers(emulate: Emulate) -> None:
    """300 requests, reserved concurrency 50, 20 connections."""
    aws = emulate(
        USERS,
        aurora=AuroraOptions(max_connections=20),
        functions=FunctionOptions(concurrency=50),
        environ={"DB_IDLE_SESSION_TIMEOUT": "2"},
    )

    def ask(number: int) -> tuple[int, bool, float]:
        began = time.monotonic()
        path = "/users" if number % 2 else "/health?deep=1"
        reply = httpx2.get(f"{aws.url}{path}", timeout=60)
        return reply.status_code, "retry-after" in reply.headers, time.monotonic() - began

    with ThreadPoolExecutor(100) as threads:
        replies = list(threads.map(ask, range(300)))
    seen = Counter(status for status, _, _ in replies)
    assert set(seen) <= {200, 429, 503}, seen
    assert seen[200] > 0
    assert all(retry for status, retry, _ in replies if status == 503)
    assert max(took for _, _, took in replies) < 35
    assert aws.aurora.places.most <= 20
    assert "too many clients" in str(aws.timeline.events), "the limit was never reached"
    time.sleep(2.5)  # idle sessions end
    for _ in range(5):
        assert ask(1)[0] == 200
    assert aws.state()["aurora"]["connections"] <= 20


def test_a_killed_instance_and_a_client_that_goes_leave_nothing_behind(emulate: Emulate) -> None:
    aws = emulate(USERS, aurora=AuroraOptions(resume_seconds=3))
    assert post(aws, "a").status_code == 201
    [instance] = aws.functions.instances
    aws.do("aurora/pause")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(post, aws, "b")
        until = time.monotonic() + 10
        while instance.state != "running" and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2)
        aws.run(aws.functions.kill(instance))
        assert waiting.result().status_code == 500
    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(f"{aws.url}/users", json={"name": "c", "email": "c@d"}, timeout=0.3)
    time.sleep(3.5)
    assert post(aws, "d").status_code == 201
    assert sorted(names(aws)) in (["a", "c", "d"], ["a", "d"])
    assert aws.state()["aurora"]["connections"] <= len(aws.functions.instances)
