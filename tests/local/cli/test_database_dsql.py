"""`sunup database` for Aurora DSQL: its control plane is moto's, what is in it is emulated."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import psycopg
import pytest

from sunup.local.cloud.dsql import database as making
from sunup.local.cloud.dsql.cluster import Clusters
from sunup.local.emulator import DsqlOptions, Emulator
from sunup.local.testing import Emulate
from tests.local.cli.cloud import DSQL_REGION, like_dsql, moto_server
from tests.local.cli.conftest import Cli
from tests.local.emulator.dsql.clients import connect, password

ELSEWHERE = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def control(app_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """botocore's client of the same control plane."""
    like_dsql(monkeypatch)
    monkeypatch.setattr(Clusters.__init__, "__defaults__", (0.01,))
    with moto_server(monkeypatch):
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, DSQL_REGION)
        yield botocore.session.Session().create_client("dsql")


def made(control: Any, **options: Any) -> str:
    tags = {"sunup:app": "users", "ManagedBy": "sunup"}
    answer = control.create_cluster(**{"deletionProtectionEnabled": True, "tags": tags, **options})
    return str(answer["identifier"])


def test_show_tells_state_endpoint_protection_and_tags(
    control: Any, app_dir: Path, cli: Cli
) -> None:
    identifier = made(control)
    status, out, _ = cli("database", "show", app_dir, "--engine", "dsql")
    assert status == 0
    assert f"cluster      {identifier}, " in out
    assert f"endpoint     {identifier}.dsql.us-east-1.on.aws:5432\n" in out
    assert "protection   on\n" in out
    assert "tags         ManagedBy=sunup, sunup:app=users\n" in out
    # Without --engine, DB_HOST says which it is.
    (app_dir / ".env").write_text(f"DB_HOST={identifier}.dsql.us-east-1.on.aws\n")
    content = json.loads(cli("database", "show", app_dir, "--json")[1])
    assert (content["identifier"], content["deletion_protection"]) == (identifier, True)
    assert content["arn"] == f"arn:aws:dsql:us-east-1:123456789012:cluster/{identifier}"


def test_delete_asks_for_the_identifier_once_the_protection_is_off(
    control: Any, app_dir: Path, cli: Cli
) -> None:
    identifier = made(control)
    delete = ("database", "delete", app_dir, "--engine", "dsql")
    assert "is protected against deletion" in cli(*delete)[2]
    control.update_cluster(identifier=identifier, deletionProtectionEnabled=False)
    assert "nothing was deleted" in cli(*delete, "--confirm", "users")[2]
    status, out, _ = cli(*delete, "--confirm", identifier)
    assert (status, out) == (0, f"Deleting {identifier}.\nDeleted.\n")
    assert control.list_clusters()["clusters"] == []
    assert "has no Aurora DSQL cluster" in cli(*delete)[2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("delete",), "is Terraform's"),
        (("create", "--no-deletion-protection"), "is Terraform's"),
    ],
)
def test_what_terraform_made_is_terraform_s_to_change(
    control: Any, app_dir: Path, cli: Cli, arguments: tuple[str, ...], says: str
) -> None:
    identifier = made(control, tags={"ManagedBy": "terraform"})
    status, _, err = cli(
        "database", arguments[0], app_dir, "--engine", "dsql", "--cluster", identifier,
        *arguments[1:],
    )  # fmt: skip
    assert (status, says in err) == (1, True), err
    assert "dsql_deletion_protection" in err
    assert control.get_cluster(identifier=identifier)["deletionProtectionEnabled"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "--max-acu", "4"), "--max-acu is not for Aurora DSQL: it has no capacity"),
        (("create", "--min-acu", "0"), "--min-acu is not for Aurora DSQL"),
        (("create", "--pause-after", "300"), "costs nothing while nobody uses it"),
        (("create", "--backup-days", "7"), "AWS Backup makes its backups"),
        (("create", "--database", "shop"), "it has one database, postgres"),
        (("delete", "--skip-final-snapshot"), "AWS Backup makes its backups"),
        (("create", "--cluster", "users"), "'users' is not the identifier of an Aurora DSQL"),
        (("create", "--cluster", ELSEWHERE), f"there is no Aurora DSQL cluster {ELSEWHERE}"),
        (("show", "--cluster", ELSEWHERE), f"there is no Aurora DSQL cluster {ELSEWHERE}"),
        (("show",), "users has no Aurora DSQL cluster in this account and us-east-1"),
        (("create", "--grant", "me"), "is not the ARN of an IAM role or user"),
    ],
)
def test_what_makes_no_sense_there_is_refused_in_words(
    control: Any, app_dir: Path, cli: Cli, arguments: tuple[str, ...], says: str
) -> None:
    command, *options = arguments
    status, _, err = cli("database", command, app_dir, "--engine", "dsql", *options)
    assert (status, says in err) == (1, True), err
    assert control.list_clusters()["clusters"] == []


def test_an_option_of_dsql_is_refused_for_aurora(app_dir: Path, cli: Cli) -> None:
    arn = "arn:aws:iam::123456789012:role/developers"
    status, _, err = cli("database", "create", app_dir, "--grant", arn)
    assert (status, "--grant is for Aurora DSQL" in err) == (1, True)


def test_a_role_that_may_do_everything_is_not_the_app_s(
    control: Any, app_dir: Path, cli: Cli
) -> None:
    identifier = made(control)
    host = f"{identifier}.dsql.us-east-1.on.aws"
    (app_dir / ".env").write_text(f"DB_HOST={host}\nDB_USER=admin\n")
    status, _, err = cli("database", "create", app_dir)
    assert (status, "the app's role would be admin" in err) == (1, True)


@pytest.fixture
def dsql(
    emulate: Emulate,
    control: Any,
    app_dir: Path,
    database: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Emulator]:
    """Each cluster's endpoint is this emulated one; `.env` has the keys that sign for it."""
    aws = emulate(None, engine="dsql", dsql=DsqlOptions(region=DSQL_REGION, wake_seconds=4))
    like_dsql(monkeypatch, host="localhost")
    monkeypatch.setattr(making, "PORT", aws.dsql.port)
    keys = aws.iam.current.environment()
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    (app_dir / ".env").write_text(f"DB_SSLROOTCERT={aws.environ['DB_SSLROOTCERT']}\n")
    yield aws
    # Roles are the server's, which other tests share.
    with psycopg.connect(
        host=database["DB_HOST"], user="postgres", dbname=database["DB_NAME"], autocommit=True
    ) as server:
        server.execute("drop owned by users_app")
        server.execute("drop role users_app")


def as_admin(dsql: Emulator) -> "psycopg.Connection[Any]":
    return connect(dsql, password=password(dsql, region=DSQL_REGION))


def told(out: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+) +(.*)$", out, re.MULTILINE))


def test_create_makes_cluster_role_mapping_and_files_and_nothing_twice(
    dsql: Emulator, control: Any, app_dir: Path, cli: Cli
) -> None:
    create = ("database", "create", app_dir, "--engine", "dsql", "--region", DSQL_REGION)
    status, out, err = cli(*create)
    assert (status, err) == (0, "")
    (identifier,) = [each["identifier"] for each in control.list_clusters()["clusters"]]
    assert told(out)["Cluster"] == f"{identifier} in us-east-1: creation started"
    assert told(out)["Database"] == "postgres: role users_app, users-function may be users_app"
    assert told(out)["Written"] == ".env, terraform/terraform.tfvars"
    described = control.get_cluster(identifier=identifier)
    assert described["deletionProtectionEnabled"]
    assert described["tags"]["sunup:app"] == "users"
    env = (app_dir / ".env").read_text()
    for line in (
        "DB_HOST=localhost", "DB_ENGINE=dsql", "DB_NAME=postgres", "DB_USER=users_app",
        "DB_MIGRATION_USER=admin", "AWS_REGION=us-east-1",
    ):  # fmt: skip
        assert f"{line}\n" in env
    tfvars = (app_dir / "terraform" / "terraform.tfvars").read_text()
    assert 'db_engine = "dsql"\n' in tfvars
    assert 'db_host = "localhost"\n' in tfvars
    assert 'db_user = "users_app"\n' in tfvars
    with as_admin(dsql) as admin:
        arn = "arn:aws:iam::123456789012:role/users-function"
        query = "select pg_role_name, arn from sys.iam_pg_role_mappings where pg_role_name <> 'app'"
        assert admin.execute(query).fetchall() == [("users_app", arn)]
    # Once more: found by its tag, nothing is made or granted again.
    status, out, _ = cli(*create)
    assert status == 0
    assert told(out)["Cluster"] == f"{identifier} in us-east-1: exists"
    assert told(out)["Database"] == "postgres: nothing to do"
    assert (app_dir / ".env").read_text() == env


def test_tables_that_are_there_are_the_app_s_to_use_but_not_those_of_migrations(
    dsql: Emulator, control: Any, app_dir: Path, cli: Cli
) -> None:
    with as_admin(dsql) as admin:
        admin.execute("create table orders (id uuid primary key)")
        admin.execute("create table alembic_version (version_num text primary key)")
        admin.execute("create sequence numbers cache 1")
    also = "arn:aws:iam::123456789012:role/team/developers"
    status, out, err = cli("database", "create", app_dir, "--engine", "dsql", "--grant", also)
    assert (status, err) == (0, "")
    assert told(out)["Database"] == (
        "postgres: role users_app, users-function may be users_app, developers may be users_app, "
        "rights on alembic_version, numbers, orders"
    )
    with as_admin(dsql) as admin:
        row = admin.execute(
            "select has_table_privilege('users_app', 'orders', 'select, insert, update, delete'),"
            " has_table_privilege('users_app', 'orders', 'truncate'),"
            " has_table_privilege('users_app', 'alembic_version', 'select'),"
            " has_table_privilege('users_app', 'alembic_version', 'insert, update, delete'),"
            " has_sequence_privilege('users_app', 'numbers', 'usage')"
        ).fetchone()
    assert row == (True, False, True, False, True)
    assert told(cli("database", "create", app_dir)[1])["Database"] == "postgres: nothing to do"


def test_an_existing_cluster_is_changed_where_an_option_says_so(
    dsql: Emulator, control: Any, app_dir: Path, cli: Cli
) -> None:
    identifier = made(control)
    status, out, _ = cli(
        "database", "create", app_dir, "--engine", "dsql", "--cluster", identifier,
        "--no-deletion-protection", "--json",
    )  # fmt: skip
    assert status == 0
    content = json.loads(out)
    assert (content["app_user"], content["migration_user"]) == ("users_app", "admin")
    assert not control.get_cluster(identifier=identifier)["deletionProtectionEnabled"]
    assert len(control.list_clusters()["clusters"]) == 1


def test_a_stage_has_a_cluster_of_its_own_and_its_own_files(
    dsql: Emulator, control: Any, app_dir: Path, cli: Cli
) -> None:
    """There is one database in a cluster, which two stages would share."""
    made(control)
    project = app_dir / "pyproject.toml"
    project.write_text(project.read_text() + "\n[tool.sunup.stages.prod]\napp_user = 'users_app'\n")
    (app_dir / ".env").rename(app_dir / ".env.prod")
    status, out, err = cli("--stage", "prod", "database", "create", app_dir, "--engine", "dsql")
    assert (status, err) == (0, "")
    assert "creation started" in told(out)["Cluster"]
    assert "users-prod-function may be users_app" in told(out)["Database"]
    assert told(out)["Written"] == ".env.prod, terraform/prod.tfvars"
    assert len(control.list_clusters()["clusters"]) == 2
    out = cli("--stage", "prod", "database", "show", app_dir)[1]
    assert "sunup:app=users-prod" in out


def test_an_older_terraform_is_told(dsql: Emulator, control: Any, app_dir: Path, cli: Cli) -> None:
    (app_dir / "terraform" / "dsql.tf").unlink()
    variables = app_dir / "terraform" / "variables.tf"
    variables.write_text(variables.read_text().replace('variable "db_engine"', 'variable "x"'))
    status, _, err = cli("database", "create", app_dir, "--engine", "dsql")
    assert (status, "knows no Aurora DSQL yet" in err) == (0, True)


def test_a_cluster_that_wakes_is_waited_for(
    dsql: Emulator, control: Any, app_dir: Path, cli: Cli
) -> None:
    dsql.do("aurora/pause")
    assert cli("database", "create", app_dir, "--engine", "dsql")[0] == 0


def test_a_function_that_is_not_there_yet_is_let_in_by_the_deployment(
    dsql: Emulator, control: Any, app_dir: Path, cli: Cli, database: dict[str, str]
) -> None:
    """Aurora DSQL looks the IAM role up (User Guide, "Troubleshooting"); the emulator does not."""
    with psycopg.connect(
        host=database["DB_HOST"], user="postgres", dbname=database["DB_NAME"], autocommit=True
    ) as server:
        server.execute(
            "create or replace function sys.iam_grant(name text, caller text) returns void"
            " language plpgsql as $$ begin raise exception using errcode = '42704',"
            " message = format('IAM role %s does not exist', caller); end $$"
        )
    status, out, err = cli("database", "create", app_dir, "--engine", "dsql")
    assert (status, told(out)["Database"]) == (0, "postgres: role users_app")
    assert "Note: users-function cannot be users_app yet (IAM role " in err
    assert "sunup deploy sees to it" in err
    # One that was asked for is a failure.
    also = "arn:aws:iam::123456789012:role/nobody"
    status, _, err = cli("database", "create", app_dir, "--grant", also)
    assert (status, f"IAM role {also} does not exist" in err) == (1, True)
