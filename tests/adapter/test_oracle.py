"""An app behind the gateway, the real runtime client and the adapter answers as it does by itself.

Thousands of generated requests go to the app twice: under an ordinary server (uvicorn and
hypercorn; for WSGI waitress and gunicorn), and through the emulator. Status, headers and body must be the same, but for what
docs/handler.md lists; `comparable` and `seen` are that list.
"""

import asyncio
import base64
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

import hypercorn.asyncio
import hypercorn.config
import pytest
import uvicorn
import waitress

from sunup.local.emulator import GatewayOptions
from sunup.local.testing import Emulate

from . import oracle_app

PAYLOADS = {"2.0": 1500, "1.0": 500}

METHODS = ["GET", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]
SEGMENTS = [
    "users",
    "a%2Fb",
    "%E3%81%82",
    "a+b",
    "%41",
    "x;y=1",
    "@:!$&'()*,=",
    "~-._",
    "%25",
    "1",
    "",
]
QUERIES = [
    "",
    "a=1",
    "a=1&a=2",
    "a=&b",
    "q=%20+%2B",
    "%E3%81%82=x",
    "a==b&&",
    "p=%zz",
    "x=1;y=2",
    "a[]=1",
]
NAMES = ["X-One", "x-two", "Accept", "User-Agent", "X-Many", "X-Many", "Referer"]
VALUES = ["1", "a, b", "text/html;q=0.9", '"quoted, text"', "x=y; z", "", "\xe9\xfc"]
COOKIES = ["a=1", "b=2; c=3", 'd="x y"', "e="]
TYPES = [
    "text/plain",
    "application/json",
    "application/octet-stream",
    "image/png",
    "text/html; charset=latin-1",
    "application/problem+json",
    None,
]
STATUSES = [200, 200, 200, 201, 202, 301, 400, 404, 418, 500, 503]
BODIES = [b"", b"Hello", "こんにちは".encode(), b"\x00\xff\xfe binary", b'{"a": 1}', b"x" * 1500]

Exchange = tuple[int, list[tuple[str, str]], bytes]


class Asked:
    """One request, as bytes go over the wire."""

    def __init__(self, chance: random.Random) -> None:
        self.method = chance.choice(METHODS)
        path = "/" + "/".join(chance.choices(SEGMENTS, k=chance.randint(0, 4)))
        query = chance.choice(QUERIES)
        self.target = f"{path}?{query}" if query else path
        self.headers = [
            (chance.choice(NAMES), chance.choice(VALUES)) for _ in range(chance.randint(0, 4))
        ]
        if chance.random() < 0.3:
            self.headers.append(("Cookie", "; ".join(chance.sample(COOKIES, 2))))
        self.body = (
            chance.choice(BODIES) if self.method in ("POST", "PUT", "PATCH", "DELETE") else b""
        )
        if self.body:
            kind = chance.choice(TYPES)
            self.headers += [("Content-Type", kind)] if kind else []
        spec: dict[str, Any] = {"status": chance.choice(STATUSES), "parts": chance.random() < 0.3}
        spec["length"] = not spec["parts"]
        spec["headers"] = [
            ("X-Answer", value) for value in chance.sample(VALUES[:4], chance.randint(0, 2))
        ]
        for number in range(chance.randint(0, 3)):
            spec["headers"].append(
                ("Set-Cookie", f"c{number}=v; Path=/; Expires=Wed, 09 Jun 2027 10:18:14 GMT")
            )
        if chance.random() < 0.6:
            spec["body"] = chance.choice(BODIES).hex()
        kind = chance.choice(TYPES)
        spec["headers"] += [("Content-Type", kind)] if kind else []
        if chance.random() < 0.1:
            spec["headers"].append(("Content-Encoding", "gzip"))
        packed = base64.urlsafe_b64encode(json.dumps(spec).encode()).decode()
        self.headers.append(("X-Reply", packed))

    def send(self, connection: http.client.HTTPConnection) -> Exchange:
        connection.putrequest(self.method, self.target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", "api.example.com")
        for name, value in self.headers:
            connection.putheader(name, value.encode())
        if self.body:
            connection.putheader("Content-Length", str(len(self.body)))
        connection.endheaders(self.body or None)
        response = connection.getresponse()
        return response.status, response.getheaders(), response.read()


# What the gateway adds to a request, and what each server says of itself and of the connection.
ADDED = {"x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "x-amzn-trace-id"}
OF_SERVER = {
    "date",
    "server",
    "connection",
    "transfer-encoding",
    "content-length",
    "via",
    "apigw-requestid",
}


def joined(fields: list[tuple[str, str]]) -> dict[str, str]:
    """Repeated headers as one: a gateway joins them, and no order is kept between names."""
    one: dict[str, str] = {}
    for name, value in fields:
        key = name.lower()
        value = ",".join(part.strip() for part in value.split(","))
        one[key] = f"{one[key]},{value}" if key in one else value
    return one


def parameters(query: str) -> list[tuple[str, str]]:
    """As payload 1.0 tells them: decoded, those of one name together."""
    return sorted(parse_qsl(query, keep_blank_values=True, encoding="latin-1"))


def seen(text: str) -> dict[str, Any]:
    """What the app saw, without what the gateway added."""
    found: dict[str, Any] = json.loads(base64.b64decode(text))
    fields = joined([(name, value) for name, value in found["headers"]])
    found["headers"] = {name: fields[name] for name in sorted(set(fields) - ADDED)}
    if "raw_path" in found:
        # HTTP APIs decode the path: what was encoded needlessly cannot be told any more.
        found["raw_path"] = unquote(found["raw_path"])
    if not found["body"]:
        found["headers"].pop("content-length", None)
    return found


def comparable(exchange: Exchange) -> dict[str, Any]:
    status, fields, body = exchange
    apart = sorted(value for name, value in fields if name.lower() == "set-cookie")
    # The gateway names a type where the function did not.
    fields = [pair for pair in fields if pair[1] != "text/plain;charset=UTF-8"]
    rest = joined([(n, v) for n, v in fields if n.lower() not in OF_SERVER | {"set-cookie"}])
    told = seen(rest.pop("x-seen"))
    try:
        content: Any = json.loads(body)
        if isinstance(content, dict) and "headers" in content:
            content = "what was seen"
    except ValueError:
        content = body
    told = {f"seen {name}": value for name, value in told.items()}
    return {"status": status, "headers": rest, "cookies": apart, "body": content, **told}


@contextmanager
def by_uvicorn() -> Iterator[int]:
    config = uvicorn.Config(oracle_app.app, port=0, log_config=None, http="h11", lifespan="off")
    server = uvicorn.Server(config)
    # asyncio leaves Nagle's algorithm on where the protocol is not named: 40 ms for each request.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


@contextmanager
def by_waitress() -> Iterator[int]:
    server = waitress.create_server(oracle_app.wsgi, host="127.0.0.1", port=0, threads=1)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield int(server.effective_port)
    # In its own thread: a descriptor closed under its select() is an error there.
    server.trigger.pull_trigger(lambda: server.asyncore.close_all(server._map))
    thread.join()
    server.task_dispatcher.shutdown()


@contextmanager
def by_hypercorn() -> Iterator[int]:
    config = hypercorn.config.Config()
    config.loglevel = "CRITICAL"
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config.bind = [f"fd://{os.dup(listener.fileno())}"]
        loop = asyncio.new_event_loop()
        end = asyncio.Event()
        serving = hypercorn.asyncio.serve(oracle_app.app, config, shutdown_trigger=end.wait)
        thread = threading.Thread(target=loop.run_until_complete, args=(serving,))
        thread.start()
        yield listener.getsockname()[1]
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


@contextmanager
def by_gunicorn() -> Iterator[int]:
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        # Accepted sockets have it from the listener: else 40 ms for each request.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.listen()
        listener.set_inheritable(True)
        # A thread's worker keeps the connection, as the others do.
        command = [sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--threads", "1"]
        command += [
            "--keep-alive",
            "30",
            "--limit-request-field_size",
            "0",
            "--log-level",
            "critical",
            "--no-control-socket",
        ]
        command += ["--bind", f"fd://{listener.fileno()}", "tests.adapter.oracle_app:wsgi"]
        server = subprocess.Popen(command, pass_fds=[listener.fileno()])
        try:
            yield listener.getsockname()[1]
        finally:
            server.terminate()
            server.wait()


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    ("name", "by_itself"),
    [("app", by_uvicorn), ("app", by_hypercorn), ("wsgi", by_waitress), ("wsgi", by_gunicorn)],
)
def test_an_app_answers_as_under_an_ordinary_server(
    emulate: Emulate,
    tmp_path: Path,
    name: str,
    by_itself: Callable[[], Any],
    payload: Literal["2.0", "1.0"],
) -> None:
    (tmp_path / "oracle_app.py").write_text(Path(oracle_app.__file__).read_text())
    (tmp_path / "lambda_function.py").write_text(
        f"from sunup import Handler\nhandler = Handler('oracle_app:{name}')\n"
    )
    aws = emulate(tmp_path, gateway=GatewayOptions(payload=payload))
    host, _, port = aws.url.removeprefix("http://").partition(":")
    chance = random.Random(f"{name} {payload}")
    with by_itself() as own:
        alone = http.client.HTTPConnection("127.0.0.1", own, timeout=20)
        through = http.client.HTTPConnection(host, int(port), timeout=20)
        for number in range(PAYLOADS[payload]):
            asked = Asked(chance)
            if name == "wsgi" and asked.target.startswith("//"):
                continue  # waitress makes one slash of them
            expected = comparable(asked.send(alone))
            found = comparable(asked.send(through))
            where = f"{number}: {asked.method} {asked.target} {asked.headers}"
            if payload == "1.0":
                for each in expected, found:
                    each["seen query"] = parameters(each["seen query"])
            for part in expected:
                assert found[part] == expected[part], f"{part} of {where}"
        alone.close()
        through.close()
