"""Roles, mappings and rights in an emulated Aurora DSQL."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sunup.connecting.credentials import CredentialSource
from sunup.local.cloud.dsql import roles
from sunup.local.emulator import Emulator
from sunup.local.errors import CommandError
from sunup.local.testing import Emulate
from sunup.settings import Settings
from tests.local.emulator.dsql.clients import connect

ROLE = "arn:aws:iam::123456789012:role/other"

Connected = Callable[[], Any]


@pytest.fixture
def aws(emulate: Emulate) -> Emulator:
    return emulate(None, engine="dsql")


@pytest.fixture
def admin(aws: Emulator) -> Connected:
    settings = Settings.from_environment(aws.admin_environ)
    return lambda: roles.connected(settings, CredentialSource(aws.environ))


def elsewhere(aws: Emulator, statement: str) -> None:
    with connect(aws) as connection:
        connection.execute(statement.encode())


def test_a_change_of_the_catalog_by_somebody_else_is_borne(aws: Emulator, admin: Connected) -> None:
    """OC001, at each next statement: reading, mapping, granting."""
    with admin() as connection:
        assert roles.may_log_in(connection, "app")
        elsewhere(aws, "create table a (id uuid primary key)")
        assert ROLE not in roles.mapped(connection, "app")
        elsewhere(aws, "create table b (id uuid primary key)")
        assert roles.allow(connection, "app", ROLE)
        elsewhere(aws, "revoke delete on a from app")
        assert roles.grant(connection, "app") == ["a"]
        assert roles.lacked(connection, "app") == {}
        assert not roles.allow(connection, "app", ROLE)


def test_what_is_there_is_neither_made_nor_granted_again(aws: Emulator, admin: Connected) -> None:
    elsewhere(aws, "create table a (id uuid primary key)")
    with admin() as connection:
        roles.grant(connection, "app")
        before = aws.dsql.conflicts.catalog
        assert not roles.create(connection, "app")
        assert roles.grant(connection, "app") == []
        assert aws.dsql.conflicts.catalog == before


def test_a_role_that_may_not_log_in_may_then(aws: Emulator, admin: Connected) -> None:
    elsewhere(aws, "create role asleep_app")
    with admin() as connection:
        assert roles.may_log_in(connection, "asleep_app") is False
        assert roles.may_log_in(connection, "nobody_app") is None
        assert roles.create(connection, "asleep_app")
        assert roles.may_log_in(connection, "asleep_app")
    elsewhere(aws, "drop role asleep_app")


def test_who_is_not_the_admin_is_told_in_words(aws: Emulator) -> None:
    app = replace(Settings.from_environment(aws.environ), user="app")
    with (
        pytest.raises(CommandError, match="app cannot prepare the database: permission denied"),
        roles.connected(app, CredentialSource(aws.environ)) as connection,
    ):
        roles.create(connection, "other_app")
    with roles.connected(replace(app, user="admin"), CredentialSource(aws.environ)) as connection:
        assert roles.may_log_in(connection, "other_app") is None
