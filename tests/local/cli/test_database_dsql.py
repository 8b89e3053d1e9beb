"""`sunup database` for Aurora DSQL, whose control plane is moto's."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from sunup.local.cloud.dsql.cluster import Clusters
from tests.local.cli.cloud import DSQL_REGION, like_dsql, moto_server
from tests.local.cli.conftest import Cli

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
