import json
import socket
import struct
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sunup.connecting import credentials
from sunup.connecting.credentials import CredentialSource, from_environment
from sunup.failures import CredentialsMissing


@contextmanager
def endpoint(status: int, body: bytes, seen: list[str | None]) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/credentials"
        finally:
            server.shutdown()
            thread.join()


def answer(expires: float) -> bytes:
    moment = datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps(
        {
            "AccessKeyId": "AKID",
            "SecretAccessKey": "secret",
            "Token": "token",
            "Expiration": moment,
        }
    ).encode()


def test_the_environment_comes_first() -> None:
    source = CredentialSource(
        {
            "AWS_ACCESS_KEY_ID": "AKID",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_SESSION_TOKEN": "token",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/never-asked",
        }
    )
    found = source.ready()
    assert found is not None
    assert (found.access_key, found.secret_key, found.session_token) == ("AKID", "secret", "token")
    assert source.find() == found


def test_half_a_key_in_the_environment_is_none() -> None:
    assert from_environment({"AWS_ACCESS_KEY_ID": "AKID"}) is None


def test_rotated_variables_are_seen() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "OLD", "AWS_SECRET_ACCESS_KEY": "s"}
    source = CredentialSource(environ)
    assert source.find().access_key == "OLD"
    environ["AWS_ACCESS_KEY_ID"] = "NEW"
    assert source.find().access_key == "NEW"


def test_snapstart_s_endpoint_is_asked_once_and_again_before_the_expiry() -> None:
    seen: list[str | None] = []
    with endpoint(200, answer(time.time() + 3600), seen) as uri:
        environ = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": uri,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "let me in",
        }
        source = CredentialSource(environ)
        assert source.ready() is None
        assert source.find().session_token == "token"
        assert source.ready() == source.find()
    assert seen == ["let me in"]
    with endpoint(200, answer(time.time() + 60), seen) as uri:
        source = CredentialSource({"AWS_CONTAINER_CREDENTIALS_FULL_URI": uri})
        source.find()
        source.find()
    assert len(seen) == 3


def test_the_authorization_token_may_be_in_a_file(tmp_path: Path) -> None:
    seen: list[str | None] = []
    (tmp_path / "token").write_text("from the file\n")
    with endpoint(200, answer(time.time() + 3600), seen) as uri:
        CredentialSource(
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": uri,
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
            }
        ).find()
    assert seen == ["from the file"]


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (403, b"secret reason", "HTTP 403"),
        (200, b'{"SecretAccessKey": "geheim"', "not in the expected format"),
        (200, b'["geheim"]', "not in the expected format"),
        (200, b'{"SecretAccessKey": "geheim"}', "not in the expected format"),
    ],
)
def test_a_bad_answer_is_told_without_its_content(status: int, body: bytes, says: str) -> None:
    with endpoint(status, body, []) as uri, pytest.raises(CredentialsMissing) as raised:
        CredentialSource({"AWS_CONTAINER_CREDENTIALS_FULL_URI": uri}).find()
    assert says in str(raised.value)
    assert "geheim" not in str(raised.value)
    assert "secret reason" not in str(raised.value)


GOOD = answer(4e9)
SECRET = b'{"SecretAccessKey": "geheim"'


def http(status: str, body: bytes, *, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n\r\n".encode() + body


@contextmanager
def scripted(*answers: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """An endpoint that answers each connection with the next bytes; None: it resets it."""
    seen: list[bytes] = []

    def serve() -> None:
        for each in answers:
            client, _ = server.accept()
            with client:
                seen.append(client.recv(65536))
                if each is None:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    client.sendall(each)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/credentials", seen
        finally:
            thread.join()


@pytest.mark.parametrize(
    "first",
    [
        None,
        b"",
        b"SecretAccessKey geheim",
        http("429 Slow Down", b"geheim"),
        http("500 Oops", b"geheim"),
        http("503 Later", b"geheim"),
        http("200 OK", SECRET, length=500),
        b"HTTP/1.0 200 OK\r\n\r\n" + SECRET,
    ],
)
def test_what_may_pass_in_a_moment_is_tried_once_more(first: bytes | None) -> None:
    with scripted(first, http("200 OK", GOOD)) as (uri, seen):
        environ = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": uri + "?a=b",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "let me in",
        }
        assert CredentialSource(environ).find().session_token == "token"
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert seen[0].startswith(b"GET /credentials?a=b ")
    assert b"let me in" in seen[0]
    with scripted(first, first) as (uri, seen), pytest.raises(CredentialsMissing) as raised:
        CredentialSource({"AWS_CONTAINER_CREDENTIALS_FULL_URI": uri}).find()
    assert len(seen) == 2
    assert str(raised.value.detail).endswith(", twice")
    assert "geheim" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("status", ["301 Elsewhere", "400 No", "401 No", "403 No", "404 No"])
def test_a_refusal_is_final(status: str) -> None:
    with (
        scripted(http(status, b"geheim")) as (uri, seen),
        pytest.raises(CredentialsMissing) as raised,
    ):
        CredentialSource({"AWS_CONTAINER_CREDENTIALS_FULL_URI": uri}).find()
    assert len(seen) == 1
    assert raised.value.detail.endswith(f"HTTP {status[:3]}")


def test_an_endpoint_that_refuses_connections_is_asked_twice() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    environ = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port}/"}
    began = time.monotonic()
    with pytest.raises(CredentialsMissing, match="ConnectionRefusedError, twice"):
        CredentialSource(environ).find()
    assert 0.2 <= time.monotonic() - began < 3


def test_a_silent_endpoint_is_given_up_after_two_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_CONTAINER_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        environ = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port}/"}
        began = time.monotonic()
        with pytest.raises(CredentialsMissing, match="TimeoutError, twice"):
            CredentialSource(environ).find()
        assert 0.4 <= time.monotonic() - began < 2


@pytest.mark.parametrize(
    "uri",
    [
        "http://example.com/x",
        "http://10.0.0.1/x",
        "http://[bad",
        "ftp://localhost.evil/x",
        "http://127.evil.invalid/x",
        "http://127.0.0.1.evil.invalid/x",
    ],
)
def test_the_authorization_token_is_sent_to_no_stranger(uri: str) -> None:
    with pytest.raises(CredentialsMissing, match="AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        CredentialSource({"AWS_CONTAINER_CREDENTIALS_FULL_URI": uri}).find()


def test_a_profile_is_read_by_botocore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "credentials"
    file.write_text("[shop]\naws_access_key_id = PROFILE\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "shop")
    assert CredentialSource().find().access_key == "PROFILE"


def test_no_credentials_anywhere_says_where_it_looked() -> None:
    with pytest.raises(CredentialsMissing, match="no AWS profile or SSO session was found"):
        CredentialSource().find()


def test_a_profile_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(CredentialsMissing, match="nobody"):
        CredentialSource().find()
