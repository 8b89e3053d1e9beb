"""`sunup database` against botocore's Stubber (it checks each request) and an emulated Aurora."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import psycopg
import pytest
from botocore.stub import Stubber

from sunup.local.aws import Aws
from sunup.local.cloud import cluster as clusters
from sunup.local.emulator import Emulator
from tests.local.cli.conftest import Cli

ARN = "arn:aws:rds:eu-central-1:123456789012:cluster:users"


def described(status: str = "available", **fields: Any) -> dict[str, Any]:
    return {
        "DBClusters": [
            {
                "DBClusterIdentifier": "users",
                "Status": status,
                "Endpoint": "localhost",
                "Port": 5432,
                "DbClusterResourceId": "cluster-ABC",
                "DBClusterArn": ARN,
                "EngineVersion": "17.7",
                "InternetAccessGatewayEnabled": True,
                "ServerlessV2ScalingConfiguration": {
                    "MinCapacity": 0.0,
                    "MaxCapacity": 4.0,
                    "SecondsUntilAutoPause": 300,
                },
                "DeletionProtection": True,
                "BackupRetentionPeriod": 7,
                "DBClusterMembers": [{"DBInstanceIdentifier": "users-instance-1"}],
                **fields,
            }
        ]
    }


def instance(status: str) -> dict[str, Any]:
    return {"DBInstances": [{"DBInstanceStatus": status}]}


class Rds(Stubber):  # type: ignore[misc]  # botocore has no types
    """RDS, as far as a test says what it is asked and what it answers."""

    def __init__(self) -> None:
        session = botocore.session.Session()
        session.set_credentials("AKIA", "secret")
        client = session.create_client("rds", region_name="eu-central-1")
        super().__init__(client)

    def asked(self, operation: str, answer: dict[str, Any], **expected: Any) -> None:
        self.add_response(operation, answer, expected)

    def describe(self, answer: dict[str, Any]) -> None:
        self.asked("describe_db_clusters", answer, DBClusterIdentifier="users")

    def describe_instance(self, status: str) -> None:
        self.asked(
            "describe_db_instances", instance(status), DBInstanceIdentifier="users-instance-1"
        )

    def missing(self) -> None:
        self.add_client_error("describe_db_clusters", "DBClusterNotFoundFault", "none")


@pytest.fixture
def rds(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rds]:
    stub = Rds()
    stub.activate()
    monkeypatch.setattr(Aws, "client", lambda *_: stub.client)
    monkeypatch.setattr(clusters.Clusters.__init__, "__defaults__", (0.01,))
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    yield stub
    stub.assert_no_pending_responses()


@pytest.fixture
def admin(
    aws: Emulator, app_dir: Path, database: dict[str, str]
) -> Callable[..., list[tuple[Any, ...]]]:
    """The cluster is the emulated Aurora, whose `postgres` is no superuser, as on AWS."""
    (app_dir / ".env").write_text(
        "\n".join(
            f"{name}={value}"
            for name, value in aws.environ.items()
            if name.startswith(("AWS_", "DB_SSL"))
        )
    )

    def run(statement: str, name: str = "postgres") -> list[tuple[Any, ...]]:
        with psycopg.connect(
            host=database["DB_HOST"], user="postgres", dbname=name, autocommit=True
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    return run


Admin = Callable[..., list[tuple[Any, ...]]]


def test_create_makes_cluster_database_roles_and_files(
    rds: Rds, aws: Emulator, app_dir: Path, cli: Cli, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin("create role rds_admin login createdb createrole; grant rds_iam to rds_admin with admin option")  # fmt: skip
    monkeypatch.setattr("sunup.local.cloud.database.ADMIN", "rds_admin")
    port = aws.aurora.port
    rds.missing()
    rds.asked(
        "create_db_cluster",
        {},
        DBClusterIdentifier="users",
        Engine="aurora-postgresql",
        WithExpressConfiguration=True,
        ServerlessV2ScalingConfiguration={
            "MinCapacity": 0.0,
            "MaxCapacity": 4.0,
            "SecondsUntilAutoPause": 300,
        },
        DeletionProtection=True,
        BackupRetentionPeriod=7,
        Tags=[{"Key": "ManagedBy", "Value": "sunup"}],
    )
    rds.describe(described("creating", DBClusterMembers=[]))
    rds.describe(described("available", Port=port))
    rds.describe_instance("creating")
    rds.describe(described("available", Port=port))
    rds.describe_instance("available")
    name = f"shop_{port}"
    status, out, err = cli("database", "create", app_dir, "--database", name)
    assert (status, err) == (0, "")
    assert f"Database    {name}: role {name}_migrate, role {name}_app, database {name}" in out
    assert "Written     .env, terraform/terraform.tfvars" in out
    tfvars = (app_dir / "terraform" / "terraform.tfvars").read_text()
    assert 'db_cluster_resource_id = "cluster-ABC"' in tfvars
    assert "max_acu = 4\n" in tfvars
    env = (app_dir / ".env").read_text()
    assert f"DB_USER={name}_app" in env
    assert env.count("AWS_REGION=") == 1
    # The migrations run as the owner; the app may use the tables and nothing else.
    assert cli("migrate", "up", app_dir)[1] == "Applied 0001, 0002.\n"
    assert _privileges(admin, name) == (True, False, False, f"{name}_migrate")
    settings = admin(f"select rolconfig from pg_roles where rolname = '{name}_app'")
    assert settings == [(["idle_session_timeout=60s"],)]
    assert admin(f"select datacl::text from pg_database where datname = '{name}'")[0][0].count("=c/") == 1  # fmt: skip
    # Once more: nothing is made twice, nothing is changed.
    rds.describe(described(Port=port))
    rds.describe(described(Port=port))
    rds.describe_instance("available")
    status, out, _ = cli("database", "create", app_dir, "--database", name)
    assert status == 0
    assert "Cluster     users in eu-central-1: exists" in out
    assert f"Database    {name}: nothing to do" in out
    assert (app_dir / ".env").read_text() == env


def _privileges(admin: Admin, name: str) -> tuple[Any, ...]:
    return admin(
        "select has_table_privilege(r, 'users', 'select, insert, update, delete'),"
        " has_table_privilege(r, 'users', 'truncate'),"
        " has_schema_privilege(r, 'public', 'create'),"
        " (select tableowner::text from pg_tables where tablename = 'users')"
        f" from (select '{name}_app'::name as r) as role",
        name,
    )[0]


def test_an_option_changes_an_existing_cluster(
    rds: Rds, aws: Emulator, app_dir: Path, cli: Cli, admin: Admin
) -> None:
    port = aws.aurora.port
    rds.describe(described(Port=port))
    scaling = {"MinCapacity": 0.0, "MaxCapacity": 8.0, "SecondsUntilAutoPause": 600}
    rds.asked(
        "modify_db_cluster",
        {},
        DBClusterIdentifier="users",
        ApplyImmediately=True,
        ServerlessV2ScalingConfiguration=scaling,
        DeletionProtection=False,
    )
    rds.describe(described(Port=port))  # RDS says available before it begins
    rds.describe_instance("available")
    rds.describe(described(Port=port, ServerlessV2ScalingConfiguration=scaling))
    rds.describe_instance("available")
    status, out, _ = cli(
        "database", "create", app_dir, "--max-acu", "8", "--pause-after", "600",
        "--no-deletion-protection", "--database", f"shop_{port}", "--json",
    )  # fmt: skip
    assert status == 0
    assert '"connection_limit": 1669' in out


def test_show_tells_it_in_words_and_as_json(rds: Rds, app_dir: Path, cli: Cli) -> None:
    rds.describe(described())
    _, out, _ = cli("database", "show", app_dir)
    assert "capacity     0 to 4 ACU, pauses after 300 s" in out
    assert "connections  at most 823" in out
    rds.describe(described())
    assert '"resource_id": "cluster-ABC"' in cli("database", "show", app_dir, "--json")[1]


def test_delete_removes_the_instance_first_and_keeps_a_snapshot(
    rds: Rds, app_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.strftime", lambda *_: "20261123-101112")
    rds.describe(described(DeletionProtection=False))
    rds.describe_instance("available")
    rds.asked("delete_db_instance", {}, DBInstanceIdentifier="users-instance-1")
    rds.asked(
        "delete_db_cluster",
        {},
        DBClusterIdentifier="users",
        SkipFinalSnapshot=False,
        FinalDBSnapshotIdentifier="users-final-20261123-101112",
    )
    rds.describe(described("deleting"))
    rds.missing()
    status, out, _ = cli("database", "delete", app_dir, "--confirm", "users")
    assert status == 0
    assert "the snapshot users-final-20261123-101112 is kept" in out


@pytest.mark.parametrize(
    ("arguments", "answer", "says"),
    [
        (["delete"], described(), "is protected against deletion"),
        (
            ["delete", "--confirm", "other"],
            described(DeletionProtection=False),
            "is not the cluster's name",
        ),
        (["show"], None, "there is no cluster users"),
        (["create"], described(InternetAccessGatewayEnabled=False), "no express configuration"),
        (["create", "--cluster", "-x"], "unasked", "is not a valid name for a cluster"),
        (["create", "--database", "A-B"], "unasked", "is not a valid name for a database"),
    ],
)
def test_what_cannot_be_done_is_told_and_not_done(
    rds: Rds, app_dir: Path, cli: Cli, arguments: list[str], answer: Any, says: str
) -> None:
    if answer is None:
        rds.missing()
    elif answer != "unasked":
        rds.describe(answer)
    status, _, err = cli("database", arguments[0], app_dir, *arguments[1:])
    assert status == 1
    assert says in err


@pytest.mark.parametrize(
    ("code", "message", "says"),
    [
        ("AccessDenied", "no", "These credentials need the permission for CreateDBCluster"),
        ("FreeTierRestrictionError", "too much", "at most 4 ACU"),
        ("ExpiredToken", "old", "aws sso login"),
    ],
)
def test_aws_s_refusals_say_what_to_do(
    rds: Rds, app_dir: Path, cli: Cli, code: str, message: str, says: str
) -> None:
    rds.missing()
    rds.add_client_error("create_db_cluster", code, message)
    status, _, err = cli("database", "create", app_dir)
    assert status == 1
    assert says in err


def test_without_a_region_or_credentials_it_says_so(
    app_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no AWS region is known" in cli("database", "show", app_dir)[2]
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert "no AWS credentials" in cli("database", "show", app_dir)[2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("delete", "--confirm", "users"), "it cannot be deleted for dev alone"),
        (("create", "--max-acu", "1"), "it cannot be changed for dev alone"),
    ],
)
def test_a_cluster_of_several_stages_is_not_one_stage_s_to_change(
    rds: Rds, app_dir: Path, cli: Cli, arguments: tuple[str, ...], says: str
) -> None:
    path = app_dir / "pyproject.toml"
    text = path.read_text() + "\n[tool.sunup.stages.dev]\n[tool.sunup.stages.prod]\n"
    path.write_text(text)
    rds.describe(described(DeletionProtection=False))
    status, _, err = cli("--stage", "dev", "database", *arguments, app_dir)
    assert (status, says in err) == (1, True)
    assert "is shared with prod, the deployment without a stage" in err
    path.write_text(text.replace("stages.dev]", "stages.dev]\ncluster = 'own'"))
    rds.missing()
    assert "own" in cli("--stage", "dev", "database", "show", app_dir)[2]
