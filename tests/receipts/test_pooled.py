"""A request with an Idempotency-Key where each transaction may be in another session."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from sunup.local.testing import Emulate
from sunup.settings import Settings

from .apps import KINDS, TABLES, Client, serving

Admin = Callable[[str], list[tuple[object, ...]]]


def at_once(one: Client, other: Client, key: str) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = []

    def call(client: Client) -> None:
        answers.append(client(f"/slow?{key}", key))

    threads = [threading.Thread(target=call, args=(client,)) for client in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


@pytest.mark.parametrize("engine", ["rds-proxy", "neon-pooler"])
def test_of_two_at_once_one_is_done_and_both_hear_of_it(
    emulate: Emulate, admin: Admin, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    aws = emulate(engine=engine)
    for statement in (*TABLES.split(";"), "grant all on things, sunup_receipts to app"):
        admin(statement)
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment(aws.environ)
    for kind in KINDS:
        with serving(kind, settings) as one, serving(kind, settings) as other:
            answers = at_once(one, other, kind)
            assert [each["statusCode"] for each in answers] == [201, 201], kind
            assert len({each["body"] for each in answers}) == 1
            assert one(f"/add?{kind}-2", f"{kind}-2")["statusCode"] == 201
    assert admin("select count(*) from things") == [(2 * len(KINDS),)]
    # `set_config`, until the end of the transaction, pins a client of RDS Proxy: once.
    pinned = [each["reason"] for each in aws.timeline.events if each["kind"] == "pinned"]
    assert pinned == (["a parameter is set"] * 2 * len(KINDS) if engine == "rds-proxy" else [])
