"""The same promises for a sync app: WSGI and psycopg."""

import time
from pathlib import Path

import httpx2
import pytest

from sunup.local.emulator import AuroraOptions, GatewayOptions
from sunup.local.emulator.options import HangAt
from sunup.local.testing import Emulate

from .test_connections import FAULTS

DATABASE = "from sunup.psycopg import Database\ndb = Database()\n"

APP = """
from database import db

def app(environ, start_response):
    with db.connection() as connection:
        if environ["REQUEST_METHOD"] == "POST":
            name = environ["wsgi.input"].read().decode()
            connection.execute("insert into written values (%s)", (name,))
        rows = connection.execute("select name from written order by name").fetchall()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join(row[0] for row in rows).encode()]
"""

ENTRY = """
from database import db
from sunup import Handler
handler = Handler("app:app", database=db)
"""

MIGRATION = """
from alembic import op
import sqlalchemy as sa
revision = "1"
down_revision = None
def upgrade(): op.create_table("written", sa.Column("name", sa.Text, primary_key=True))
"""

ENV = """
from alembic import context
context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "migrations" / "versions").mkdir(parents=True)
    for name, text in {
        "database.py": DATABASE,
        "app.py": APP,
        "lambda_function.py": ENTRY,
        "migrations/env.py": ENV,
        "migrations/versions/one.py": MIGRATION,
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("stage", ["tcp", "tls", "auth"])
def test_the_first_request_is_answered_within_a_second_of_the_wake(
    emulate: Emulate, app: Path, stage: HangAt
) -> None:
    aws = emulate(app, aurora=AuroraOptions(resume_seconds=2, hang_at=stage))
    assert httpx2.get(aws.url, timeout=20).status_code == 200
    aws.do("aurora/pause")
    began = time.monotonic()
    assert httpx2.get(aws.url, timeout=20).status_code == 200
    assert 1.9 < time.monotonic() - began < 3


def test_a_wake_that_takes_too_long_is_a_503_before_the_gateway_s_own(
    emulate: Emulate, app: Path
) -> None:
    aws = emulate(
        app,
        aurora=AuroraOptions(resume_seconds=6),
        gateway=GatewayOptions(timeout=4),
        environ={"GATEWAY_TIMEOUT": "4"},
    )
    aws.do("aurora/pause")
    reply = httpx2.get(aws.url, timeout=20)
    assert (reply.status_code, reply.json()["code"]) == (503, "database_resuming")
    assert int(reply.headers["retry-after"]) > 0
    time.sleep(3)
    assert httpx2.get(aws.url, timeout=20).status_code == 200


@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_request_is_answered_and_nothing_is_written_twice(
    emulate: Emulate, app: Path, fault: str
) -> None:
    aws = emulate(
        app,
        aurora=AuroraOptions(resume_seconds=1),
        environ={"DB_IDLE_SESSION_TIMEOUT": "0.8"},
    )
    for number in range(3):
        FAULTS[fault](aws)
        reply = httpx2.post(aws.url, content=f"u{number}".encode(), timeout=20)
        assert reply.status_code == 200, reply.text
    assert reply.text == "u0 u1 u2"


def test_a_write_that_was_lost_before_its_commit_may_be_repeated(
    emulate: Emulate, app: Path
) -> None:
    aws = emulate(app)
    assert httpx2.post(aws.url, content=b"a").status_code == 200
    aws.aurora.faults.reset_next = True
    reply = httpx2.post(aws.url, content=b"b")
    assert (reply.status_code, reply.json()["code"]) == (503, "connection_lost")
    assert (reply.json()["executed"], reply.headers["retry-after"]) == ("no", "1")
    assert httpx2.get(aws.url).text == "a"
    assert httpx2.post(aws.url, content=b"b").text == "a b"
