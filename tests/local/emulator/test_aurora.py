"""The emulated Aurora as its clients see it."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import asyncpg
import pg8000.native
import psycopg
import pytest
import sqlalchemy

from sunup.connecting.credentials import Credentials
from sunup.connecting.iam import auth_token
from sunup.local.capacity import connection_limit
from sunup.local.emulator import AuroraOptions, Emulator
from sunup.local.testing import Emulate
from tests.processes import IN_CI


def password(aws: Emulator, user: str = "app") -> str:
    key = aws.iam.current
    return auth_token(
        host="localhost",
        port=aws.aurora.port,
        user=user,
        region="eu-central-1",
        credentials=Credentials(key.id, key.secret, key.session_token),
    )


def arguments(aws: Emulator, **changes: Any) -> dict[str, Any]:
    return {
        "host": "localhost",
        "port": aws.aurora.port,
        "user": "app",
        "password": password(aws),
        "dbname": aws.environ["DB_NAME"],
        "sslmode": "verify-full",
        "sslrootcert": aws.environ["DB_SSLROOTCERT"],
        **changes,
    }


def wait_until_nobody_is_connected(aws: Emulator) -> None:
    """A client that has closed is noticed a moment later."""
    end = time.monotonic() + 5
    while aws.state()["aurora"]["connections"] and time.monotonic() < end:
        time.sleep(0.01)
    assert aws.state()["aurora"]["connections"] == 0


def test_psycopg_asyncpg_pg8000_and_sqlalchemy_talk_to_it(emulate: Emulate) -> None:
    aws = emulate()
    root = aws.environ["DB_SSLROOTCERT"]
    with psycopg.connect(**arguments(aws)) as connection:
        assert connection.execute("select current_user").fetchone() == ("app",)
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(**arguments(aws))
    )
    with engine.connect() as connected:
        assert connected.execute(sqlalchemy.text("select 1")).scalar() == 1
    engine.dispose()
    context = ssl.create_default_context(cafile=root)

    async def by_asyncpg() -> Any:
        connection = await asyncpg.connect(
            host="localhost",
            port=aws.aurora.port,
            user="app",
            password=password(aws),
            database=aws.environ["DB_NAME"],
            ssl=context,
        )
        value = await connection.fetchval("select current_user")
        await connection.close()
        return value

    assert asyncio.run(by_asyncpg()) == "app"
    native = pg8000.native.Connection(
        "app",
        host="localhost",
        port=aws.aurora.port,
        password=password(aws),
        database=aws.environ["DB_NAME"],
        ssl_context=context,
    )
    assert native.run("select current_user") == [["app"]]
    native.close()


def psql(aws: Emulator, **environ: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("psql")
    if program is None:
        # CI installs one (.ci/run): there a missing psql is a failure, not a skip.
        assert not IN_CI, "CI has no psql"
        pytest.skip("needs a psql with TLS: apt install postgresql-client")
    place = f"host=localhost port={aws.aurora.port} user=app dbname={aws.environ['DB_NAME']}"
    return subprocess.run(
        [program, place, "-Atc", "select current_user"],
        env={"PATH": os.environ["PATH"], "PGPASSWORD": password(aws), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_psql_talks_to_it_with_verify_full_and_not_without_tls(emulate: Emulate) -> None:
    aws = emulate()
    root = aws.environ["DB_SSLROOTCERT"]
    assert psql(aws, PGSSLMODE="verify-full", PGSSLROOTCERT=root).stdout == "app\n"
    plain = psql(aws, PGSSLMODE="disable", PGHOSTADDR="127.0.0.1").stderr
    assert 'no pg_hba.conf entry for host "127.0.0.1", user "app"' in plain
    assert "no encryption" in plain


def test_it_can_be_slow(emulate: Emulate) -> None:
    aws = emulate()
    with psycopg.connect(**arguments(aws)) as connection:
        aws.aurora.faults.delay = 0.3
        began = time.monotonic()
        connection.execute("select 1")
        assert time.monotonic() - began >= 0.3


def test_refusals_have_aurora_s_words_and_states(emulate: Emulate) -> None:
    aws = emulate(aurora=AuroraOptions(max_connections=1))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"password": "no token"}, 'PAM authentication failed for user "app"'),
        ({"password": password(aws, "x")}, 'PAM authentication failed for user "app"'),
        ({"sslmode": "disable"}, "no pg_hba.conf entry for host"),
    ]
    for changes, words in cases:
        with pytest.raises(psycopg.OperationalError, match=words):
            psycopg.connect(**arguments(aws, **changes))
    with (
        psycopg.connect(**arguments(aws)),
        pytest.raises(psycopg.OperationalError, match="sorry, too many clients already"),
    ):
        psycopg.connect(**arguments(aws))

    async def state_of_asyncpg() -> str | None:
        context = ssl.create_default_context(cafile=aws.environ["DB_SSLROOTCERT"])
        try:
            await asyncpg.connect(
                host="localhost",
                port=aws.aurora.port,
                user="app",
                password="x",
                database="postgres",
                ssl=context,
            )
        except asyncpg.PostgresError as error:
            return error.sqlstate
        return None

    wait_until_nobody_is_connected(aws)
    assert asyncio.run(state_of_asyncpg()) == "28000"


def test_a_certificate_for_another_name_or_from_elsewhere_is_not_accepted(
    emulate: Emulate, tmp_path: Path
) -> None:
    from sunup.connecting.tls import ROOTS

    aws = emulate()
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(**arguments(aws, sslrootcert=ROOTS))
    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        psycopg.connect(**arguments(aws, host="elsewhere", hostaddr="127.0.0.1"))


def test_even_a_brief_session_keeps_it_awake(emulate: Emulate) -> None:
    aws = emulate(aurora=AuroraOptions(pause_after=0.8))
    for _ in range(12):
        psycopg.connect(**arguments(aws)).close()
        time.sleep(0.2)
    states = [each["state"] for each in aws.timeline.events if each["kind"] == "aurora"]
    assert set(states) <= {"awake"}


def test_it_pauses_when_nobody_is_connected_and_counts_what_is_billed(emulate: Emulate) -> None:
    aws = emulate(aurora=AuroraOptions(pause_after=0.4, resume_seconds=0.3))
    with psycopg.connect(**arguments(aws)) as connection:
        time.sleep(1)
        assert aws.state()["aurora"]["state"] == "awake"
        connection.execute("select 1")
    time.sleep(1)
    assert aws.state()["aurora"]["state"] == "asleep"
    billed = aws.state()["aurora"]["awake_seconds"]
    time.sleep(0.3)
    assert aws.state()["aurora"]["awake_seconds"] == billed
    began = time.monotonic()
    psycopg.connect(**arguments(aws)).close()
    assert 0.25 < time.monotonic() - began < 1
    states = [each["state"] for each in aws.timeline.events if each["kind"] == "aurora"]
    assert states == ["awake", "pausing", "asleep", "resuming", "awake"]


def test_its_options_can_be_changed_while_it_runs(emulate: Emulate) -> None:
    aws = emulate(aurora=AuroraOptions(pause_after=60, resume_seconds=60))
    port = aws.aurora.port
    aws.do("aurora/pause")
    aws.aurora.change(resume_seconds=0.3, hang_at="tcp", pause_after=0.2)
    began = time.monotonic()
    psycopg.connect(**arguments(aws)).close()
    assert 0.3 <= time.monotonic() - began < 2
    time.sleep(1)
    assert aws.state()["aurora"]["state"] == "asleep"
    psycopg.connect(**arguments(aws)).close()
    assert aws.aurora.port == port


def test_after_a_long_sleep_it_takes_longer(emulate: Emulate) -> None:
    options = AuroraOptions(resume_seconds=0.1, deep_sleep_after=0.5, deep_resume_seconds=0.8)
    aws = emulate(aurora=options)
    for sleep, low, high in ((0.1, 0.05, 0.5), (0.7, 0.75, 1.5)):
        aws.do("aurora/pause")
        time.sleep(sleep)
        began = time.monotonic()
        psycopg.connect(**arguments(aws)).close()
        assert low < time.monotonic() - began < high


def test_a_refused_attempt_wakes_it_too(emulate: Emulate) -> None:
    aws = emulate(aurora=AuroraOptions(resume_seconds=0.2))
    aws.do("aurora/pause")
    with pytest.raises(psycopg.OperationalError, match="PAM"):
        psycopg.connect(**arguments(aws, password="x"))
    assert aws.state()["aurora"]["state"] == "awake"


def test_a_session_outlives_its_credentials(emulate: Emulate) -> None:
    aws = emulate()
    with psycopg.connect(**arguments(aws)) as connection:
        aws.do("credentials/revoke")
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_restart_says_so(emulate: Emulate) -> None:
    aws = emulate()
    connection = psycopg.connect(**arguments(aws))
    aws.do("aurora/restart")
    with pytest.raises(psycopg.OperationalError, match="terminating connection due to"):
        connection.execute("select 1")
    connection.close()
    with pytest.raises(psycopg.OperationalError, match="the database system is starting up"):
        psycopg.connect(**arguments(aws))
    time.sleep(1.1)
    psycopg.connect(**arguments(aws)).close()


def test_refused_means_that_nobody_listens_and_the_port_stays(emulate: Emulate) -> None:
    aws = emulate()
    port = aws.aurora.port
    aws.run(aws.aurora.faults.refuse(0.5))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2)
    time.sleep(0.7)
    psycopg.connect(**arguments(aws)).close()
    assert aws.aurora.port == port


def test_a_statement_can_be_cancelled_through_it(emulate: Emulate) -> None:
    aws = emulate()
    with psycopg.connect(**arguments(aws)) as connection:
        import threading

        threading.Timer(0.3, connection.cancel_safe).start()
        began = time.monotonic()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select pg_sleep(20)")
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "garbage", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\1\0\0\0\0", b"\xff" * 64]
)
def test_strangers_do_no_harm(emulate: Emulate, garbage: bytes) -> None:
    aws = emulate()
    with socket.create_connection(("127.0.0.1", aws.aurora.port), timeout=5) as stranger:
        stranger.sendall(garbage)
        stranger.shutdown(socket.SHUT_WR)
        stranger.recv(1000)
    psycopg.connect(**arguments(aws)).close()
    wait_until_nobody_is_connected(aws)


@pytest.mark.parametrize(
    ("acu", "limit"), [(1, 189), (4, 823), (8, 1669), (16, 2000), (0.5, 189), (128, 2000)]
)
def test_the_limit_follows_the_maximum_acu(acu: float, limit: int) -> None:
    assert connection_limit(acu) == limit


def test_a_pause_ends_the_resume_that_was_under_way(emulate: Emulate) -> None:
    aws = emulate(aurora=AuroraOptions(resume_seconds=0.6))
    for action in ("pause", "resume", "pause"):
        aws.do(f"aurora/{action}")
    time.sleep(1)
    assert aws.state()["aurora"]["state"] == "asleep"
    psycopg.connect(**arguments(aws)).close()


def test_nobody_listens_until_the_last_of_two_faults_is_over(emulate: Emulate) -> None:
    aws = emulate()
    aws.run(aws.aurora.faults.refuse(1.2))
    aws.run(aws.aurora.faults.failover(0.2))
    time.sleep(0.6)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", aws.aurora.port), timeout=2)
    time.sleep(0.9)
    psycopg.connect(**arguments(aws)).close()
