"""Migrations on an emulated Aurora DSQL: it refuses what a cluster refuses, and as a cluster does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sunup.connecting.credentials import CredentialSource
from sunup.local.emulator import Emulator
from sunup.local.errors import CommandError
from sunup.local.migrations import running
from sunup.local.testing import Emulate
from sunup.settings import Settings
from tests.local.emulator.dsql.clients import connect

from .conftest import Folder

EXAMPLES = Path(__file__).parents[4] / "examples"


@pytest.fixture
def aws(emulate: Emulate) -> Emulator:
    return emulate(None, engine="dsql")


class Cluster:
    """What a test does there, as admin."""

    def __init__(self, aws: Emulator) -> None:
        self.aws = aws
        self.settings = Settings.from_environment(aws.admin_environ)
        self.credentials = CredentialSource(aws.admin_environ)
        self.told: list[str] = []

    def up(self, folder: Path, **options: Any) -> list[str]:
        self.told.clear()
        return running.upgrade(
            self.settings,
            folder,
            credentials=self.credentials,
            on_retry=self.told.append,
            **options,
        )

    def down(self, folder: Path, **options: Any) -> list[str]:
        return running.downgrade(self.settings, folder, credentials=self.credentials, **options)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        with connect(self.aws) as connection:
            return connection.execute(statement.encode()).fetchall()


@pytest.fixture
def cluster(aws: Emulator) -> Cluster:
    return Cluster(aws)


@pytest.mark.parametrize("name", ["users", "users_fastapi"])
def test_the_examples_apply_there_with_the_same_files(cluster: Cluster, name: str) -> None:
    folder = EXAMPLES / name / "migrations"
    assert cluster.up(folder) == ["0001", "0002"]
    assert any("builds the index" in each or "works on the index" in each for each in cluster.told)
    assert cluster.ask(
        "select indisvalid from pg_index where indexrelid ="
        " 'ix_sunup_receipts_created_at'::regclass"
    ) == [(True,)]
    assert cluster.up(folder) == []
    assert cluster.down(folder, to="base") == ["0002", "0001"]
    assert cluster.ask("select count(*) from sunup_lock") == [(0,)]
