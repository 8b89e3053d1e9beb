"""What goes wrong with the emulated Aurora DSQL on demand."""

import time

import psycopg
import pytest

from sunup.local.emulator import Emulator

from .clients import connect, works


@pytest.mark.parametrize("fault", ["drop", "refuse", "restart", "failover"])
def test_after_a_fault_it_lets_everybody_in_again(aws: Emulator, fault: str) -> None:
    with connect(aws) as connection:
        aws.do(f"aurora/{fault}")
        if fault == "refuse":
            assert connection.execute("select 1").fetchone() == (1,)  # open sessions go on
        else:
            with pytest.raises(psycopg.OperationalError):
                connection.execute("select 1")
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            assert works(aws)
            break
        except psycopg.OperationalError:
            time.sleep(0.05)
    assert works(aws)


def test_it_can_be_slow_and_lose_an_answer(aws: Emulator) -> None:
    with connect(aws) as connection:
        connection.execute("create table t (id int)")
        aws.dsql.faults.delay = 0.2
        began = time.monotonic()
        connection.execute("select 1")
        assert time.monotonic() - began >= 0.2
        aws.dsql.faults.delay = 0.0
        aws.dsql.faults.reset_next = True
        with pytest.raises(psycopg.OperationalError):
            connection.execute("insert into t values (1)")
    with connect(aws) as connection:
        assert connection.execute("select count(*) from t").fetchone() == (1,)


def test_a_conflict_is_on_the_timeline(aws: Emulator) -> None:
    with connect(aws) as connection:
        connection.execute("create table t (id int)")
        aws.do("dsql/conflict")
        with pytest.raises(psycopg.errors.SerializationFailure):
            connection.execute("insert into t values (1)")
    reasons = [each["reason"] for each in aws.timeline.events if each["kind"] == "conflict"]
    assert "OC000" in reasons[-1]
    assert works(aws)
