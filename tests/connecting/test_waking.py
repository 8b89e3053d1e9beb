import time
from dataclasses import replace

import pytest

from sunup import deadline
from sunup.connecting.credentials import Credentials
from sunup.connecting.waking import (
    Waking,
    explained,
    gave_up,
    patience,
    ping_after,
    session_settings,
)
from sunup.failures import (
    ConnectionsBusy,
    DatabaseFull,
    DatabaseMissing,
    DatabaseResuming,
    DatabaseUnreachable,
    TokenRefused,
)
from sunup.settings import Settings

SETTINGS = Settings(host="localhost", password="x", connect_timeout=5)


def test_a_resuming_database_is_tried_without_end_and_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    waking = Waking(SETTINGS)
    now = time.time()
    for seconds in range(0, 600, 10):
        monkeypatch.setattr(time, "time", lambda moment=now + seconds: moment)
        waking.begin_attempt()
        pause = waking.pause_after(DatabaseResuming())
        assert pause is not None
        assert 0 < pause <= 0.1


def test_pauses_grow_and_have_jitter() -> None:
    pauses = set()
    for _ in range(20):
        waking = Waking(SETTINGS)
        waking.begin_attempt()
        first = waking.pause_after(DatabaseUnreachable())
        for _ in range(8):
            waking.begin_attempt()
        last = waking.pause_after(DatabaseUnreachable())
        full = waking.pause_after(DatabaseFull())
        assert full is not None
        assert 0.25 <= full <= 0.5
        assert first is not None
        assert last is not None
        assert first <= 0.02
        assert 0.05 <= last <= 0.1
        pauses.add(last)
    assert len(pauses) > 10


def test_a_full_server_is_tried_for_a_few_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    waking = Waking(SETTINGS)
    now = time.time()
    assert waking.pause_after(DatabaseFull()) is not None
    monkeypatch.setattr(time, "time", lambda: now + 4)
    assert waking.pause_after(DatabaseFull()) is not None
    monkeypatch.setattr(time, "time", lambda: now + 6)
    assert waking.pause_after(DatabaseFull()) is None


def test_what_cannot_pass_by_waiting_is_not_tried_again() -> None:
    assert Waking(SETTINGS).pause_after(DatabaseMissing()) is None


def test_patience_counts_from_the_first_failure_of_its_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waking = Waking(SETTINGS)
    now = time.time()
    assert waking.pause_after(DatabaseResuming()) is not None
    monkeypatch.setattr(time, "time", lambda: now + 100)
    assert waking.pause_after(DatabaseFull()) is not None


def test_an_attempt_that_slept_in_a_freeze_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    waking = Waking(SETTINGS)
    waking.begin_attempt()
    now = time.time()
    assert not waking.stale
    monkeypatch.setattr(time, "time", lambda: now + 30)
    assert waking.stale


def test_a_caller_waits_until_its_deadline_and_never_for_ever() -> None:
    assert patience() == 60
    with deadline.within(3):
        assert 2.9 < patience() <= 3


def test_what_was_waited_for_in_vain_has_a_name() -> None:
    assert isinstance(gave_up(None, None, 1), ConnectionsBusy)
    assert isinstance(gave_up(Waking(SETTINGS), None, 1), DatabaseResuming)
    full = DatabaseFull()
    assert gave_up(Waking(SETTINGS), full, 1) is full


def test_a_refused_token_is_explained_as_far_as_it_can_be_checked_here() -> None:
    settings = Settings(host="localhost", region="eu-central-1")
    failure = explained(TokenRefused("PAM"), settings, Credentials("ASIAX", "secret", "token", 1.0))
    text = str(failure)
    assert "(3) DB_HOST 'localhost' is not an RDS endpoint" in text
    assert "(4) signed for eu-central-1, as AWS_REGION says" in text
    assert "(5) signed with the credentials ASIAX, which have EXPIRED" in text
    assert "(6) this machine's clock says 20" in text
    assert "secret" not in text.replace("secret_key", "")
    rds = replace(settings, host="a.b.eu-central-1.rds.amazonaws.com")
    text = str(explained(TokenRefused(), rds, Credentials("A", "s", None, time.time() + 100)))
    assert "is not an RDS endpoint" not in text
    assert "valid for" in text
    full = DatabaseFull("x")
    assert explained(full, settings, None).detail == "x"


def test_a_connection_is_asked_well_before_the_server_ends_the_session() -> None:
    assert ping_after(Settings(idle_session_timeout=60)) == 10
    assert ping_after(Settings(idle_session_timeout=2)) == 1
    assert ping_after(Settings(idle_session_timeout=0)) == 10


def test_the_server_is_told_to_end_idle_sessions() -> None:
    assert session_settings(Settings(idle_session_timeout=1.5))["idle_session_timeout"] == "1500ms"
    assert session_settings(Settings(idle_session_timeout=0))["idle_session_timeout"] == "0ms"
