"""The contract of the users API."""

import base64
import json
import re
from typing import Any

import pytest

from .conftest import Call

MESOTA = {"name": "クラスメソ太", "email": "mesota@example.com"}


def test_a_user_is_created_read_changed_listed_and_deleted(call: Call) -> None:
    created = call("POST", "/users", MESOTA)
    assert created.status == 201
    assert created.headers["content-type"] == "application/json"
    user = created.json
    assert list(user) == ["id", "name", "email", "createdAt"]
    assert {**user, "createdAt": ""} == {"id": 1, **MESOTA, "createdAt": ""}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", user["createdAt"])
    assert call("GET", "/users/1").json == user
    assert call("GET", "/users").json == [user]
    changed = call("PUT", "/users/1", {"name": "Mesota"})
    assert (changed.status, changed.json) == (200, {**user, "name": "Mesota"})
    deleted = call("DELETE", "/users/1")
    assert (deleted.status, deleted.json) == (200, {**user, "name": "Mesota"})
    assert call("GET", "/users/1").status == 404
    assert call("GET", "/users").json == []


def test_an_email_address_belongs_to_one_user(call: Call) -> None:
    call("POST", "/users", MESOTA)
    again = call("POST", "/users", MESOTA)
    assert (again.status, again.json) == (409, {"error": "email already exists"})
    call("POST", "/users", {"name": "b", "email": "b@example.com"})
    taken = call("PUT", "/users/3", {"email": MESOTA["email"]})
    assert (taken.status, taken.json) == (409, {"error": "email already exists"})


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("number", ["1", "2147483647"])
def test_an_unknown_user_is_not_found(call: Call, method: str, number: str) -> None:
    reply = call(method, f"/users/{number}", {"name": "x"} if method == "PUT" else None)
    assert (reply.status, reply.json) == (404, {"error": "Not Found"})


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "number", ["abc", "12abc", "0", "-1", "2147483648", "9" * 5000, "1.0", "01", "%31%20", "١", "+1"]
)  # fmt: skip
def test_an_id_that_is_none_is_refused(call: Call, method: str, number: str) -> None:
    reply = call(method, f"/users/{number}", {"name": "x"} if method == "PUT" else None)
    assert (reply.status, reply.json) == (400, {"error": "Invalid id"})


def test_the_list_is_paged(call: Call) -> None:
    for number in range(5):
        call("POST", "/users", {"name": "n", "email": f"{number}@example.com"})
    ids = [user["id"] for user in call("GET", "/users?limit=2").json]
    assert ids == [1, 2]
    assert [user["id"] for user in call("GET", "/users?limit=2&after=2").json] == [3, 4]
    assert [user["id"] for user in call("GET", "/users?after=4").json] == [5]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=abc", "limit=", "limit=-1", "after=-1", "after=x"]
)
def test_a_page_that_is_none_is_refused(call: Call, query: str) -> None:
    reply = call("GET", f"/users?{query}")
    assert reply.status == 400
    assert reply.json["error"].startswith(f"Invalid {query.partition('=')[0]}")


@pytest.mark.parametrize(
    ("content", "field", "reason"),
    [
        ({"name": "a"}, "email", "`email` is required"),
        ({"email": "a@b"}, "name", "`name` is required"),
        ({"name": 1, "email": "a@b"}, "name", "expected `str`, got `int`"),
        ({"name": None, "email": "a@b"}, "name", "expected `str`, got `null`"),
        ({"name": "", "email": "a@b"}, "name", "`name` must not be empty"),
        ({"name": " \t", "email": "a@b"}, "name", "`name` must not be empty"),
        ({"name": "x" * 256, "email": "a@b"}, "name", "`name` is longer than 255 characters"),
        ({"name": "a\0b", "email": "a@b"}, "name", "`name` holds the character U+0000"),
        ({"name": "a", "email": "nobody"}, "email", "`email` is not an e-mail address"),
        ({"name": "a", "email": "a@b@c"}, "email", "`email` is not an e-mail address"),
        ({"name": "a", "email": "a b@c"}, "email", "`email` is not an e-mail address"),
        ([], None, "expected `object`, got `array`"),
        ("x", None, "expected `object`, got `str`"),
    ],
)
def test_a_wrong_body_is_refused_with_the_field_and_the_reason(
    call: Call, content: Any, field: str | None, reason: str
) -> None:
    reply = call("POST", "/users", content)
    expected = {"error": reason} if field is None else {"error": reason, "field": field}
    assert (reply.status, reply.json) == (400, expected)


def test_the_longest_name_is_counted_in_characters(call: Call) -> None:
    name = "𝒩" * 255
    assert call("POST", "/users", {"name": name, "email": "a@b"}).json["name"] == name


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is not valid JSON"),
        (b"{", "the body is not valid JSON"),
        (b'{"name":"a","email":"a@b"} x', "the body is not valid JSON"),
        (b'{"name":"\xff","email":"a@b"}', "the body is not valid UTF-8"),
        (b'{"name":"a","email":"a@b","other":"\xff"}', "the body is not valid UTF-8"),
        (b'{"name":"\\ud800","email":"a@b"}', "the body is not valid JSON"),
    ],
)
def test_a_body_that_is_no_json_is_refused(call: Call, body: bytes, reason: str) -> None:
    reply = call("POST", "/users", body=base64.b64encode(body).decode(), is_base64=True)
    assert (reply.status, reply.json) == (400, {"error": reason})


def test_a_body_that_is_too_large_is_refused(call: Call) -> None:
    reply = call("POST", "/users", {**MESOTA, "more": "x" * 70_000})
    assert reply.status == 413
    assert "65536" in reply.json["error"]


def test_a_change_needs_something_to_change(call: Call) -> None:
    call("POST", "/users", MESOTA)
    assert call("PUT", "/users/1", {}).status == 400
    assert call("PUT", "/users/1", {"nmae": "x"}).status == 400
    assert call("PUT", "/users/1", {"name": None}).status == 400


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/users", {"GET", "HEAD", "POST"}),
        ("POST", "/users/1", {"GET", "HEAD", "PUT", "DELETE"}),
        ("POST", "/health", {"GET", "HEAD"}),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(
    call: Call, method: str, path: str, allowed: set[str]
) -> None:
    reply = call(method, path)
    assert (reply.status, reply.json) == (405, {"error": "Method Not Allowed"})
    assert set(reply.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", ["/", "/user", "/users/", "/users/1/x", "/USERS", "/users//1"])
def test_an_unknown_path_is_not_found(call: Call, path: str) -> None:
    reply = call("GET", path)
    assert (reply.status, reply.json) == (404, {"error": "Not Found"})


def test_health_needs_no_database_unless_asked_deeply(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("GET", "/health").json == {"status": "ok"}
    assert call("GET", "/health?deep=1").json == {"status": "ok", "database": "ok"}


def test_a_table_that_is_gone_is_a_bare_500(call: Call, real_database: dict[str, str]) -> None:
    import psycopg

    with psycopg.connect(
        host=real_database["DB_HOST"],
        user="postgres",
        dbname=real_database["DB_NAME"],
        autocommit=True,
    ) as connection:
        connection.execute("alter table users rename to hidden")
        try:
            reply = call("GET", "/users")
        finally:
            connection.execute("alter table hidden rename to users")
    assert (reply.status, json.loads(reply.text)) == (500, {"error": "Internal Server Error"})


def test_a_body_needs_no_content_type(call: Call) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert call("POST", "/users", MESOTA, headers=headers).status == 201
    reply = call("POST", "/users", body="{", headers=headers)
    assert (reply.status, reply.json) == (400, {"error": "the body is not valid JSON"})


def test_a_request_with_a_key_is_executed_once(call: Call) -> None:
    key = {"idempotency-key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
    created = call("POST", "/users", MESOTA, headers=key)
    again = call("POST", "/users", MESOTA, headers=key)
    assert created.status == again.status == 201
    assert again.json == created.json
    assert again.headers["idempotent-replayed"] == "true"
    assert len(call("GET", "/users").json) == 1
    other = call("POST", "/users", {**MESOTA, "name": "b"}, headers=key)
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")
    for method, content, name in (("PUT", {"name": "Mesota"}, "put"), ("DELETE", None, "delete")):
        first = call(method, "/users/1", content, headers={"idempotency-key": name})
        again = call(method, "/users/1", content, headers={"idempotency-key": name})
        assert (first.status, again.status) == (200, 200)
        assert again.json == first.json
    assert call("GET", "/users").json == []
    assert call("POST", "/users", MESOTA).status == 201


def test_a_refusal_is_kept_with_its_key(call: Call) -> None:
    call("POST", "/users", MESOTA)
    taken = call("POST", "/users", MESOTA, headers={"idempotency-key": "one"})
    call("DELETE", "/users/1")
    again = call("POST", "/users", MESOTA, headers={"idempotency-key": "one"})
    assert (taken.status, again.status) == (409, 409)
    assert again.headers["idempotent-replayed"] == "true"
    assert call("POST", "/users", MESOTA, headers={"idempotency-key": "two"}).status == 201
