"""How many connections the emulated Aurora DSQL takes, how fast, and for how long."""

import time

import psycopg
import pytest

from sunup.local.emulator import DsqlOptions
from sunup.local.testing import Emulate

from .clients import connect, works


def test_the_limit_of_connections_is_reached_and_free_again(emulate: Emulate) -> None:
    aws = emulate(engine="dsql", dsql=DsqlOptions(connection_limit=2))
    with connect(aws), connect(aws), pytest.raises(psycopg.OperationalError) as caught:
        connect(aws)
    assert "Unable to accept connection, too many open connections." in str(caught.value)
    end = time.monotonic() + 5
    while aws.state()["aurora"]["connections"] and time.monotonic() < end:
        time.sleep(0.01)
    assert works(aws)


def test_connections_that_come_too_fast_are_refused(emulate: Emulate) -> None:
    aws = emulate(engine="dsql", dsql=DsqlOptions(connection_rate=5, connection_burst=2))
    connect(aws).close()
    connect(aws).close()
    with pytest.raises(psycopg.OperationalError, match="Unable to accept connection, rate exceed"):
        for _ in range(5):
            connect(aws).close()
    time.sleep(0.5)
    assert works(aws)


def test_a_connection_ends_without_a_word_when_its_time_is_over(emulate: Emulate) -> None:
    aws = emulate(engine="dsql", dsql=DsqlOptions(connection_lifetime=0.5))
    with connect(aws) as connection:
        connection.execute("create table ended (id int)")
        connection.execute("begin")
        connection.execute("insert into ended values (1)")
        time.sleep(0.6)
        with pytest.raises(psycopg.OperationalError) as caught:
            connection.execute("insert into ended values (2)")
    assert caught.value.sqlstate is None
    with connect(aws) as again:
        assert again.execute("select count(*) from ended").fetchone() == (0,)
