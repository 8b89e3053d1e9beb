"""Logging in to the emulated Aurora, byte by byte, and what a stranger gets."""

import re
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx2
import psycopg
import pytest

from sunup.local.emulator import AuroraOptions, Emulator, EmulatorOptions
from sunup.local.testing import Emulate

from .test_aurora import arguments, password, wait_until_nobody_is_connected

ASK_FOR_TLS = struct.pack("!II", 8, 80877103)


def startup(code: int = 196608, **parameters: str) -> bytes:
    body = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items()) + b"\0"
    return struct.pack("!II", len(body) + 8, code) + body


@contextmanager
def plain(aws: Emulator, address: str = "127.0.0.1") -> Iterator[socket.socket]:
    with socket.create_connection((address, aws.aurora.port), timeout=5) as made:
        yield made


@contextmanager
def secured(aws: Emulator, **options: Any) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=aws.environ["DB_SSLROOTCERT"])
    if protocols := options.get("alpn"):
        context.set_alpn_protocols(protocols)
    with plain(aws) as made:
        if not options.get("direct"):
            made.sendall(ASK_FOR_TLS)
            assert made.recv(1) == b"S"
        with context.wrap_socket(made, server_hostname="localhost") as line:
            yield line


def everything(line: socket.socket) -> bytes:
    received = b""
    with suppress(ConnectionResetError):
        while part := line.recv(65536):
            received += part
    return received


def fields(message: bytes) -> dict[str, str]:
    """Of an error response."""
    assert message[:1] == b"E", message
    return {each[:1]: each[1:] for each in message[5:].decode().split("\0") if each}


def works(aws: Emulator) -> bool:
    """The request after: a plain session."""
    with psycopg.connect(**arguments(aws)) as connection:
        done = connection.execute("select 1").fetchone() == (1,)
    wait_until_nobody_is_connected(aws)
    return done


@pytest.mark.parametrize("stage", ["nothing", "TLS", "start-up"])
def test_a_login_that_is_not_finished_ends_and_lets_it_sleep(emulate: Emulate, stage: str) -> None:
    aws = emulate(
        aurora=AuroraOptions(authentication_timeout=0.5, pause_after=0.3, resume_seconds=0)
    )
    opened = secured(aws) if stage == "start-up" else plain(aws)
    with opened as line:
        if stage == "TLS":
            line.sendall(ASK_FOR_TLS)
            assert line.recv(1) == b"S"
        if stage == "start-up":
            line.sendall(startup(user="app", database=aws.environ["DB_NAME"]))
            assert line.recv(9)[:1] == b"R"
        began = time.monotonic()
        ended = everything(line)
        assert 0.3 < time.monotonic() - began < 2
        if stage == "start-up":
            assert fields(ended)["C"] == "57014"
            assert fields(ended)["M"] == "canceling authentication due to timeout"
        else:
            assert not ended
        time.sleep(1)
        assert aws.state()["aurora"]["state"] == "asleep"
    assert works(aws)


def test_the_time_of_a_login_counts_from_the_awakening(emulate: Emulate) -> None:
    aws = emulate(aurora=AuroraOptions(authentication_timeout=0.5, resume_seconds=1.2))
    aws.do("aurora/pause")
    began = time.monotonic()
    assert works(aws)
    assert time.monotonic() - began > 1.1


def test_max_connections_is_aurora_s_and_reached() -> None:
    with Emulator(None, EmulatorOptions(aurora=AuroraOptions(max_acu=1))) as aws:
        fill(aws)


def fill(aws: Emulator) -> None:
    made = [psycopg.connect(**arguments(aws))]
    assert made[0].execute("show max_connections").fetchone() == ("189",)
    made += [psycopg.connect(**arguments(aws)) for _ in range(188)]
    with pytest.raises(psycopg.OperationalError, match="sorry, too many clients already"):
        psycopg.connect(**arguments(aws))
    for each in made:
        each.close()
    wait_until_nobody_is_connected(aws)
    assert works(aws)


def test_a_session_sees_that_it_is_encrypted(emulate: Emulate) -> None:
    aws = emulate()
    with psycopg.connect(**arguments(aws)) as connection, psycopg.connect(**arguments(aws)):
        connection.execute("reset all")
        rows = connection.execute(
            "select ssl, version, cipher, bits from pg_stat_ssl where pid = pg_backend_pid()"
        ).fetchall()
        assert rows[0][:2] == (True, "TLSv1.3")
        assert re.fullmatch(r"TLS_\w+", rows[0][2])
        assert rows[0][3] in (128, 256)
        # Other tests' sessions may be on the same server.
        everybody = connection.execute("select count(*) >= 2, bool_and(ssl) from pg_stat_ssl")
        assert everybody.fetchone() == (True, True)


def test_replication_by_token_is_off_unless_granted(emulate: Emulate) -> None:
    options = ("true", "no pg_hba.conf entry for replication connection"), ("database", "no pg_hba")
    aws = emulate()
    for value, words in options:
        with pytest.raises(psycopg.OperationalError, match=words):
            psycopg.connect(**arguments(aws, replication=value))
    with psycopg.connect(**arguments(aws, replication="false")) as connection:
        connection.execute("select 1")
    granted = emulate(aurora=AuroraOptions(iam_auth_for_replication=True))
    # The role has no right to replicate: PostgreSQL itself says so.
    with pytest.raises(psycopg.OperationalError, match="permission denied to start WAL sender"):
        psycopg.connect(**arguments(granted, replication="true"))
    assert works(granted)


def test_a_newer_protocol_is_negotiated_down_to_3_0(emulate: Emulate) -> None:
    """As PostgreSQL 17: message NegotiateProtocolVersion, before the password is asked for."""
    aws = emulate()
    name = aws.environ["DB_NAME"]
    for code, options, told in (
        (196610, {}, []),
        (196608 + 9999, {"_pq_.test_protocol_negotiation": ""}, ["_pq_.test_protocol_negotiation"]),
        (196608, {"_pq_.x": "1"}, ["_pq_.x"]),
    ):
        with secured(aws) as line:
            line.sendall(startup(code, user="app", database=name, **options))
            head = line.recv(5)
            assert head[:1] == b"v"
            rest = line.recv(int.from_bytes(head[1:], "big") - 4)
            assert struct.unpack("!II", rest[:8]) == (196608, len(told))
            assert rest[8:].decode().split("\0")[:-1] == told
            assert line.recv(9) == b"R\0\0\0\x08\0\0\0\x03"
            token = password(aws).encode() + b"\0"
            line.sendall(b"p" + (len(token) + 4).to_bytes(4, "big") + token)
            assert line.recv(9) == b"R\0\0\0\x08\0\0\0\0"
    with secured(aws) as line:
        line.sendall(startup(0x40000, user="app"))
        assert fields(everything(line))["M"].startswith("unsupported frontend protocol 4.0")
    assert works(aws)


def test_what_is_stuffed_behind_the_request_for_tls_is_refused(emulate: Emulate) -> None:
    """CVE-2021-23214: it must never be taken for what came through TLS."""
    aws = emulate()
    with plain(aws) as line:
        line.sendall(ASK_FOR_TLS + startup(user="app", database="postgres"))
        assert everything(line)[:1] == b"S"
    assert any("no TLS" in each.get("reason", "") for each in aws.timeline.events)
    assert works(aws)


def test_direct_tls_is_a_switch(emulate: Emulate) -> None:
    aws = emulate(aurora=AuroraOptions(direct_tls=True))
    with secured(aws, direct=True, alpn=["postgresql"]) as line:
        line.sendall(startup(user="app", database=aws.environ["DB_NAME"]))
        assert line.recv(9) == b"R\0\0\0\x08\0\0\0\x03"
    with secured(aws, direct=True) as line:
        line.sendall(startup(user="app"))
        assert everything(line) == b""  # without the protocol's name
    assert works(aws)
    without = emulate()
    with (
        pytest.raises((ssl.SSLError, ConnectionError)),
        secured(without, direct=True, alpn=["postgresql"]),
    ):
        pass
    assert works(without)


def test_it_listens_on_ipv6_s_loopback_too(emulate: Emulate) -> None:
    aws = emulate()
    try:
        with plain(aws, "::1"):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    with psycopg.connect(**arguments(aws, hostaddr="::1")) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match=r'no pg_hba\.conf entry for host "::1"'):
        psycopg.connect(**arguments(aws, hostaddr="::1", sslmode="disable"))


@pytest.mark.parametrize(
    "user",
    ["a" * 64, "ä" * 40, "nobody", 'x"y', "x'y", "%s", "\t"],
)
def test_any_user_is_refused_in_words(emulate: Emulate, user: str) -> None:
    aws = emulate()
    for secret in (password(aws, user), password(aws), "x", "%C3%A9"):
        with pytest.raises(psycopg.OperationalError, match="PAM authentication failed for user"):
            psycopg.connect(**arguments(aws, user=user, password=secret))
    assert works(aws)


@pytest.mark.parametrize("user", [b"\xff\xfe", b"a\xc3"])
@pytest.mark.parametrize("signature", [b"%C3%A9", b"\xc3\xa9", b"\xff" * 64])
def test_any_bytes_are_refused_in_words(emulate: Emulate, user: bytes, signature: bytes) -> None:
    aws = emulate()
    start, _, _ = password(aws).encode().partition(b"&X-Amz-Signature=")
    token = start + b"&X-Amz-Signature=" + signature + b"\0"
    with secured(aws) as line:
        body = b"user\0" + user + b"\0database\0postgres\0\0"
        line.sendall(struct.pack("!II", len(body) + 8, 196608) + body)
        assert line.recv(9)[:1] == b"R"
        line.sendall(b"p" + (len(token) + 4).to_bytes(4, "big") + token)
        answer = everything(line)
        assert b"C28000\0" in answer
        assert user in answer
    assert works(aws)
    # The console tells it, though its bytes are no text.
    told = httpx2.get(f"{aws.console_url}/state").json()["events"]
    assert any("?" in each.get("user", "") for each in told)


def test_nobody_by_name_is_refused(emulate: Emulate) -> None:
    aws = emulate()
    with secured(aws) as line:
        line.sendall(startup(database="postgres"))
        assert fields(everything(line))["M"].startswith("no PostgreSQL user name specified")
    assert works(aws)


def test_a_client_of_the_web_is_told_apart_on_the_timeline(emulate: Emulate) -> None:
    aws = emulate()
    with plain(aws) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert everything(line) == b""
    reasons = [each["reason"] for each in aws.timeline.events if each["kind"] == "refused"]
    assert reasons == ["no PostgreSQL client: invalid length of startup packet: 1195725856"]
    assert works(aws)


def test_large_results_and_large_statements_pass_through(emulate: Emulate) -> None:
    aws = emulate()
    text = "ä" * 3_000_000
    with psycopg.connect(**arguments(aws)) as connection:
        row = connection.execute("select %s, repeat('x', 5000000)", (text,)).fetchone()
        assert row == (text, "x" * 5_000_000)
        with (
            connection.cursor() as cursor,
            cursor.copy("copy (select generate_series(1, 300000)) to stdout") as copy,
        ):
            time.sleep(0.3)  # what is not read fills the buffers
            assert sum(len(bytes(each).split()) for each in copy) == 300_000
    assert works(aws)


def test_the_owner_may_end_all_sessions_and_everybody_logs_in_again(emulate: Emulate) -> None:
    """As psql scripts and test suites do before they drop a database."""
    aws = emulate()
    end_all = """select pg_terminate_backend(pid) from pg_stat_activity
        where backend_type in ('client backend', 'walsender') and pid <> pg_backend_pid()
        and (backend_type = 'walsender' or datname = current_database())"""
    owner = arguments(aws, user="postgres", password=password(aws, "postgres"))
    for _ in range(2):
        with psycopg.connect(**owner) as connection:
            connection.execute(end_all)
        assert works(aws)
