"""What an adapter costs for one request: sunup against Mangum (ASGI) and apig-wsgi (WSGI).

The same small app and event in one process, round robin; processor time of the whole process, all
of its threads, per request. Start-up of the lifespan is part of it as each adapter does it: Mangum
runs it for each request. The peers log nothing, so sunup's line for each request is counted apart.

python benchmarks/adapter.py [ROUNDS]
"""

import json
import logging
import os
import statistics
import time
from typing import Any

from apig_wsgi import make_lambda_handler
from mangum import Mangum
from terminal import machine, rounds_wanted

from sunup import Handler, logs
from sunup.settings import Settings

REQUESTS = 300

EVENT = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/users/1",
    "rawQueryString": "a=1&b=2",
    "headers": {
        "accept": "application/json",
        "content-type": "application/json",
        "host": "id.execute-api.eu-central-1.amazonaws.com",
        "user-agent": "curl/8",
        "x-forwarded-for": "192.0.2.1",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
    },
    "cookies": ["a=1", "b=2"],
    "requestContext": {
        "domainName": "id.execute-api.eu-central-1.amazonaws.com",
        "http": {
            "method": "POST",
            "path": "/users/1",
            "protocol": "HTTP/1.1",
            "sourceIp": "192.0.2.1",
            "userAgent": "curl/8",
        },
        "requestId": "id",
        "stage": "$default",
        "timeEpoch": 0,
    },
    "body": '{"name": "Mesota"}',
    "isBase64Encoded": False,
}
BODY = b'{"id": 1, "name": "Mesota", "email": "mesota@example.com"}'


class Context:
    """What Lambda passes."""

    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"58")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    environ["wsgi.input"].read()
    headers = [("Content-Type", "application/json"), ("Content-Length", "58")]
    start_response("200 OK", headers)
    return [BODY]


def main() -> None:
    rounds = rounds_wanted("What an adapter costs for one request.", 15)
    settings = Settings()
    handlers: dict[str, Any] = {
        "sunup, ASGI": Handler(asgi, settings=settings),
        "Mangum": Mangum(asgi),
        "sunup, WSGI": Handler(wsgi, settings=settings),
        "apig-wsgi": make_lambda_handler(wsgi),
        "... with its log line": Handler(wsgi, settings=settings),
    }
    nowhere = logging.StreamHandler(open(os.devnull, "w"))  # noqa: SIM115, PTH123
    nowhere.setFormatter(logs.JsonFormatter())
    logging.getLogger().handlers[:] = [nowhere]
    logging.getLogger("mangum").setLevel(logging.WARNING)
    context = Context()
    times: dict[str, list[float]] = {name: [] for name in handlers}
    for number in range(rounds + 1):
        for name, handler in handlers.items():
            level = logging.INFO if "log" in name else logging.WARNING
            logging.getLogger("sunup").setLevel(level)
            began = time.process_time()
            for _ in range(REQUESTS):
                answer = handler(EVENT, context)
                assert json.loads(answer["body"])["id"] == 1
            if number:
                times[name].append((time.process_time() - began) / REQUESTS * 1e6)
    for name in ("sunup, ASGI", "sunup, WSGI", "... with its log line"):
        handlers[name].close()
    print(f"{machine()}, {rounds} rounds of {REQUESTS} requests")
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, median in medians.items():
        print(f"{name:<22} {median:7.0f} us of processor time a request")
    for ours, theirs in (("sunup, ASGI", "Mangum"), ("sunup, WSGI", "apig-wsgi")):
        print(f"{ours} / {theirs:<10} {medians[ours] / medians[theirs]:.2f}")


if __name__ == "__main__":
    main()
