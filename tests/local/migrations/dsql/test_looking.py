import psycopg
import pytest

from sunup.local.migrations.dsql.looking import was_executed
from sunup.local.migrations.dsql.pieces import pieces


@pytest.mark.parametrize(
    ("statement", "state", "executed"),
    [
        ("create table t (x int)", "42P07", True),
        ("create index async i on t (x)", "42P07", True),
        ("create index async i on t (x)", "42P01", False),
        ("alter table t add column y int", "42701", True),
        ("alter table t add column y int", "42P01", False),
        ("drop table t", "42P01", True),
        ("alter table t drop column y", "42703", True),
        ("alter table t rename to u", "42P01", True),
        ("create role app login", "42710", True),
        ("alter table t alter column y set default 1", "42703", False),
        ("create table t (x int)", "0A000", False),
    ],
)
def test_what_a_second_time_says(statement: str, state: str, executed: bool) -> None:
    assert was_executed(pieces(statement)[0], psycopg.errors.lookup(state)()) is executed
