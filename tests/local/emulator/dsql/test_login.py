"""Logging in to the emulated Aurora DSQL, and what who may not is told."""

import socket
import struct
import time
from typing import Any

import asyncpg
import httpx2
import psycopg
import pytest

from sunup.local.emulator import Emulator
from sunup.local.emulator.dsql import tokens
from sunup.local.emulator.tokens import AccessKey, Iam

from .clients import connect, connect_asyncpg, password, works


async def test_psycopg_and_asyncpg_log_in_as_admin_and_as_the_app(aws: Emulator) -> None:
    for user in ("admin", "app"):
        with connect(aws, user) as connection:
            found = connection.execute("select current_user, current_database()").fetchone()
            assert found == (user, "postgres")
            assert connection.info.server_version == 160015
        other = await connect_asyncpg(aws, user)
        assert await other.fetchval("select version()") == "PostgreSQL 16"
        await other.close()


def test_a_function_s_variables_are_those_of_dsql(aws: Emulator) -> None:
    named = {name: value for name, value in aws.environ.items() if name.startswith("DB_")}
    assert named["DB_ENGINE"] == "dsql"
    assert (named["DB_USER"], named["DB_NAME"]) == ("app", "postgres")
    assert aws.admin_environ["DB_USER"] == "admin"


def test_the_console_makes_passwords_and_tells_the_state(aws: Emulator) -> None:
    made = httpx2.get(f"{aws.console_url}/password?user=admin").text
    with connect(aws, password=made) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
        state = httpx2.get(f"{aws.console_url}/state").json()["aurora"]
        assert (state["status"], state["connections"]) == ("ACTIVE", 1)
        assert state["max_connections"] == 10_000


def test_tls_may_begin_without_asking(aws: Emulator) -> None:
    if psycopg.pq.version() < 170000:
        pytest.skip("libpq knows it from 17 on")
    with connect(aws, sslnegotiation="direct") as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def refusal(aws: Emulator, user: str = "admin", **changes: Any) -> str:
    with pytest.raises(psycopg.OperationalError) as caught:
        connect(aws, user, **changes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("user", "token", "hint"),
    [
        ("admin", {"user": "app"}, "Wrong user to action mapping. user: admin, action: DbConnect"),
        ("app", {"user": "admin"}, "Wrong user to action mapping. user: app, action: DbConnectAdmin"),
        ("admin", {"now": time.time() - 1000}, "Signature expired: "),
        ("admin", {"region": "us-east-1"}, "Credential should be scoped to a valid region"),
        ("admin", {"host": "other"}, "The token is not one for this host"),
    ],
)  # fmt: skip
def test_a_wrong_token_is_refused_with_the_reason_in_the_hint(
    aws: Emulator, user: str, token: dict[str, Any], hint: str
) -> None:
    said = refusal(aws, user, password=password(aws, **{"user": user, **token}))
    assert "FATAL:  unable to accept connection, access denied" in said
    assert f"HINT:  {hint}" in said
    assert works(aws)


async def test_a_refusal_s_sqlstate_is_08006(aws: Emulator) -> None:
    aws.do("credentials/revoke")
    with pytest.raises(asyncpg.PostgresError) as caught:
        await connect_asyncpg(aws)
    assert caught.value.sqlstate == "08006"
    assert "revoked" in str(caught.value.as_dict()["hint"])
    aws.do("credentials/rotate")
    assert works(aws)


def test_without_tls_or_without_a_server_name_nobody_gets_in(aws: Emulator) -> None:
    assert "unable to accept connection, a secure" in refusal(aws, sslmode="disable")
    said = refusal(aws, host="127.0.0.1")  # libpq names no address
    assert "unable to accept connection, sni was not received" in said
    with connect(aws, host="127.0.0.1", options="-c amzn-cluster-id=abc") as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("name", ["statement_timeout", "idle_session_timeout", "role"])
def test_a_setting_that_dsql_does_not_take_makes_the_connect_fail(aws: Emulator, name: str) -> None:
    said = refusal(aws, options=f"-c {name}=5")
    assert f'setting configuration parameter "{name}" not supported' in said
    accepted = "-c TimeZone=Europe/Rome -c DateStyle=German -c search_path=public"
    with connect(aws, options=accepted, application_name="me") as connection:
        assert connection.execute("show timezone").fetchone() == ("Europe/Rome",)


def test_another_database_is_refused(aws: Emulator) -> None:
    assert 'database "app" does not exist' in refusal(aws, dbname="app")


def test_a_role_needs_an_iam_grant_to_the_caller_s_arn(aws: Emulator) -> None:
    arn = aws.options.dsql.caller
    with connect(aws) as admin:
        admin.execute("create role teller with login")
        assert f"User: {arn} is not authorized to perform: dsql:DbConnect" in refusal(aws, "teller")
        done = admin.execute(f"AWS IAM GRANT teller TO '{arn}'".encode())
        assert done.statusmessage == "AWS IAM GRANT"
        mapped = "select arn from sys.iam_pg_role_mappings where pg_role_name = 'teller'"
        assert admin.execute(mapped.encode()).fetchall() == [(arn,)]
        with connect(aws, "teller") as teller, pytest.raises(psycopg.errors.InsufficientPrivilege):
            teller.execute(f"AWS IAM GRANT teller TO '{arn}'".encode())
        admin.execute(f"AWS IAM REVOKE teller FROM '{arn}'".encode())
        assert "is not authorized" in refusal(aws, "teller")
        admin.execute("drop role teller")


def test_a_cancel_request_has_no_effect(aws: Emulator) -> None:
    with connect(aws) as connection:
        with socket.create_connection(("127.0.0.1", aws.dsql.port)) as line:
            line.sendall(struct.pack("!IIII", 16, 80877102, 1, 1))
            assert line.recv(1) == b""
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_token_is_good_for_up_to_a_week_and_as_long_as_its_key() -> None:
    iam, now = Iam(), time.time()
    place = {"host": "localhost", "user": "admin", "region": "eu-central-1"}

    def made(key: AccessKey, expires: int) -> str:
        from botocore.auth import SigV4QueryAuth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        request = AWSRequest("GET", "https://localhost/?Action=DbConnectAdmin")
        signer = Credentials(key.id, key.secret, key.session_token)
        SigV4QueryAuth(signer, "dsql", "eu-central-1", expires).add_auth(request)
        return str(request.url).removeprefix("https://")

    week = made(iam.current, 604_800)
    assert tokens.refusal(iam, week, now=now + 604_000, **place) is None
    assert "Signature expired" in str(tokens.refusal(iam, week, now=now + 605_000, **place))
    assert "X-Amz-Expires" in str(tokens.refusal(iam, made(iam.current, 604_801), now=now, **place))
    iam.current.expires = now + 60
    assert "have expired" in str(tokens.refusal(iam, week, now=now + 61, **place))
