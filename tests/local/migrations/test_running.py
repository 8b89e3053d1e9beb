from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sunup.local.errors import CommandError
from sunup.local.migrations import running as migrations
from sunup.settings import Settings

USERS = Path(__file__).parents[3] / "examples" / "users" / "migrations"

Admin = Callable[[str], list[tuple[object, ...]]]


def test_the_users_table_is_as_the_contract_says(settings: Settings, admin: Admin) -> None:
    assert migrations.upgrade(settings, USERS) == ["0001", "0002"]
    assert migrations.upgrade(settings, USERS) == []
    columns = admin(
        "select column_name, data_type, character_maximum_length, is_nullable, identity_generation"
        " from information_schema.columns where table_name = 'users' order by ordinal_position"
    )
    assert columns == [
        ("id", "integer", None, "NO", "ALWAYS"),
        ("name", "character varying", 255, "NO", None),
        ("email", "character varying", 255, "NO", None),
        ("created_at", "timestamp with time zone", None, "NO", None),
    ]


def test_two_at_once_apply_each_migration_once(settings: Settings) -> None:
    with ThreadPoolExecutor(2) as threads:
        applied = list(threads.map(lambda _: migrations.upgrade(settings, USERS), range(2)))
    assert sorted(applied) == [[], ["0001", "0002"]]


def test_a_database_of_another_app_is_a_clear_error(settings: Settings, admin: Admin) -> None:
    admin("create table alembic_version (version_num varchar(32) primary key)")
    admin("insert into alembic_version values ('other')")
    with pytest.raises(CommandError, match="cannot be applied"):
        migrations.upgrade(settings, USERS)
