"""Which engine a host name is of."""

import pytest

from sunup import engines
from sunup.engines import Engine, recognised
from sunup.settings import Settings, SettingsError

DSQL_HOST = "abcdefghijklmnopqrstuvwx12.dsql.eu-central-1.on.aws"


@pytest.mark.parametrize(
    ("host", "engine", "region"),
    [
        ("app.cluster-abc.eu-central-1.rds.amazonaws.com", engines.AURORA, "eu-central-1"),
        ("app.cluster-ro-abc.us-east-1.rds.amazonaws.com", engines.AURORA, "us-east-1"),
        ("one.abc.cn-north-1.rds.amazonaws.com.cn", engines.AURORA, "cn-north-1"),
        ("app.proxy-abc.eu-west-3.rds.amazonaws.com", engines.RDS_PROXY, "eu-west-3"),
        ("ro.endpoint.proxy-abc.eu-west-3.rds.amazonaws.com", engines.RDS_PROXY, "eu-west-3"),
        (DSQL_HOST, engines.DSQL, "eu-central-1"),
        (DSQL_HOST.upper(), engines.DSQL, "eu-central-1"),
        # Of a VPC endpoint (DSQL User Guide, "Connecting using AWS PrivateLink").
        ("abc.dsql-fnh4.us-east-1.on.aws", engines.DSQL, "us-east-1"),
        ("ep-cool-darkness-123456.us-east-2.aws.neon.tech", engines.NEON, None),
        ("ep-cool-darkness-123456.c-2.us-east-2.aws.neon.tech", engines.NEON, None),
        ("ep-cool-darkness-123456-pooler.us-east-2.aws.neon.tech", engines.NEON_POOLER, None),
    ],
)
def test_an_engine_is_recognised_by_its_host_name(
    host: str, engine: Engine, region: str | None
) -> None:
    assert recognised(host) == (engine, region)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "db.example.com",
        "/tmp/socket",
        "",
        "abc.dsql.eu-central-1.on.aws.example.com",
        "dsql.eu-central-1.on.aws",
        "rds.amazonaws.com",
        "neon.tech",
        "evilneon.tech",
    ],
)
def test_any_other_host_name_tells_nothing(host: str) -> None:
    assert recognised(host) is None


def read(**environ: str) -> Settings:
    return Settings.from_environment(environ)


def test_a_name_of_ones_own_is_aurora_s_and_with_a_password_a_plain_server_s() -> None:
    assert read(DB_HOST="db.example.com", AWS_REGION="eu-west-1").engine is engines.AURORA
    assert read(DB_HOST="db.example.com", DB_PASSWORD="x").engine is engines.POSTGRESQL
    assert read(DB_HOST="/tmp/socket").engine is engines.POSTGRESQL


def test_db_engine_says_it_for_a_name_of_ones_own() -> None:
    settings = read(DB_HOST="db.example.com", DB_ENGINE="dsql", AWS_REGION="eu-west-1")
    assert settings.engine is engines.DSQL
    assert settings.uses_token
    with pytest.raises(SettingsError, match="DB_ENGINE is 'dsq'; expected one of aurora, "):
        read(DB_HOST="db.example.com", DB_ENGINE="dsq")


def test_dsql_s_region_is_in_its_name_and_it_has_one_database() -> None:
    assert read(DB_HOST=DSQL_HOST, DB_USER="app").region == "eu-central-1"
    with pytest.raises(SettingsError, match="DB_NAME is 'users'; expected postgres"):
        read(DB_HOST=DSQL_HOST, DB_NAME="users")


def test_neon_wants_a_password() -> None:
    host = "ep-cool-darkness-123456.us-east-2.aws.neon.tech"
    assert not read(DB_HOST=host, DB_PASSWORD="x").uses_token
    with pytest.raises(SettingsError, match="DB_PASSWORD is not set; expected the role's password"):
        read(DB_HOST=host)
