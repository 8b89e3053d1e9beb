import random
import time
from typing import Any

import pytest

from sunup.connecting.credentials import Credentials
from sunup.connecting.iam import auth_token
from sunup.local.emulator.tokens import AccessKey, Iam

PLACE = {"host": "localhost", "port": 5432, "user": "app", "region": "eu-central-1"}


@pytest.fixture
def iam() -> Iam:
    return Iam()


def token(key: AccessKey, *, now: float | None = None, **changes: object) -> str:
    signer = Credentials(key.id, key.secret, key.session_token)
    return auth_token(**{**PLACE, "credentials": signer, "now": now, **changes})  # type: ignore[arg-type]


def refusal(iam: Iam, made: str, now: float | None = None) -> str | None:
    return iam.refusal(made, now=now, **PLACE)  # type: ignore[arg-type]


def test_a_good_token_is_accepted_until_it_is_fifteen_minutes_old(iam: Iam) -> None:
    now = time.time()
    made = token(iam.current, now=now)
    assert refusal(iam, made, now) is None
    assert refusal(iam, made, now + 899) is None
    assert refusal(iam, made, now + 902) == "the token has expired"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"host": "other"}, "not one for this host and port"),
        ({"port": 5433}, "not one for this host and port"),
        ({"user": "admin"}, "for another user"),
        ({"region": "us-east-1"}, "for another region"),
    ],
)
def test_a_token_for_something_else_is_refused(
    iam: Iam, changes: dict[str, Any], reason: str
) -> None:
    assert reason in str(refusal(iam, token(iam.current, **changes)))


def test_a_token_from_the_future_is_refused(iam: Iam) -> None:
    assert (
        refusal(iam, token(iam.current, now=time.time() + 3600)) == "the token is from the future"
    )


def test_an_unknown_revoked_expired_or_incomplete_key_is_refused(iam: Iam) -> None:
    key = iam.current
    assert refusal(iam, token(AccessKey("ASIAX", "x"))) == "the access key is unknown"
    assert "signature" in str(refusal(iam, token(AccessKey(key.id, "x", key.session_token))))
    assert "session token" in str(refusal(iam, token(AccessKey(key.id, key.secret))))
    assert "session token" in str(refusal(iam, token(AccessKey(key.id, key.secret, "other"))))
    key.expires = time.time() - 1
    assert refusal(iam, token(key)) == "the credentials have expired"
    key.expires = None
    iam.revoke()
    assert refusal(iam, token(key)) == "the credentials were revoked"
    assert refusal(iam, token(iam.rotate())) is None


def test_a_rotation_leaves_the_old_key_valid(iam: Iam) -> None:
    old = iam.current
    iam.rotate()
    assert refusal(iam, token(old)) is None
    assert iam.current is not old


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("X-Amz-Expires=900", "X-Amz-Expires=901", "X-Amz-Expires is not between"),
        ("X-Amz-Expires=900", "X-Amz-Expires=x", "malformed"),
        ("X-Amz-Expires=900", "X-Amz-Expires=+900", "malformed"),
        ("X-Amz-Expires=900", "X-Amz-Expires=%20900", "malformed"),
        ("X-Amz-Expires=900", "X-Amz-Expires=%D9%A9%D9%A0%D9%A0", "malformed"),  # Arabic digits
        ("X-Amz-Date=2", "X-Amz-Date=%D9%A2", "malformed"),
        ("&X-Amz-Signature=", "&Role=&X-Amz-Signature=", "the signature does not match"),
        ("Action=connect", "Action=connect&Role=admin", "the signature does not match"),
        ("X-Amz-Expires=900", "X-Amz-Expires=60", "the signature does not match"),
        ("Action=connect", "Action=delete", "Action is malformed"),
        ("%2Frds-db%2F", "%2Frds%2F", "for another service"),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=a", "X-Amz-SignedHeaders is malformed"),
        ("&X-Amz-Signature=", "&X-Amz-Signature=0", "malformed"),
        ("&X-Amz-Date=", "&X-Date=", "X-Amz-Date is missing"),
        ("Action=connect", "Action=connect&Action=connect", "a parameter is repeated"),
        ("?Action", "?&&&Action", "malformed"),
    ],
)
def test_a_changed_token_is_refused(iam: Iam, old: str, new: str, reason: str) -> None:
    made = token(iam.current)
    assert old in made
    assert reason in str(refusal(iam, made.replace(old, new)))


@pytest.mark.parametrize("signature", ["%C3%A9", "é" * 64, "%00", "%ff" * 64, "0" * 64, "", "%"])
def test_any_signature_is_refused(iam: Iam, signature: str) -> None:
    start, _, _ = token(iam.current).partition("&X-Amz-Signature=")
    assert refusal(iam, f"{start}&X-Amz-Signature={signature}")


def test_any_text_is_refused_without_an_exception(iam: Iam) -> None:
    chance = random.Random(15)
    made = token(iam.current)
    for _ in range(3000):
        place = chance.randrange(len(made))
        change = chance.choice(
            ["", "%", "%C3", "é", "\ud800", "&", "=", "\0", "+", "%00", "9" * 40]
        )
        assert refusal(iam, made[:place] + change + made[place + 1 :]) or change == made[place]


def test_secrets_are_not_shown(iam: Iam) -> None:
    assert iam.current.secret not in repr(iam.current)
