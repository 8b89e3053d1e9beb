"""What a request with an Idempotency-Key does, on each kind of database; then a plain success."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sunup.settings import Settings

from .apps import KINDS, TABLES, Client, content, serving

Admin = Callable[[str], list[tuple[Any, ...]]]
Start = Callable[..., Client]


@pytest.fixture(params=KINDS)
def start(request: pytest.FixtureRequest, settings: Settings, admin: Admin) -> Iterator[Start]:
    """Starts the app, with options of `exactly_once`; several are several instances."""
    for statement in TABLES.split(";"):
        admin(statement)
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(serving(request.param, settings, **options))


def names(admin: Admin) -> list[str]:
    return [row[0] for row in admin("select name from things order by id")]


def test_a_repeated_request_is_answered_as_the_first_time(start: Start, admin: Admin) -> None:
    client = start()
    first = client("/add?a", "key-1")
    again = client("/add?a", "key-1")
    assert first["statusCode"] == again["statusCode"] == 201
    assert first["body"] == again["body"]
    assert again["headers"] == {**first["headers"], "idempotent-replayed": "true"}
    assert "idempotent-replayed" not in first["headers"]
    assert names(admin) == ["a"]
    assert client("/add?b", "key-2")["statusCode"] == 201


def test_another_instance_knows_it(start: Start, admin: Admin) -> None:
    first = start()("/add?a", "key-1")
    assert start()("/add?a", "key-1")["body"] == first["body"]
    assert names(admin) == ["a"]


def test_without_a_key_nothing_is_kept(start: Start, admin: Admin) -> None:
    client = start()
    assert [client(f"/add?{name}")["statusCode"] for name in "ab"] == [201, 201]
    assert admin("select count(*) from sunup_receipts") == [(0,)]


def test_what_fails_leaves_nothing_and_may_be_repeated(start: Start, admin: Admin) -> None:
    client = start()
    assert client("/raises?a", "key-1")["statusCode"] == 500
    assert client("/status?503-b", "key-2")["statusCode"] == 503
    assert names(admin) == []
    assert client("/status?201-b", "key-3")["statusCode"] == 201
    assert client("/raises?a", "key-1")["statusCode"] == 500
    assert client("/add?a", "key-1")["statusCode"] == 201
    assert names(admin) == ["b", "a"]


def test_a_refusal_of_the_app_s_is_kept_with_what_it_did(start: Start, admin: Admin) -> None:
    client = start()
    first = client("/taken?a", "key-1")
    again = client("/taken?a", "key-1")
    assert (first["statusCode"], first["body"]) == (409, "taken")
    assert (again["statusCode"], again["body"]) == (409, "taken")
    assert again["headers"]["idempotent-replayed"] == "true"
    assert names(admin) == ["a"]


def test_a_block_that_failed_is_undone_and_the_request_goes_on(start: Start, admin: Admin) -> None:
    client = start()
    first = client("/over?a", "key-1")
    assert first["statusCode"] == 201, first
    assert client("/over?a", "key-1")["body"] == first["body"]
    assert names(admin) == ["a", "a2"]


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_refusal_of_who_calls_or_when_is_not_kept(
    start: Start, admin: Admin, status: int
) -> None:
    client = start()
    assert client(f"/status?{status}-a", "key-1")["statusCode"] == status
    assert names(admin) == ["a"]  # such as an attempt that is counted
    assert client("/add?b", "key-1")["statusCode"] == 201


def test_a_key_with_another_request_is_refused(start: Start, admin: Admin) -> None:
    client = start()
    assert client("/body?a", "key-1", body="one")["statusCode"] == 200
    for other in (
        client("/body?a", "key-1", body="two"),
        client("/body?b", "key-1", body="one"),
        client("/add?a", "key-1", body="one"),
        client("/body?a", "key-1", body="one", method="PUT"),
        client("/body?a", "key-1", body="one", headers={"authorization": "Bearer other"}),
    ):
        assert other["statusCode"] == 422
        assert other["headers"]["content-type"] == "application/problem+json"
        assert content(other)["code"] == "idempotency_key_reused"
    assert client("/body?a", "key-1", body="one")["statusCode"] == 200
    assert names(admin) == ["a"]


def test_a_key_belongs_to_its_caller(start: Start, admin: Admin) -> None:
    client = start()
    client.caller = {"sub": "ada", "iss": "https://issuer.example"}
    ada = client("/add?a", "key-1")
    client.caller = {"sub": "grace", "iss": "https://issuer.example"}
    grace = client("/add?b", "key-1")
    client.caller = {"sub": "ada", "iss": "https://issuer.example"}
    # Her token was renewed meanwhile.
    again = client("/add?a", "key-1", headers={"authorization": "Bearer new"})
    assert (ada["statusCode"], grace["statusCode"]) == (201, 201)
    assert again["body"] == ada["body"]
    assert names(admin) == ["a", "b"]


def test_while_the_first_runs_the_second_waits_and_gets_its_answer(
    start: Start, admin: Admin
) -> None:
    one, two = start(), start()
    answers: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: answers.append(one("/slow?a", "key-1")))
    thread.start()
    _until_claimed(admin)
    second = two("/slow?a", "key-1")
    thread.join()
    assert answers[0]["body"] == second["body"]
    assert second["headers"]["idempotent-replayed"] == "true"
    assert names(admin) == ["a"]


def test_a_second_that_may_not_wait_is_told_to_come_back(start: Start, admin: Admin) -> None:
    one, two = start(), start(wait=0.05)
    answers: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: answers.append(one("/slower?a", "key-1")))
    thread.start()
    _until_claimed(admin)
    second = two("/slower?a", "key-1")
    thread.join()
    assert second["statusCode"] == 409
    assert second["headers"]["retry-after"] == "1"
    assert content(second)["code"] == "idempotency_key_in_use"
    assert two("/slower?a", "key-1")["body"] == answers[0]["body"]
    assert names(admin) == ["a"]


def _until_claimed(admin: Admin) -> None:
    """Until the first request has inserted its row."""
    query = (
        "select count(*) from pg_locks where mode = 'RowExclusiveLock'"
        " and relation = 'things'::regclass"
    )
    for _ in range(200):
        if admin(query) != [(0,)]:
            return
    raise AssertionError("nobody has begun")


def test_an_answer_that_is_too_large_is_not_kept_and_the_replay_says_so(
    start: Start, admin: Admin
) -> None:
    client = start(largest=1000)
    assert len(client("/large?1001", "key-1")["body"]) == 1001
    again = client("/large?1001", "key-1")
    assert again["statusCode"] == 200
    assert content(again)["code"] == "answer_not_kept"
    assert again["headers"]["x-own"] == "1"
    assert names(admin) == ["large"]


def test_six_megabytes_are_compared(start: Start, admin: Admin) -> None:
    client = start()
    body = "x" * 6_000_000
    first = client("/body?a", "key-1", body=body)
    assert first["body"].startswith("6000000 ")
    assert client("/body?a", "key-1", body=body)["body"] == first["body"]
    assert client("/body?a", "key-1", body=body[:-1] + "y")["statusCode"] == 422
    assert names(admin) == ["a"]


def test_a_key_is_forgotten_after_its_time(start: Start, admin: Admin) -> None:
    client = start(keep=3600)
    assert client("/add?a", "key-1")["statusCode"] == 201
    admin("update sunup_receipts set created_at = now() - interval '3599 seconds'")
    assert client("/add?a", "key-1")["statusCode"] == 201
    admin("update sunup_receipts set created_at = now() - interval '3601 seconds'")
    assert client("/add?b", "key-1")["statusCode"] == 201
    assert names(admin) == ["a", "b"]
    assert admin("select count(*) from sunup_receipts") == [(1,)]


def test_expired_rows_are_removed_in_passing(start: Start, admin: Admin) -> None:
    client = start(keep=3600)
    admin(
        "insert into sunup_receipts (key, fingerprint, status, created_at)"
        " select n::text, '', 200, now() - interval '3 hours' from generate_series(1, 2500) n"
    )
    left = [2500]
    for number in range(400):
        assert client(f"/add?n{number}", f"key-{number}")["statusCode"] == 201
        left.append(admin("select count(*) from sunup_receipts where fingerprint = ''")[0][0])
        if left[-1] == 0:
            break
    assert sorted(set(left), reverse=True) == [2500, 1500, 500, 0]


def test_the_app_may_ask_for_a_key(start: Start, admin: Admin) -> None:
    client = start(required="POST /add")
    refused = client("/add?a")
    assert refused["statusCode"] == 400
    assert content(refused)["code"] == "idempotency_key_missing"
    assert client("/body?b")["statusCode"] == 200
    assert client("/add?a", "key-1")["statusCode"] == 201
    assert names(admin) == ["b", "a"]


def test_each_request_may_get_a_key_of_the_gateway_s(start: Start, admin: Admin) -> None:
    client = start(always=True)
    assert client("/add?a", request_id="one")["statusCode"] == 201
    assert client("/add?a", request_id="one")["headers"]["idempotent-replayed"] == "true"
    assert client("/add?b", request_id="two")["statusCode"] == 201
    # Nobody can name such a key.
    assert client("/add?c", "one")["statusCode"] == 201
    assert names(admin) == ["a", "b", "c"]


def test_without_the_table_it_is_said_what_to_do(
    start: Start, admin: Admin, capsys: pytest.CaptureFixture[str]
) -> None:
    client = start()
    admin("alter table sunup_receipts rename to elsewhere")
    assert client("/add?a", "key-1")["statusCode"] == 500
    assert "`sunup migrate receipts`" in capsys.readouterr().err
    admin("alter table elsewhere rename to sunup_receipts")
    assert client("/add?a", "key-1")["statusCode"] == 201


@pytest.mark.parametrize(
    "key", ["", '""', '"a', 'a"b', "a,b", "ä", '"a", "b"', "x" * 256, "a\tb", '"\\x"']
)
def test_what_is_no_key_is_refused(start: Start, admin: Admin, key: str) -> None:
    client = start()
    refused = client("/add?a", key)
    assert refused["statusCode"] == 400
    assert content(refused)["code"] == "idempotency_key_invalid"
    assert client("/add?a", "x" * 255)["statusCode"] == 201
    assert names(admin) == ["a"]


def test_quoted_and_bare_are_the_same_key(start: Start, admin: Admin) -> None:
    client = start()
    first = client("/add?a", "8e03978e-40d5-43dd-bc93-6894a57f9324")
    again = client("/add?a", '"8e03978e-40d5-43dd-bc93-6894a57f9324"')
    assert first["body"] == again["body"]
    assert names(admin) == ["a"]
