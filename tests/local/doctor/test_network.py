"""What the doctor says of a server that cannot be talked to."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sunup.local.doctor import network
from sunup.local.doctor.finding import Examination, Finding
from sunup.local.project import Project
from sunup.settings import Settings


def examined(port: int, host: str = "localhost") -> list[Finding]:
    aws: Any = None
    settings = Settings(host=host, port=port, region="eu-central-1")
    examination = Examination(Project(Path("app"), environ={}), aws, settings=settings)
    examination.reachable = True
    return list(network.certificate(examination))


@contextmanager
def listening(answer: bytes | None) -> Iterator[int]:
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                if answer is not None:
                    client.recv(8)
                    client.sendall(answer)
                else:
                    client.recv(100)
                    client.recv(100)

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(server.getsockname()[1])
        thread.join()


def test_a_port_that_nobody_listens_on_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    [finding] = examined(port)
    assert finding.detail == f"nothing listens on localhost:{port}"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"N", "the server does not support TLS"),
        (b"", "the server does not support TLS"),
        (b"Sx", ""),
    ],
)
def test_a_server_without_tls_is_named(answer: bytes, says: str) -> None:
    with listening(answer) as port:
        [finding] = examined(port)
    assert finding.status == "failure"
    assert says in finding.detail


def test_a_server_that_says_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_TLS_TIMEOUT", 0.2)
    with listening(None) as port:
        [finding] = examined(port)
    assert finding.detail == f"no answer from localhost:{port}"


def test_a_name_that_is_not_known_is_named() -> None:
    aws: Any = None
    settings = Settings(host="nowhere.invalid")
    examination = Examination(Project(Path("app"), environ={}), aws, settings=settings)
    [finding] = network.name(examination)
    assert finding.status == "failure"
    assert not examination.reachable
    [finding] = network.certificate(examination)
    assert (finding.status, finding.detail) == ("skipped", "the host name was not resolved")
