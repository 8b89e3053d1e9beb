import calendar
import re
import subprocess
import sys
import time
from typing import Any

import botocore.session
from botocore.signers import generate_db_auth_token
from hypothesis import given, settings
from hypothesis import strategies as st

from sunup.connecting.credentials import Credentials
from sunup.connecting.iam import auth_token, dsql_token

clients: dict[tuple[str, str], Any] = {}


def client_of(service: str, region: str, signer: Credentials) -> Any:
    if (service, region) not in clients:
        clients[service, region] = botocore.session.Session().create_client(
            service, region_name=region, aws_access_key_id="x", aws_secret_access_key="x"
        )
    client = clients[service, region]
    client._request_signer._credentials = botocore.credentials.Credentials(
        signer.access_key, signer.secret_key, signer.session_token
    )
    return client


def botocore_token(host: str, port: int, user: str, region: str, signer: Credentials) -> str:
    client = client_of("rds", region, signer)
    token: str = generate_db_auth_token(client, host, port, user, Region=region)
    return token


def moment_of(token: str) -> int:
    stamp = re.search(r"X-Amz-Date=(\w+)", token)
    assert stamp is not None
    return calendar.timegm(time.strptime(stamp[1], "%Y%m%dT%H%M%SZ"))


keys = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@settings(deadline=None, max_examples=400)
@given(
    host=st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,20}(\.[a-zA-Z0-9-]{1,20}){1,4}", fullmatch=True),
    port=st.one_of(st.integers(1, 65535), st.sampled_from([80, 443, 5432])),
    user=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=63),
    region=st.sampled_from(["us-east-1", "eu-central-1", "ap-northeast-1"]),
    access_key=st.from_regex(r"[A-Z0-9]{16,20}", fullmatch=True),
    secret_key=keys,
    session_token=st.one_of(st.none(), keys, st.text(min_size=0, max_size=10).filter(str.isascii)),
)
def test_a_token_equals_botocore_s_byte_for_byte(
    host: str,
    port: int,
    user: str,
    region: str,
    access_key: str,
    secret_key: str,
    session_token: str | None,
) -> None:
    signer = Credentials(access_key, secret_key, session_token)
    expected = botocore_token(host, port, user, region, signer)
    token = auth_token(
        host=host,
        port=port,
        user=user,
        region=region,
        credentials=signer,
        now=moment_of(expected),
    )
    assert token == expected


@settings(deadline=None, max_examples=2000)
@given(
    host=st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,20}(\.[a-zA-Z0-9-]{1,20}){1,4}", fullmatch=True),
    user=st.one_of(st.just("admin"), st.text(st.characters(exclude_categories=["Cs"]))),
    region=st.sampled_from(["us-east-1", "eu-central-1", "ap-northeast-1"]),
    access_key=st.from_regex(r"[A-Z0-9]{16,20}", fullmatch=True),
    secret_key=keys,
    session_token=st.one_of(st.none(), keys, st.text(min_size=0, max_size=10).filter(str.isascii)),
)
def test_a_token_for_aurora_dsql_equals_botocore_s_byte_for_byte(
    host: str,
    user: str,
    region: str,
    access_key: str,
    secret_key: str,
    session_token: str | None,
) -> None:
    signer = Credentials(access_key, secret_key, session_token)
    client = client_of("dsql", region, signer)
    if user == "admin":
        expected = client.generate_db_connect_admin_auth_token(host, region)
    else:
        expected = client.generate_db_connect_auth_token(host, region)
    now = moment_of(expected)
    made = dsql_token(host=host, user=user, region=region, credentials=signer, now=now)
    assert made == expected


def test_a_token_is_signed_in_under_a_millisecond() -> None:
    signer = Credentials("AKIDEXAMPLE", "secret", "t" * 1000)
    times = []
    for _ in range(50):
        began = time.perf_counter()
        auth_token(host="h.example.com", port=5432, user="u", region="r", credentials=signer)
        times.append(time.perf_counter() - began)
    assert sorted(times)[len(times) // 2] < 0.001


def test_signing_needs_no_sdk() -> None:
    code = "import sys, sunup.connecting.iam; assert not {'boto3', 'botocore'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_credentials_show_no_secret() -> None:
    shown = repr(Credentials("AKID", "geheim", "token-geheim"))
    assert "AKID" in shown
    assert "geheim" not in shown
