"""Thousands of odd requests: none gets a 500, and none an answer that is not JSON."""

import base64
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sunup.adapter.handler import Handler

from .conftest import DJANGO_HERE, IN_THIS_PROCESS, send

# In `make soak` more.
REQUESTS = int(os.environ.get("SUNUP_FUZZ", "2000"))

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["\0", "a@b", "x" * 255, "x" * 256, "\ud800", "🙂" * 300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
BODIES = (
    st.binary(max_size=200)
    | ANYTHING.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({}, optional={"name": ANYTHING, "email": ANYTHING, "id": ANYTHING}).map(
        lambda value: json.dumps(value, ensure_ascii=True).encode()
    )
    | st.builds(
        lambda name, email: json.dumps({"name": name, "email": f"{email}@example.com"}).encode(),
        st.text(max_size=300),
        st.text(max_size=300),
    )
    # What is wanted: otherwise few requests get as far as the database.
    | st.builds(
        lambda name, number: json.dumps({"name": name, "email": f"{number}@example.com"}).encode(),
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=50),
        # Few, so that some are taken already, also where chance makes few of these.
        st.integers(min_value=0, max_value=2),
    )
)
SEGMENTS = (
    st.text(max_size=20) | st.integers().map(str) | st.sampled_from(["users", "1", "%00", ".."])
)
PATHS = (
    st.just("/users")
    | st.sampled_from(["/users", "/users/1", "/users/2", "/health", "/users/%2F", "/users/%ff"])
    | SEGMENTS.map("/users/{}".format)
    | st.lists(SEGMENTS, max_size=4).map(lambda parts: "/" + "/".join(parts))
)
QUERIES = st.sampled_from(["", "deep=1", "limit=5", "limit=5&limit=x", "after=2147483647", "%ff=%00"]) | (
    st.builds("{}={}".format, st.sampled_from(["limit", "after", "deep", ""]), st.text(max_size=20))
)  # fmt: skip
HEADERS = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
    | st.sampled_from(["content-type", "content-length", "host", "cookie", "transfer-encoding"]),
    # Control characters are refused before the app: tests/adapter/test_mutated_events.py.
    st.text(st.characters(max_codepoint=0x2FF, exclude_categories=["Cc"]), max_size=30),
    max_size=4,
)
METHODS = st.sampled_from(
    ["GET", "POST", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "X"]
)


def test_no_request_gets_a_500(request: pytest.FixtureRequest, example: Path) -> None:
    if example.name in IN_THIS_PROCESS:
        fuzz(request.getfixturevalue("users_handler"))
        return
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", example.name],
        env={**os.environ, DJANGO_HERE: "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout


def fuzz(users_handler: Handler) -> None:
    seen: Counter[int] = Counter()

    @settings(max_examples=REQUESTS, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(method=METHODS, path=PATHS, query=QUERIES, headers=HEADERS, body=BODIES)
    def try_one(method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> None:
        path = path.replace("?", "%3F")
        reply = send(
            users_handler,
            method,
            f"{path}?{query}",
            body=base64.b64encode(body).decode(),
            headers=headers,
            is_base64=True,
        )
        seen[reply.status] += 1
        assert reply.status in {200, 201, 400, 404, 405, 409, 413}, reply.text
        if reply.text:
            json.loads(reply.text)

    try_one()
    # So that it cannot pass by never getting past the first check.
    assert {200, 201, 400, 404, 405, 409} <= set(seen), seen
