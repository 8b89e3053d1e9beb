"""An emulated Aurora DSQL that the tests of a file share: each has an empty schema."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from sunup.local.emulator import DsqlOptions, Emulator, EmulatorOptions

_EMPTY = """
drop schema public cascade;
create schema public;
grant usage on schema public to public;
grant all on schema public to admin with grant option;
delete from sys.work;
"""


@pytest.fixture(scope="module")
def shared(server: dict[str, str]) -> Iterator[Emulator]:
    """One for a file, without OC001: the others' tables come and go."""
    name = f"test_{uuid.uuid4().hex}"
    owner = {"host": server["DB_HOST"], "user": "postgres", "autocommit": True}
    with psycopg.connect(**owner, dbname="postgres") as connection:  # type: ignore[arg-type]
        connection.execute(f"create database {name}".encode())
    options = DsqlOptions(schema_conflicts=False, job_seconds=0.3)
    made = EmulatorOptions(engine="dsql", dsql=options)
    with Emulator(None, made, server={**server, "DB_NAME": name}) as aws:
        yield aws


@pytest.fixture
def aws(shared: Emulator) -> Emulator:
    """The shared one, emptied."""
    server = shared._database
    with psycopg.connect(
        host=server["DB_HOST"], user="postgres", dbname=server["DB_NAME"], autocommit=True
    ) as connection:
        connection.execute(_EMPTY.encode())
    return shared
