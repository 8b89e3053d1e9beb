"""`sunup deploy` with a real package, an emulated Aurora, moto's Lambda and a scripted Terraform."""

import base64
import hashlib
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from sunup.local.emulator import AuroraOptions, Emulator
from sunup.local.testing import Emulate
from tests.local.cli.cloud import FakeTerraform, moto_server
from tests.local.cli.conftest import LONG_RESUME, Cli

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


@pytest.fixture
def terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTerraform:
    return FakeTerraform(tmp_path / "fake", monkeypatch)


@pytest.fixture
def api(emulate: Emulate, app_dir: Path) -> Emulator:
    """The deployed API: the emulator's gateway; the app's `.env` leads to its Aurora."""
    aws = emulate(app_dir, aurora=AuroraOptions(resume_seconds=LONG_RESUME))
    variables = {**aws.environ, "DB_MIGRATION_USER": "postgres"}
    (app_dir / ".env").write_text("\n".join(f"{k}={v}" for k, v in variables.items()))
    (app_dir / "terraform" / "terraform.tfvars").write_text('region = "eu-central-1"\n')
    return aws


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with moto_server(monkeypatch) as url:
        yield url


def outputs(api: Emulator, **more: Any) -> dict[str, Any]:
    return {
        "api_url": api.url,
        "lambda_function_name": "users",
        "lambda_function_arn": "arn:aws:lambda:eu-central-1:123456789012:function:users",
        "lambda_alias": None,
        **more,
    }


def rows(out: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+) +(.*)$", out, re.MULTILINE))


def test_the_first_deployment_plans_migrates_applies_and_asks(
    api: Emulator, terraform: FakeTerraform, app_dir: Path, cli: Cli
) -> None:
    create = {"aws_lambda_function.api": ["create"], "aws_iam_role.function": ["create"]}
    terraform.answers(outputs(api), create)
    status, out, err = cli("deploy", app_dir, "--yes")
    assert status == 0
    told = rows(out)
    assert told["Plan"] == "2 to create, 0 to change, 0 to destroy"
    assert "+ aws_lambda_function.api" in out
    assert "Warning: The API is open." in err
    assert told["Migrations"] == "nothing to do"
    assert told["URL"] == api.url
    assert re.match(r"GET /health\?deep=1 200 in \d", told["Answer"])
    calls = terraform.calls
    assert [call[0] for call in calls] == ["init", "plan", "show", "apply", "output"]
    given = [each for each in calls[1] if each.startswith("-var=")]
    assert f"-var=lambda_zip={app_dir}/lambda.zip" in given
    assert any(each.startswith("-var=lambda_runtime=python3.") for each in given)
    words = " ".join(each for call in calls for each in call).lower()
    assert "token" not in words
    assert "secret" not in words


def test_when_only_the_code_changed_only_the_code_is_updated(
    api: Emulator,
    terraform: FakeTerraform,
    app_dir: Path,
    cli: Cli,
    moto: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = lambda_with_a_function()
    # The emulator's keys sign the tokens; moto takes any.
    for name, value in api.iam.current.environment().items():
        monkeypatch.setenv(name, value)
    terraform.answers(outputs(api), {"aws_lambda_function.api": ["create"]})
    assert cli("deploy", app_dir, "--yes")[0] == 0
    assert terraform.calls
    (app_dir / "more.py").write_text("NEW = 1\n")
    status, out, err = cli("deploy", app_dir)
    assert (status, err) == (0, "")
    assert [call[0] for call in terraform.calls] == ["output"]
    assert re.match(r"updated in \d+ s; nothing else changed", rows(out)["Code"])
    live = client.get_function_configuration(FunctionName="users")["CodeSha256"]
    assert live == digest(app_dir / "lambda.zip")
    with zipfile.ZipFile(app_dir / "lambda.zip") as file:
        assert "more.py" in file.namelist()
    assert rows(cli("deploy", app_dir)[1])["Code"].startswith("live already")
    with (app_dir / "terraform" / "terraform.tfvars").open("a") as file:
        file.write("lambda_memory = 512\n")
    terraform.answers(outputs(api), {"aws_lambda_function.api": ["update"]})
    assert "0 to create, 1 to change" in cli("deploy", app_dir, "--yes")[1]
    assert cli("deploy", app_dir, "--full", "--yes")[1].count("Plan ") == 1


def test_with_an_alias_a_version_is_published_and_the_alias_moved(
    api: Emulator,
    terraform: FakeTerraform,
    app_dir: Path,
    cli: Cli,
    moto: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = lambda_with_a_function()
    first = client.publish_version(FunctionName="users")["Version"]
    client.create_alias(FunctionName="users", Name="live", FunctionVersion=first)
    for name, value in api.iam.current.environment().items():
        monkeypatch.setenv(name, value)
    terraform.answers(outputs(api, lambda_alias="live"))
    assert cli("deploy", app_dir, "--yes")[0] == 0
    assert cli("deploy", app_dir)[0] == 0
    second = client.get_alias(FunctionName="users", Name="live")["FunctionVersion"]
    assert second != first
    live = client.get_function_configuration(FunctionName="users", Qualifier="live")
    assert live["CodeSha256"] == digest(app_dir / "lambda.zip")


def lambda_with_a_function() -> Any:
    session = botocore.session.Session()
    iam, client = session.create_client("iam"), session.create_client("lambda")
    role = iam.create_role(RoleName="users", AssumeRolePolicyDocument=json.dumps(TRUST))
    client.create_function(
        FunctionName="users",
        Runtime="python3.13",
        Role=role["Role"]["Arn"],
        Handler="lambda_function.handler",
        Code={"ZipFile": b"PK\x05\x06" + b"\0" * 18},
    )
    return client


def digest(path: Path) -> str:
    return base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode()


def test_a_sleeping_database_is_waited_for(
    api: Emulator, terraform: FakeTerraform, app_dir: Path, cli: Cli
) -> None:
    terraform.answers(outputs(api))
    api.do("aurora/pause")
    status, out, _ = cli("deploy", app_dir, "--yes")
    assert status == 0
    assert rows(out)["Plan"] == "0 to create, 0 to change, 0 to destroy"


def test_an_api_that_fails_is_an_error_with_its_words(
    api: Emulator, terraform: FakeTerraform, app_dir: Path, cli: Cli
) -> None:
    path = app_dir / "pyproject.toml"
    path.write_text(path.read_text().replace('"/health?deep=1"', '"/nothing"'))
    terraform.answers(outputs(api))
    status, _, err = cli("deploy", app_dir, "--yes")
    assert status == 1
    assert "it is deployed, and answers 404: " in err
    assert "sunup doctor" in err


def test_terraform_s_own_words_are_shown_when_it_fails(
    api: Emulator, terraform: FakeTerraform, app_dir: Path, cli: Cli
) -> None:
    terraform.answers(outputs(api), fails=["plan"])
    status, _, err = cli("deploy", app_dir, "--yes")
    assert status == 1
    assert "Error: no good plan\nsunup: terraform plan failed" in err


def test_nothing_is_applied_that_nobody_has_seen(
    api: Emulator, terraform: FakeTerraform, app_dir: Path, cli: Cli
) -> None:
    terraform.answers(outputs(api), {"aws_lambda_function.api": ["delete", "create"]})
    status, out, err = cli("deploy", app_dir)
    assert status == 1
    assert "1 to create, 0 to change, 1 to destroy" in out
    assert "--yes" in err
    assert "apply" not in [call[0] for call in terraform.calls]


def test_what_is_missing_is_told_before_anything_is_made(
    app_dir: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "there is no terraform.tfvars" in cli("deploy", app_dir)[2]
    (tmp_path / "empty").mkdir()
    assert "there is no Terraform in" in cli("deploy", tmp_path / "empty")[2]
    assert not (app_dir / "lambda.zip").exists()
