"""Jobs as `sys.jobs` tells of them, and an index that is not valid."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sunup.local.errors import CommandError
from sunup.local.migrations.dsql import jobs
from sunup.local.migrations.dsql.pieces import pieces
from sunup.local.opening import open_connection
from sunup.settings import Settings

Admin = Callable[[str], list[tuple[object, ...]]]

INDEX = pieces("create unique index async i on t (x)")[0]


@pytest.fixture
def connection(dsql: Settings, admin: Admin) -> Iterator[Any]:
    admin("create schema sys")
    admin(
        "create table sys.jobs (job_id text, status text, details text, job_type text,"
        " object_name text, start_time timestamptz default now())"
    )
    admin("create table t (x int)")
    admin("create unique index i on t (x)")
    found = open_connection(dsql)
    found.autocommit = True
    yield found
    found.close()


def told_of(admin: Admin, status: str, details: str = "") -> None:
    admin("delete from sys.jobs")
    admin(
        "insert into sys.jobs (job_id, status, details, job_type, object_name)"
        f" values ('j', '{status}', '{details}', 'INDEX_BUILD', 'public.i')"
    )


def test_a_job_is_waited_for(
    connection: Any, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_PAUSE", 0.05)
    told_of(admin, "processing")
    timer = threading.Timer(0.5, lambda: told_of(admin, "completed"))
    timer.start()
    told: list[str] = []
    jobs.wait(connection, "j", INDEX, told.append)
    timer.join()
    assert told[0] == "Aurora DSQL works on the index i (processing, 0 s)"
    jobs.wait(connection, "another", INDEX, told.append)


def test_a_job_that_failed_says_why_and_what_to_do(connection: Any, admin: Admin) -> None:
    told_of(admin, "failed", "Found duplicate key while validating index for UCVs")
    with pytest.raises(CommandError, match="the index i: Found duplicate key") as raised:
        jobs.wait(connection, "j", INDEX, print)
    assert "drop index i; and run the command again" in raised.value.cure


def test_an_index_that_another_run_began_is_waited_for_or_told(
    connection: Any, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_PAUSE", 0.05)
    jobs.wait_for_index(connection, "i", print)
    valid = "update pg_index set indisvalid = {} where indexrelid = 'i'::regclass"
    admin(valid.format(False))
    told_of(admin, "processing")
    timer = threading.Timer(0.5, lambda: admin(valid.format(True)))
    timer.start()
    jobs.wait_for_index(connection, "i", print)
    timer.join()
    admin(valid.format(False))
    told_of(admin, "failed", "Found duplicate key")
    with pytest.raises(CommandError, match=r"the index i is not valid.*: Found duplicate key"):
        jobs.wait_for_index(connection, "i", print)
    admin("delete from sys.jobs")
    with pytest.raises(CommandError, match="nothing builds it"):
        jobs.wait_for_index(connection, "i", print)
