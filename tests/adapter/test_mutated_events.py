"""Whatever an HTTP event holds, the client gets an answer: no exception of ours escapes."""

import copy
import json
import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from sunup import caller
from sunup.adapter.events import UnknownEvent
from sunup.adapter.handler import Handler

from .test_events import event_1, event_2
from .test_lattice import version_1, version_2
from .test_load_balancer import event as balancer_event
from .test_load_balancer import many

EVENTS: list[Callable[[], dict[str, Any]]] = [
    event_2, event_1, balancer_event, many, version_1, version_2
]  # fmt: skip

# Of each event; together 60,000 and more in `make soak`.
COUNT = int(os.environ.get("SUNUP_FUZZ", "1000")) * 2

STRANGE: list[Any] = [
    None, True, False, 0, -1, 2**70, 1e308, "", "x", "\0", "\r\n", "é", "\ud800", "%", "%zz", "😀" * 9,
    [], [None], [1], ["a", None, {}], {}, {"a": None}, {"": ""}, {"a": {"b": "c"}}, {"é": "é"}, "9" * 5000,
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to each part of an event."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key in value:
            found += places(value[key], (*path, key))
    elif isinstance(value, list):
        for number in range(len(value)):
            found += places(value[number], (*path, number))
    return found


def mutate(event: dict[str, Any], chance: random.Random) -> None:
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        all_places = places(event)
        if not all_places:
            return
        *path, last = chance.choice(all_places)
        parent: Any = event
        for key in path:
            parent = parent[key]
        kind = chance.random()
        if kind < 0.15:
            del parent[last]
        elif kind < 0.25 and isinstance(parent, dict):
            parent[chance.choice(["", "é", "a b", "X_Y", "\r\n", "cookie", "Host"])] = parent.pop(
                last
            )
        else:
            parent[last] = copy.deepcopy(chance.choice(STRANGE))


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    caller(environ)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Set-Cookie", "a=1")])
    return [environ["PATH_INFO"].encode("latin-1"), environ["wsgi.input"].read()]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    message = await receive()
    caller(scope)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


@pytest.mark.parametrize("make", EVENTS)
def test_no_mutated_event_is_an_exception(make: Callable[[], dict[str, Any]]) -> None:
    handlers = [Handler(app), Handler(asgi, lifespan="off")]
    chance = random.Random(make.__name__)
    codes = {200: 0, 400: 0}
    try:
        for number in range(COUNT):
            event = make()
            mutate(event, chance)
            try:
                response = handlers[number % 2](event, None)
            except UnknownEvent:
                continue  # what told its kind is gone
            codes[response["statusCode"]] += 1
            json.dumps(response).encode()
    finally:
        handlers[1].close()
    assert min(codes.values()) > COUNT / 20  # both were seen
