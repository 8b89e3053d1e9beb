"""`sunup deploy` to an emulated Aurora DSQL: the function is let in before its release is live."""

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sunup.local import project
from sunup.local.cloud.dsql import deploying, roles
from sunup.local.emulator import DsqlOptions, Emulator
from sunup.local.testing import Emulate
from tests.local.cli import test_deploy as on_aurora
from tests.local.cli.cloud import FakeTerraform
from tests.local.cli.conftest import Cli
from tests.local.cli.test_deploy import outputs, rows, versions
from tests.local.emulator.dsql.clients import connect

terraform, client = on_aurora.terraform, on_aurora.client

ROLE = "arn:aws:iam::123456789012:role/users-function"
IDENTIFIER = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def api(emulate: Emulate, app_dir: Path) -> Emulator:
    """The deployed API on Aurora DSQL, whose function may not be the app's role yet.

    As in `test_deploy`, what is deployed is small.
    """
    users = shutil.copytree(app_dir, app_dir.with_name("deployed"))
    aws = emulate(users, engine="dsql", dsql=DsqlOptions(caller=ROLE, wake_seconds=4))
    for path in app_dir.glob("*.py"):
        path.unlink()
    (app_dir / "lambda_function.py").write_text("def handler(event, context): ...\n")
    (app_dir / "requirements.txt").write_text("")
    declared = app_dir / "pyproject.toml"
    declared.write_text(re.sub(r"dependencies = .*", "dependencies = []", declared.read_text()))
    variables = {**aws.environ, "DB_MIGRATION_USER": "admin"}
    (app_dir / ".env").write_text("\n".join(f"{k}={v}" for k, v in variables.items()))
    (app_dir / "terraform" / "terraform.tfvars").write_text('region = "eu-central-1"\n')
    with connect(aws) as connection:
        connection.execute(f"AWS IAM REVOKE app FROM '{ROLE}'")
    return aws


Admin = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def admin(api: Emulator) -> Admin:
    """Executes a statement in a session of its own: an older one would notice each GRANT."""

    def run(statement: str) -> list[tuple[Any, ...]]:
        with connect(api) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    return run


def table(admin: Admin, name: str) -> None:
    """As a migration makes it; the emulator would give the app its rights at once."""
    admin(f"create table {name} (id uuid primary key)")
    admin(f"revoke all on {name} from app")


def may_use(admin: Admin, name: str) -> bool:
    query = f"select has_table_privilege('app', '{name}', 'select, insert, update, delete')"
    return admin(query) == [(True,)]


def mapped(admin: Admin) -> list[Any]:
    query = "select arn from sys.iam_pg_role_mappings where pg_role_name = 'app'"
    return [row[0] for row in admin(query)]


def test_the_first_deployment_lets_the_function_in_before_it_is_live(
    api: Emulator,
    admin: Admin,
    terraform: FakeTerraform,
    client: Any,
    app_dir: Path,
    cli: Cli,
) -> None:
    table(admin, "notes")
    create = {"aws_lambda_function.api": ["create"], "aws_iam_role.function": ["create"]}
    terraform.answers(outputs(api, lambda_iam_role_arn=ROLE), create)
    status, out, err = cli("deploy", app_dir, "--yes")
    assert status == 0, err
    told = list(rows(out))
    assert told.index("Apply") < told.index("Granted") < told.index("Release")
    assert rows(out)["Granted"].startswith("users-function may be app; app may use notes")
    assert rows(out)["Answer"].startswith("GET /health?deep=1 200")
    assert mapped(admin) == [ROLE]
    assert terraform.environ["TF_VAR_db_engine"] == "dsql"
    # Another has nothing to grant: nobody's session fails for it.
    status, out, err = cli("deploy", app_dir, "--yes")
    assert (status, rows(out)["Granted"]) == (0, "nothing to do"), err


def test_an_iam_role_that_aurora_dsql_does_not_know_yet_is_waited_for(
    api: Emulator,
    admin: Admin,
    terraform: FakeTerraform,
    client: Any,
    app_dir: Path,
    cli: Cli,
    database: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """IAM's changes take a moment to be known; the emulated one knows at once."""
    with psycopg.connect(
        host=database["DB_HOST"], user="postgres", dbname=database["DB_NAME"], autocommit=True
    ) as server:
        server.execute("alter function sys.iam_grant rename to iam_grant_later")
        server.execute(
            "create function sys.iam_grant(name text, caller text) returns void"
            " language plpgsql as $$ begin"
            f" if clock_timestamp() < to_timestamp({time.time() + 15}) then"
            " raise exception using errcode = '42704',"
            " message = format('IAM role %s does not exist', caller); end if;"
            " perform sys.iam_grant_later(name, caller); end $$"
        )
    monkeypatch.setattr(deploying, "_PAUSE", 0.2)
    terraform.answers(outputs(api, lambda_iam_role_arn=ROLE))
    status, out, err = cli("deploy", app_dir, "--yes")
    assert (status, mapped(admin)) == (0, [ROLE]), err
    # For ever it is not.
    admin(f"AWS IAM REVOKE app FROM '{ROLE}'")
    monkeypatch.setattr(deploying, "_LONGEST_IAM", 0)
    server_says = "create or replace function sys.iam_grant(name text, caller text) returns void"
    with psycopg.connect(
        host=database["DB_HOST"], user="postgres", dbname=database["DB_NAME"], autocommit=True
    ) as server:
        server.execute(
            f"{server_says} language plpgsql as $$ begin raise exception using errcode = '42704',"
            " message = format('IAM role %s does not exist', caller); end $$"
        )
    status, out, err = cli("deploy", app_dir, "--yes")
    assert (status, f"IAM role {ROLE} does not exist" in err) == (1, True)
    assert "Release" not in rows(out)


def test_what_a_migration_makes_is_the_app_s_to_use_with_the_release(
    api: Emulator,
    admin: Admin,
    terraform: FakeTerraform,
    client: Any,
    app_dir: Path,
    cli: Cli,
) -> None:
    admin("alter default privileges revoke all on tables from app")  # the emulator's own
    terraform.answers(outputs(api, lambda_iam_role_arn=ROLE))
    assert cli("deploy", app_dir, "--yes")[0] == 0
    (app_dir / "migrations/versions/0003_notes.py").write_text(on_aurora.ADDS_A_TABLE)
    status, out, err = cli("deploy", app_dir, "--yes")
    assert status == 0, err
    assert rows(out)["Migrations"] == "1 pending: postgres on localhost, as admin"
    assert rows(out)["Applied"] == "0003"
    assert rows(out)["Granted"].startswith("app may use notes")
    assert may_use(admin, "notes")
    # What belongs to migrations alone is not written by the app.
    ours = "('alembic_version'), ('sunup_migrations'), ('sunup_lock'), ('sunup_progress')"
    query = "has_table_privilege('app', name, 'insert, update, delete')"
    assert admin(f"select name from (values {ours}) as t(name) where {query}") == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_deployment_that_was_cut_off_while_granting_is_finished_by_the_next(
    api: Emulator,
    admin: Admin,
    terraform: FakeTerraform,
    client: Any,
    app_dir: Path,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    terraform.answers(outputs(api, lambda_iam_role_arn=ROLE))
    done = roles.allow

    def cut(*arguments: Any) -> None:
        if when == "after":
            done(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(roles, "allow", cut)
        assert cli("deploy", app_dir, "--yes")[0] == 130
    assert versions(client) == []
    assert cli("deploy", app_dir, "--yes")[0] == 0
    assert (mapped(admin), versions(client)) == ([ROLE], ["1"])


def test_without_migrations_the_database_is_left_alone(
    api: Emulator,
    admin: Admin,
    terraform: FakeTerraform,
    client: Any,
    app_dir: Path,
    cli: Cli,
) -> None:
    admin(f"AWS IAM GRANT app TO '{ROLE}'")
    table(admin, "later")
    terraform.answers(outputs(api, lambda_iam_role_arn=ROLE))
    status, out, err = cli("deploy", app_dir, "--yes", "--no-migrate")
    assert status == 0, err
    assert "Granted" not in rows(out)
    assert not may_use(admin, "later")


def test_what_the_admin_migrates_without_a_deployment_is_the_app_s_to_use_too(
    api: Emulator, admin: Admin, app_dir: Path
) -> None:
    table(admin, "notes")
    admin("create sequence tickets cache 65536")
    admin("revoke all on sequence tickets from app")
    found = project.find(app_dir)
    assert deploying.rights(found) == ["notes", "tickets"]
    assert may_use(admin, "notes")
    assert admin("select has_sequence_privilege('app', 'tickets', 'usage')") == [(True,)]
    assert deploying.rights(found) == []
    # Where somebody else migrates, or the role is not made yet, nothing is granted.
    for changed in ({"DB_MIGRATION_USER": "app"}, {"DB_USER": "nobody_app"}, {"DB_USER": "admin"}):
        other = replace(found, environ={**found.environ, **changed})
        assert deploying.rights(other) == []


def test_a_terraform_without_the_role_s_arn_is_told(
    api: Emulator, terraform: FakeTerraform, client: Any, app_dir: Path, cli: Cli
) -> None:
    terraform.answers(outputs(api))
    status, _, err = cli("deploy", app_dir, "--yes")
    assert (status, "no output lambda_iam_role_arn" in err) == (1, True)


@pytest.mark.parametrize("again", [False, True])
def test_a_cluster_of_terraform_s_is_prepared_before_anything_is_released(
    api: Emulator, terraform: FakeTerraform, client: Any, app_dir: Path, cli: Cli, again: bool
) -> None:
    (app_dir / ".env").write_text("")
    host = f"{IDENTIFIER}.dsql.eu-central-1.on.aws"
    # Its name is known only after the first apply.
    environment = {"DB_HOST": host} if again else None
    actions = {} if again else {"aws_dsql_cluster.this[0]": ["create"]}
    made = outputs(api, dsql_cluster_identifier=IDENTIFIER, db_host=host)
    terraform.answers(made, actions, environment=environment)
    status, _, err = cli("deploy", app_dir, "--yes")
    assert status == 1
    assert "the cluster is there, but not the app's role in it" in err
    assert f"sunup database create --engine dsql --cluster {IDENTIFIER}" in err
    assert ("apply" in [call[0] for call in terraform.calls]) is not again
    assert versions(client) == []
