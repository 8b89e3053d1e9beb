"""The emulated Aurora DSQL sleeps: IDLE wakes for a connect, INACTIVE refuses it first."""

import time

import psycopg
import pytest

from sunup.local.emulator import DsqlOptions, Emulator
from sunup.local.testing import Emulate

from .clients import connect, works

WAKING = "unable to accept connection, waking up cluster, please retry later"


def status(aws: Emulator) -> str:
    return str(aws.state()["aurora"]["status"])


def wait_for(aws: Emulator, wanted: str) -> None:
    end = time.monotonic() + 5
    while status(aws) != wanted and time.monotonic() < end:
        time.sleep(0.02)
    assert status(aws) == wanted


def test_an_inactive_cluster_refuses_at_once_and_wakes(emulate: Emulate) -> None:
    aws = emulate(engine="dsql", dsql=DsqlOptions(wake_seconds=2))
    aws.do("aurora/pause")
    assert status(aws) == "INACTIVE"
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError, match=WAKING):
        connect(aws)
    assert time.monotonic() - began < 1.5
    with pytest.raises(psycopg.OperationalError, match=WAKING):
        connect(aws)  # it wakes still
    time.sleep(2.1)
    assert works(aws)


def test_it_becomes_idle_and_then_inactive_without_connections(emulate: Emulate) -> None:
    options = DsqlOptions(idle_after=0.3, inactive_after=0.9, wake_seconds=0)
    aws = emulate(engine="dsql", dsql=options)
    with connect(aws):
        time.sleep(0.5)
        assert status(aws) == "ACTIVE"  # an idle connection is one
    wait_for(aws, "IDLE")
    assert works(aws)
    wait_for(aws, "INACTIVE")
    with pytest.raises(psycopg.OperationalError, match=WAKING):
        connect(aws)
    time.sleep(0.1)
    assert works(aws)
