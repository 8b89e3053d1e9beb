"""`sunup doctor` and `sunup psql` on an emulated Aurora DSQL."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sunup.local.emulator import DsqlOptions, Emulator
from sunup.local.testing import Emulate
from tests.local.cli.cloud import FakeTerraform, moto_server
from tests.local.cli.conftest import Cli
from tests.local.cli.test_doctor import examined, set_env
from tests.local.emulator.dsql.clients import connect

ROLE = "arn:aws:iam::123456789012:role/users-function"


@pytest.fixture
def dsql(
    emulate: Emulate, app_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Emulator]:
    """Everything as it should be; these credentials may be the app's role, as the function's."""
    aws = emulate(None, engine="dsql", dsql=DsqlOptions(caller=ROLE, wake_seconds=4))
    variables = {**aws.environ, "DB_MIGRATION_USER": "admin"}
    (app_dir / ".env").write_text("\n".join(f"{name}={value}" for name, value in variables.items()))
    shutil.rmtree(app_dir / "migrations")
    FakeTerraform(tmp_path / "fake", monkeypatch).answers({"lambda_iam_role_arn": ROLE})
    (app_dir / "terraform" / ".terraform").mkdir()
    keys = aws.iam.current.environment()
    with moto_server(monkeypatch):
        for name, value in keys.items():
            monkeypatch.setenv(name, value)
        yield aws


def do(aws: Emulator, *statements: str) -> None:
    for each in statements:
        with connect(aws) as admin:
            admin.execute(each.encode())


def test_a_healthy_set_up_has_no_failure(dsql: Emulator, app_dir: Path, cli: Cli) -> None:
    do(dsql, "create table notes (id uuid primary key)")
    status, found = examined(cli, app_dir)
    assert status == 0, found
    assert [line[1] for line in found["login"]] == [
        "as app, with an IAM token",
        "as admin, who owns the tables",
    ]
    assert found["role"] == [("ok", "users-function may be app", "")]
    assert found["rights"][0][0] == "ok"
    assert found["idle timeout"][0][:2] == (
        "skipped",
        "Aurora DSQL's idle sessions cost nothing, and keep nothing awake",
    )
    assert found["connections"][0][1].startswith("at most 10000")
    # The emulated cluster is not in moto's control plane.
    assert found["cluster"] == [("skipped", "DB_HOST is not a cluster's own name", "")]
    assert found["policy"][0][0] == "skipped"


def test_a_sleeping_cluster_is_waited_for(dsql: Emulator, app_dir: Path, cli: Cli) -> None:
    dsql.do("aurora/pause")
    assert examined(cli, app_dir)[0] == 0


@pytest.mark.parametrize(
    ("statements", "link", "says", "cure"),
    [
        (
            ("AWS IAM REVOKE app FROM '{role}'", "AWS IAM GRANT app TO '{role}-2'"),
            "role",
            "the function's IAM role may not be app; may: users-function-2",
            "AWS IAM GRANT app TO '{role}'",
        ),
        (
            ("create table notes (id uuid primary key)", "revoke insert on notes from app"),
            "rights",
            "app lacks its rights on notes",
            "sunup deploy grants them",
        ),
    ],
)
def test_what_is_not_right_in_the_database_is_named(
    dsql: Emulator,
    app_dir: Path,
    cli: Cli,
    statements: tuple[str, ...],
    link: str,
    says: str,
    cure: str,
) -> None:
    do(dsql, *(each.format(role=ROLE) for each in statements))
    status, found = examined(cli, app_dir)
    assert status == 1
    failures = [line for line in found[link] if line[0] == "failure"]
    assert says in failures[0][1]
    assert cure.format(role=ROLE) in failures[0][2]


def test_that_these_credentials_may_not_be_the_app_s_role_is_no_failure(
    dsql: Emulator, app_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a laptop: the function may be it, and nobody else."""
    do(dsql, f"AWS IAM REVOKE app FROM '{ROLE}'", f"AWS IAM GRANT app TO '{ROLE}-2'")
    terraform = FakeTerraform(app_dir / "other", monkeypatch)
    terraform.answers({"lambda_iam_role_arn": f"{ROLE}-2"})
    status, found = examined(cli, app_dir)
    assert status == 0, found
    assert found["role"] == [("ok", "users-function-2 may be app", "")]
    state, detail, cure = found["login"][1]
    assert (state, "which is no fault; users-function-2 may" in detail) == ("skipped", True)
    assert "--grant" in cure


def test_nobody_may_be_the_app_s_role(dsql: Emulator, app_dir: Path, cli: Cli) -> None:
    do(dsql, f"AWS IAM REVOKE app FROM '{ROLE}'")
    status, found = examined(cli, app_dir)
    assert status == 1
    assert "is not authorized to perform: dsql:DbConnect" in found["login"][1][1]
    assert "may: nobody" in found["role"][0][1]


@pytest.mark.parametrize(
    ("change", "link", "says", "cure"),
    [
        ({"AWS_REGION": "us-east-1"}, "login", "valid region: 'eu-central-1'", "Aurora DSQL names"),
        ({"DB_NAME": "shop"}, "settings", "DB_NAME is 'shop'", "DB_NAME"),
        ({"DB_USER": "nobody_app"}, "role", "nobody_app does not exist", "database create"),
    ],
)
def test_a_wrong_setting_is_named(
    dsql: Emulator,
    app_dir: Path,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, str],
    link: str,
    says: str,
    cure: str,
) -> None:
    monkeypatch.delenv("AWS_REGION")
    set_env(app_dir, **change)
    status, found = examined(cli, app_dir)
    assert status == 1
    failures = [line for line in found[link] if line[0] == "failure"]
    assert says in failures[0][1], found
    assert cure in failures[0][2]


def test_an_app_that_is_the_admin_is_told(dsql: Emulator, app_dir: Path, cli: Cli) -> None:
    set_env(app_dir, DB_USER="admin")
    status, found = examined(cli, app_dir)
    assert status == 0
    assert found["rights"][0][:2] == ("warning", "the app is admin, who may do everything")


def psql(app_dir: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sunup.local.cli", "psql", "--app-dir", app_dir, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environ},
    )


@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
@pytest.mark.parametrize("user", ["app", "admin"])
def test_psql_logs_in_with_a_token_and_without_a_setting_that_is_refused(
    dsql: Emulator, app_dir: Path, user: str
) -> None:
    # One of the shell's would be refused, and every login with it.
    options = "-c idle_session_timeout=60s"
    query = ("--", "-Atc", "select current_user, current_database()")
    done = psql(app_dir, "--user", user, *query, PGOPTIONS=options)
    assert (done.returncode, done.stdout) == (0, f"{user}|postgres\n"), done.stderr


def test_psql_says_why_it_may_not_log_in(dsql: Emulator, app_dir: Path, cli: Cli) -> None:
    do(dsql, f"AWS IAM REVOKE app FROM '{ROLE}'")
    fake = app_dir / "bin" / "psql"
    fake.parent.mkdir()
    fake.touch(mode=0o755)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
        status, _, err = cli("psql", "--app-dir", app_dir)
    assert status == 1
    assert "AWS IAM GRANT" in err


def test_a_token_for_the_admin_is_signed_for_the_admin(
    dsql: Emulator, app_dir: Path, cli: Cli
) -> None:
    assert "Action=DbConnect&" in cli("token", app_dir)[1]
    assert "Action=DbConnectAdmin&" in cli("token", app_dir, "--user", "admin")[1]
