"""The users API on the emulated Neon: its requests, and the ones after a suspend and a freeze."""

import time

import httpx2
import pytest

from sunup.local.emulator import Emulator, NeonOptions
from sunup.local.testing import Emulate

from ..proxy.test_proxy import wait_until

USERS = "examples/users"
MESOTA = {"name": "クラスメソ太", "email": "mesota@example.com"}


def state(aws: Emulator) -> str:
    return str(aws.state()["aurora"]["state"])


@pytest.mark.parametrize("engine", ["neon", "neon-pooler", "rds-proxy"])
def test_the_users_api_does_its_work(emulate: Emulate, engine: str) -> None:
    aws = emulate(USERS, engine=engine)
    with httpx2.Client(base_url=aws.url, timeout=20) as client:
        created = client.post("/users", json=MESOTA)
        assert created.status_code == 201, created.text
        number = created.json()["id"]
        assert client.get(f"/users/{number}").json() == created.json()
        assert client.post("/users", json=MESOTA).status_code == 409
        assert client.put(f"/users/{number}", json={"name": "M"}).json()["name"] == "M"
        assert [each["id"] for each in client.get("/users").json()] == [number]
        for method in ("GET", "DELETE", "GET"):
            answer = client.request(method, f"/users/{number}")
        assert answer.status_code == 404
    assert [each for each in aws.timeline.events if each["kind"] == "pinned"] == []


@pytest.mark.parametrize("engine", ["neon", "neon-pooler"])
def test_a_freeze_longer_than_the_suspend_is_not_noticed(emulate: Emulate, engine: str) -> None:
    aws = emulate(USERS, engine=engine, neon=NeonOptions(pause_after=0.5, resume_seconds=0.3))
    with httpx2.Client(base_url=aws.url, timeout=20) as client:
        assert client.post("/users", json=MESOTA).status_code == 201
        # The instance is frozen with a connection that Neon closes meanwhile.
        wait_until(lambda: state(aws) == "asleep")
        began = time.monotonic()
        assert client.get("/users").json()[0]["name"] == MESOTA["name"]
        assert 0.2 < time.monotonic() - began < 3
        # Nobody suspends it under requests that come one after the other.
        for _ in range(5):
            assert client.get("/users/1").status_code == 200
            time.sleep(0.15)
        aws.do("aurora/pause")
        assert client.get("/users/1").status_code == 200
