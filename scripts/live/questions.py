"""What docs/emulator.md cannot know for certain: asked of AWS, and of the emulator beside it."""

import json
import socket
import ssl
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx2
import psycopg

from sunup.connecting import tls
from sunup.settings import Settings

# Seconds that a database which sleeps may take.
_LONGEST_WAKE = 120.0

# The entry of the app that is deployed: the users API, and an echo of what the gateway sends.
ENTRY = """
import json
from database import db
from sunup import Handler

api = Handler("app:app", database=db, log_stream_header=True)


def handler(event, context):
    path = event.get("rawPath", "")
    if path.startswith("/_live/echo"):
        return {"statusCode": 200, "body": json.dumps(event)}
    if path == "/_live/large":
        return {"statusCode": 200, "body": "x" * 6_291_556}
    if path == "/_live/error":
        raise ValueError("a secret")
    return api(event, context)
"""

PATHS = (
    "/_live/echo/a%2Fb",
    "/_live/echo/%2561",
    "/_live/echo/a%20b+c",
    "/_live/echo/%C5%81",
    "/_live/echo/a//b",
)


@dataclass(frozen=True)
class Subject:
    """AWS, or the emulator. `pause` lets the database sleep, and returns when it does."""

    url: str
    settings: Settings
    pause: Callable[[], None]


def raw_paths(subject: Subject) -> dict[str, str]:
    """What `rawPath` is, for each path that was asked for."""
    found = {}
    for path in PATHS:
        event = json.loads(_raw_get(subject.url, path))
        found[path] = event["rawPath"]
    return found


def headers(subject: Subject) -> dict[str, str]:
    """Which headers the function sees of a bare request."""
    event = json.loads(_raw_get(subject.url, "/_live/echo"))
    return {"names": " ".join(sorted(event["headers"])), "version": event["version"]}


def failures(subject: Subject) -> dict[str, str]:
    """Status and body of what goes wrong in the function."""
    found = {}
    for path in ("/_live/large", "/_live/error"):
        reply = httpx2.get(f"{subject.url}{path}", timeout=40)
        found[path] = f"{reply.status_code} {reply.text[:100]}"
    return found


def refusals(subject: Subject) -> dict[str, str]:
    """The words and SQLSTATEs with which wrong logins are refused."""
    found = {}
    for what, user, password in (
        ("no token", subject.settings.user, "nothing"),
        ("an unknown role", "nobody_at_all", "nothing"),
    ):
        try:
            _connect(subject.settings, user, password).close()
            found[what] = "let in"
        except psycopg.OperationalError as error:
            found[what] = f"{error.sqlstate} {' '.join(str(error).split())[-160:]}"
    return found


def wake(subject: Subject) -> dict[str, str]:
    """How a request behind a sleeping database ends, and when; then one that finds it awake."""
    subject.pause()
    began, answers = time.monotonic(), []
    while time.monotonic() - began < _LONGEST_WAKE:
        reply = httpx2.get(f"{subject.url}/health?deep=1", timeout=40)
        answers.append(f"{reply.status_code} at {time.monotonic() - began:.1f} s")
        if reply.status_code == 200:
            break
        time.sleep(min(5.0, float(reply.headers.get("retry-after", 1))))
    at = time.monotonic()
    warm = httpx2.get(f"{subject.url}/health?deep=1", timeout=40)
    took = (time.monotonic() - at) * 1000
    return {"answers": ", ".join(answers), "then": f"{warm.status_code} in {took:.0f} ms"}


def where_it_hangs(subject: Subject) -> dict[str, str]:
    """Which step of connecting a sleeping database answers late, in seconds."""
    subject.pause()
    host, port = subject.settings.host, subject.settings.port
    found: dict[str, str] = {}
    began = time.monotonic()
    with socket.create_connection((host, port), timeout=_LONGEST_WAKE) as plain:
        found["tcp"] = f"{time.monotonic() - began:.2f}"
        plain.sendall(struct.pack("!ii", 8, 80877103))  # SSLRequest
        answer = plain.recv(1)
        found["SSLRequest"] = f"{answer.decode(errors='replace')} {time.monotonic() - began:.2f}"
        context = ssl.create_default_context(cafile=tls.root_file(subject.settings))
        with context.wrap_socket(plain, server_hostname=host):
            found["tls"] = f"{time.monotonic() - began:.2f}"
    return found


def contract(subject: Subject) -> dict[str, str]:
    """The README's session: a user is made, read, changed and deleted."""
    with httpx2.Client(base_url=subject.url, timeout=40) as client:
        user = {"name": "Mesota", "email": f"live-{time.time()}@example.com"}
        made = client.post("/users", json=user)
        path = f"/users/{made.json()['id']}"
        replies = {
            "POST /users": made,
            "GET": client.get(path),
            "PUT": client.put(path, json={"name": "M"}),
            "DELETE": client.delete(path),
            "GET after it": client.get(path),
            "GET /users/12abc": client.get("/users/12abc"),
        }
        return {name: str(each.status_code) for name, each in replies.items()}


QUESTIONS: Mapping[str, Callable[[Subject], dict[str, str]]] = {
    "The contract": contract,
    "What rawPath looks like": raw_paths,
    "What the function sees of a request": headers,
    "What failures look like": failures,
    "How logins are refused": refusals,
    "How a sleeping database is waited for": wake,
    "Where a connect hangs": where_it_hangs,
}


def ask(subject: Subject, tell: Callable[[str], None] = print) -> dict[str, dict[str, str]]:
    """All of them; one that fails is answered with its error."""
    answers = {}
    for name, question in QUESTIONS.items():
        tell(f"{name} ...")
        try:
            answers[name] = question(subject)
        except Exception as error:  # the others are worth asking
            answers[name] = {"failed": f"{type(error).__name__}: {error}"[:300]}
    return answers


def _connect(
    settings: Settings, user: str, password: str
) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(
        host=settings.host,
        port=settings.port,
        user=user,
        password=password,
        dbname=settings.database,
        sslmode=settings.sslmode,
        sslrootcert=tls.root_file(settings),
        connect_timeout=60,
    )


def _raw_get(url: str, path: str) -> str:
    """A GET whose path is sent as it is: clients put paths right."""
    host, _, port = url.partition("://")[2].partition(":")
    secure = url.startswith("https")
    plain = socket.create_connection((host, int(port or (443 if secure else 80))), timeout=40)
    wrapped = (
        ssl.create_default_context().wrap_socket(plain, server_hostname=host) if secure else plain
    )
    with wrapped as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        )
        data = b""
        while part := connection.recv(65536):
            data += part
    head, _, body = data.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise ValueError(head.split(b"\r\n")[0].decode())
    start, end = body.index(b"{"), body.rindex(b"}")  # chunked or not
    return body[start : end + 1].decode()
