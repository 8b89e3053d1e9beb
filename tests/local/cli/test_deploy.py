"""`sunup deploy`, `releases` and `rollback` with a real package, an emulated Aurora, moto's Lambda
and a scripted Terraform.
"""  # fmt: skip

import json
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from sunup.local.cloud.function import Function, digest
from sunup.local.cloud.releases import Releases
from sunup.local.emulator import AuroraOptions, Emulator
from sunup.local.errors import CommandError
from sunup.local.testing import Emulate
from tests.local.cli.cloud import FakeTerraform, like_lambda, moto_server
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

ADDS_A_TABLE = """
from alembic import op
import sqlalchemy as sa
revision = "0003"
down_revision = "0002"
def upgrade(): op.create_table("notes", sa.Column("id", sa.Integer))
def downgrade(): op.drop_table("notes")
"""
DROPS_A_COLUMN = """
from alembic import op
revision = "0004"
down_revision = "0003"
def upgrade(): op.drop_column("users", "created_at")
"""


@pytest.fixture
def terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTerraform:
    return FakeTerraform(tmp_path / "fake", monkeypatch)


@pytest.fixture
def api(emulate: Emulate, app_dir: Path) -> Emulator:
    """The deployed API: the emulator's gateway; the app's `.env` leads to its Aurora.

    What is deployed is small, so that it is packaged soon: what answers is the users API.
    """
    users = shutil.copytree(app_dir, app_dir.with_name("deployed"))
    aws = emulate(users, aurora=AuroraOptions(resume_seconds=LONG_RESUME))
    for path in app_dir.glob("*.py"):
        path.unlink()
    (app_dir / "lambda_function.py").write_text("def handler(event, context): ...\n")
    (app_dir / "requirements.txt").write_text("")
    project = app_dir / "pyproject.toml"
    project.write_text(re.sub(r"dependencies = .*", "dependencies = []", project.read_text()))
    variables = {**aws.environ, "DB_MIGRATION_USER": "postgres"}
    (app_dir / ".env").write_text("\n".join(f"{k}={v}" for k, v in variables.items()))
    (app_dir / "terraform" / "terraform.tfvars").write_text('region = "eu-central-1"\n')
    return aws


@pytest.fixture
def client(api: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Lambda, with the function and the alias that Terraform has made; botocore's client."""
    like_lambda(monkeypatch)
    with moto_server(monkeypatch):
        session = botocore.session.Session()
        iam, client = session.create_client("iam"), session.create_client("lambda")
        role = iam.create_role(RoleName="users", AssumeRolePolicyDocument=json.dumps(TRUST))
        client.create_function(
            FunctionName="users",
            Runtime="python3.11",
            Role=role["Role"]["Arn"],
            Handler="lambda_function.handler",
            Code={"ZipFile": b"PK\x05\x06" + b"\0" * 18},
        )
        client.create_alias(FunctionName="users", Name="live", FunctionVersion="$LATEST")
        # The emulator's keys sign the tokens; moto takes any.
        for name, value in api.iam.current.environment().items():
            monkeypatch.setenv(name, value)
        yield client


def outputs(api: Emulator, **more: Any) -> dict[str, Any]:
    return {
        "api_url": api.url,
        "lambda_function_name": "users",
        "lambda_function_arn": "arn:aws:lambda:eu-central-1:123456789012:function:users",
        "lambda_alias": "live",
        **more,
    }


Deploy = Callable[..., dict[str, str]]


@pytest.fixture
def deploy(api: Emulator, terraform: FakeTerraform, client: Any, app_dir: Path, cli: Cli) -> Deploy:
    """Deploys the app with a module of the given content; what was told, by its first words."""
    terraform.answers(outputs(api))

    def run(content: str | None = None, *options: object) -> dict[str, str]:
        if content is not None:
            (app_dir / "more.py").write_text(content)
        status, out, err = cli("deploy", app_dir, "--yes", *options)
        assert status == 0, err
        return rows(out)

    return run


def rows(out: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+) +(.*)$", out, re.MULTILINE))


def live(client: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.get_function_configuration(
        FunctionName="users", Qualifier="live"
    )
    return found


def versions(client: Any) -> list[str]:
    found = client.list_versions_by_function(FunctionName="users")["Versions"]
    return [each["Version"] for each in found if each["Version"] != "$LATEST"]


def test_the_first_deployment_plans_migrates_applies_publishes_and_asks(
    api: Emulator, terraform: FakeTerraform, client: Any, app_dir: Path, cli: Cli
) -> None:
    create = {"aws_lambda_function.api": ["create"], "aws_iam_role.function": ["create"]}
    terraform.answers(outputs(api), create)
    status, out, err = cli("deploy", app_dir, "--yes")
    assert status == 0, err
    told = rows(out)
    assert told["Plan"] == "2 to create, 0 to change, 0 to destroy"
    assert "+ aws_lambda_function.api" in out
    assert "Warning: The API is open." in err
    assert re.match(r"0 pending: \w+ on localhost, as postgres", told["Migrations"])
    assert re.match(r"1 is live \(\d+ s\)", told["Release"])
    assert told["URL"] == api.url
    assert re.match(r"GET /health\?deep=1 200 in \d", told["Answer"])
    assert live(client)["CodeSha256"] == digest(app_dir / "lambda.zip")
    calls = terraform.calls
    names = [call[0] for call in calls]
    assert names == ["init", "plan", "show", "output", "apply", "output"]
    given = [each for each in calls[1] if each.startswith("-var=")]
    # A copy: another run may write the app's own meanwhile.
    assert any(re.fullmatch(r"-var=lambda_zip=/.*/sunup-plan-\w+/lambda.zip", g) for g in given)
    assert any(each.startswith("-var=lambda_runtime=python3.") for each in given)
    words = " ".join(each for call in calls for each in call).lower()
    assert "token" not in words
    assert "secret" not in words


def test_an_older_commit_that_is_deployed_is_live_again(
    client: Any, deploy: Deploy, app_dir: Path
) -> None:
    """Terraform said "0 to change", the API answered 200, and the bad code stayed live."""
    assert deploy("GOOD = 1")["Release"].startswith("1 is live")
    good = live(client)["CodeSha256"]
    assert deploy("BAD = 1")["Release"].startswith("2 is live, was 1")
    assert deploy()["Release"] == "2 is already live"
    assert live(client)["CodeSha256"] != good
    assert deploy("GOOD = 1")["Release"].startswith("3 is live, was 2")
    assert live(client)["CodeSha256"] == good == digest(app_dir / "lambda.zip")
    with zipfile.ZipFile(app_dir / "lambda.zip") as file:
        assert file.read("more.py") == b"GOOD = 1"


def test_releases_are_listed_and_can_be_gone_back_to(
    client: Any, deploy: Deploy, app_dir: Path, cli: Cli
) -> None:
    for number in range(3):
        deploy(f"N = {number}")
    listed = json.loads(cli("releases", app_dir, "--json")[1])
    assert [(each["number"], each["share"]) for each in listed] == [(3, 1.0), (2, 0.0), (1, 0.0)]
    assert listed[0]["origin"]["heads"] == ["0002"]
    assert listed[0]["origin"]["by"]
    out = cli("releases", app_dir)[1]
    assert re.search(r"^3 +live ", out, re.MULTILINE)
    status, out, err = cli("rollback", "--app-dir", app_dir, "--yes")
    assert (status, rows(out)["Release"]) == (0, "2 is live"), err
    assert live(client)["Version"] == "2"
    assert rows(cli("rollback", "1", "--app-dir", app_dir, "--yes")[1])["Release"] == "1 is live"
    for wrong, says in (("9", "there is no release 9"), ("1", "release 1 is already live")):
        status, _, err = cli("rollback", wrong, "--app-dir", app_dir, "--yes")
        assert (status, says in err) == (1, True)
    assert "there is no release before 1" in cli("rollback", "--app-dir", app_dir, "--yes")[2]
    # What was live last is in Lambda still: it is published already.
    assert deploy("N = 2")["Release"].startswith("3 is live, was 1")


def test_runtime_and_handler_go_live_with_the_code(
    client: Any, deploy: Deploy, app_dir: Path
) -> None:
    deploy()
    before = live(client)
    path = app_dir / "pyproject.toml"
    path.write_text(path.read_text().replace('python = "3.13"', 'python = "3.12"'))
    deploy()
    assert (before["Version"], live(client)["Version"]) == ("1", "2")
    assert before["Runtime"] != live(client)["Runtime"] == "python3.12"


def test_old_releases_are_deleted_but_not_what_an_alias_uses(
    client: Any, deploy: Deploy, app_dir: Path
) -> None:
    path = app_dir / "pyproject.toml"
    path.write_text(path.read_text().replace("[tool.sunup]", "[tool.sunup]\nreleases = 2"))
    deploy("N = 0")
    client.create_alias(FunctionName="users", Name="pinned", FunctionVersion="1")
    for number in range(1, 5):
        told = deploy(f"N = {number}")
    assert told["Release"].endswith("deleted 3")
    assert versions(client) == ["1", "4", "5"]


def test_old_releases_that_may_not_be_deleted_do_not_fail_the_deployment(
    client: Any, deploy: Deploy, app_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> None:
        raise CommandError("cannot delete", "lambda:DeleteFunction")

    monkeypatch.setattr(Releases, "prune", denied)
    status, out, err = cli("deploy", app_dir, "--yes")
    assert (status, "Warning: cannot delete" in err) == (0, True)
    assert "1 is live" in out


@pytest.mark.parametrize(
    ("owner", "step"),
    [
        (Function, "update"),
        (Releases, "publish"),
        (Releases, "point"),
        (Releases, "verify"),
        (Releases, "prune"),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_deployment_that_was_cut_off_is_finished_by_the_next(
    client: Any,
    deploy: Deploy,
    app_dir: Path,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    step: str,
    when: str,
) -> None:
    deploy("N = 0")
    (app_dir / "more.py").write_text("N = 1")
    done = getattr(owner, step)

    def cut(*arguments: Any, **options: Any) -> None:
        if when == "after":
            done(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, cut)
        assert cli("deploy", app_dir, "--yes")[0] == 130
    assert deploy()["Release"].startswith("2")
    assert (live(client)["Version"], live(client)["CodeSha256"]) == (
        "2",
        digest(app_dir / "lambda.zip"),
    )
    assert versions(client) == ["1", "2"]


@pytest.mark.parametrize("moment", ["before it is published", "before the alias moves"])
def test_of_two_deployers_at_once_one_is_told(
    client: Any,
    deploy: Deploy,
    app_dir: Path,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    deploy("N = 0")
    (app_dir / "more.py").write_text("N = 'ours'")
    step = "publish" if moment == "before it is published" else "point"
    done = getattr(Releases, step)

    def overtaken(self: Releases, *arguments: Any) -> Any:
        client.update_function_code(FunctionName="users", ZipFile=b"PK\x05\x06" + b"\0" * 18)
        version = client.publish_version(FunctionName="users")["Version"]
        client.update_alias(FunctionName="users", Name="live", FunctionVersion=version)
        return done(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Releases, step, overtaken)
        status, _, err = cli("deploy", app_dir, "--yes")
    assert status == 1
    assert "somebody else has deployed users at the same time" in err
    theirs = live(client)["Version"]
    assert theirs == ("2" if step == "publish" else "3")
    deploy()
    assert live(client)["CodeSha256"] == digest(app_dir / "lambda.zip")


def test_pending_migrations_are_shown_and_asked_for_also_where_only_code_changed(
    deploy: Deploy, app_dir: Path, cli: Cli
) -> None:
    deploy()
    (app_dir / "migrations/versions/0003_notes.py").write_text(ADDS_A_TABLE)
    status, out, err = cli("deploy", app_dir)
    assert status == 1
    assert rows(out)["Migrations"].startswith("1 pending: ")
    assert "+ 0003_notes.py" in out
    assert "cannot ask, because" in err
    assert json.loads(cli("migrate", "status", app_dir, "--json")[1])[2]["state"] == "pending"
    assert deploy()["Applied"] == "0003"


def test_a_rollback_past_a_migration_that_breaks_its_code_is_refused(
    client: Any, deploy: Deploy, app_dir: Path, cli: Cli
) -> None:
    deploy("N = 0")
    folder = app_dir / "migrations/versions"
    (folder / "0003_notes.py").write_text(ADDS_A_TABLE)
    deploy("N = 1")
    assert cli("rollback", "--app-dir", app_dir, "--yes")[0] == 0  # a new table harms nobody
    (folder / "0004_drop.py").write_text(DROPS_A_COLUMN)
    status, _, err = cli("deploy", app_dir, "--yes", "--plan-only")
    assert status == 0
    assert "Warning: 0004_drop.py drops the column users.created_at" in err
    deploy("N = 2")
    status, _, err = cli("rollback", "2", "--app-dir", app_dir, "--yes")
    assert status == 1
    assert "the code of release 2 does not work with the database: 0004_drop.py drops" in err
    assert live(client)["Version"] == "3"
    assert cli("rollback", "2", "--app-dir", app_dir, "--yes", "--force")[0] == 0
    assert live(client)["Version"] == "2"
    # The database is ahead of this checkout.
    (folder / "0004_drop.py").unlink()
    status, _, err = cli("rollback", "1", "--app-dir", app_dir, "--yes")
    assert (status, "0004" in err) == (1, True)


def test_a_rollback_goes_to_what_was_live_before_and_not_to_the_number_before(
    client: Any, deploy: Deploy, app_dir: Path, cli: Cli
) -> None:
    """Release 2 was good, 3 and 4 were bad: from 4 it went to 3."""
    for number in range(3):
        deploy(f"N = {number}")
    assert rows(cli("rollback", "--app-dir", app_dir, "--yes")[1])["Release"] == "2 is live"
    deploy("N = 4")
    assert rows(cli("rollback", "--app-dir", app_dir, "--yes")[1])["Release"] == "2 is live"
    assert rows(cli("rollback", "--app-dir", app_dir, "--yes")[1])["Release"] == "1 is live"
    assert deploy("N = 5")["Release"].startswith("5 is live, was 1")


def test_a_release_whose_migrations_are_undone_is_not_gone_to(
    client: Any, deploy: Deploy, app_dir: Path, cli: Cli
) -> None:
    deploy("N = 0")
    (app_dir / "migrations/versions/0003_notes.py").write_text(ADDS_A_TABLE)
    deploy("N = 1")
    assert cli("rollback", "--app-dir", app_dir, "--yes")[0] == 0
    assert cli("migrate", "down", app_dir, "--yes")[0] == 0
    status, _, err = cli("rollback", "2", "--app-dir", app_dir, "--yes")
    assert (status, "release 2 needs 0003_notes.py, which the database does not have" in err) == (
        1,
        True,
    )
    assert cli("migrate", "up", app_dir, "--yes")[0] == 0
    assert cli("rollback", "2", "--app-dir", app_dir, "--yes")[0] == 0


def test_a_shift_is_ended_whatever_its_migrations_do(
    client: Any, deploy: Deploy, app_dir: Path, cli: Cli
) -> None:
    """The older release has most of the requests already."""
    deploy("N = 0")
    (app_dir / "migrations/versions/0003_notes.py").write_text(ADDS_A_TABLE)
    (app_dir / "migrations/versions/0004_drop.py").write_text(DROPS_A_COLUMN)
    deploy("N = 1")
    weights = {"AdditionalVersionWeights": {"2": 0.1}}
    client.update_alias(
        FunctionName="users", Name="live", FunctionVersion="1", RoutingConfig=weights
    )
    assert rows(cli("rollback", "--app-dir", app_dir, "--yes")[1])["Release"] == "1 is live"
    assert "already live" in cli("rollback", "1", "--app-dir", app_dir, "--yes")[2]
    assert deploy("N = 2")["Release"].startswith("3 is live, was 1")


def test_what_goes_live_is_what_was_planned_whoever_packages_meanwhile(
    client: Any, deploy: Deploy, app_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy("N = 0")
    kept = digest(app_dir / "lambda.zip")
    update = Function.update

    def meanwhile(*arguments: Any) -> None:
        (app_dir / "more.py").write_text("N = 2")
        assert cli("package", app_dir)[0] == 0
        update(*arguments)

    (app_dir / "more.py").write_text("N = 1")
    with monkeypatch.context() as patched:
        patched.setattr(Function, "update", meanwhile)
        assert deploy()["Release"].startswith("2 is live")
    assert live(client)["CodeSha256"] not in (kept, digest(app_dir / "lambda.zip"))
    assert deploy()["Release"].startswith("3 is live")


def test_other_migrations_are_another_release_though_the_code_is_the_same(
    client: Any, deploy: Deploy, app_dir: Path, cli: Cli
) -> None:
    """Its description cannot be changed: a rollback was judged by migrations of the older one."""
    deploy("N = 0")
    (app_dir / "migrations/versions/0003_notes.py").write_text(ADDS_A_TABLE)
    assert deploy()["Release"].startswith("2 is live")
    listed = json.loads(cli("releases", app_dir, "--json")[1])
    assert [each["origin"]["heads"] for each in listed] == [["0003"], ["0002"]]
    assert deploy()["Release"] == "2 is already live"


def test_what_is_destroyed_and_who_may_call_then_is_said_in_words_and_needs_a_flag(
    api: Emulator, terraform: FakeTerraform, client: Any, app_dir: Path, cli: Cli
) -> None:
    opened = {
        "address": "aws_apigatewayv2_route.default",
        "type": "aws_apigatewayv2_route",
        "change": {
            "actions": ["update"],
            "before": {"authorization_type": "JWT"},
            "after": {"authorization_type": "NONE"},
        },
    }
    terraform.answers(outputs(api), {"aws_sns_topic.alarms": ["delete"]}, changes=[opened])
    status, _, err = cli("deploy", app_dir, "--yes")
    assert status == 1
    assert "Danger: aws_sns_topic.alarms is destroyed" in err
    assert "authorization_type JWT -> NONE: open to everybody" in err
    assert "Pass --allow-destroy" in err
    assert "apply" not in [call[0] for call in terraform.calls]
    assert cli("deploy", app_dir, "--yes", "--allow-destroy")[0] == 0
    terraform.answers(outputs(api), {"aws_lambda_function.api": ["delete", "create"]})
    assert "is replaced: the old one is destroyed" in cli("deploy", app_dir, "--yes")[2]


def test_function_and_migrations_must_mean_the_same_database(
    api: Emulator, terraform: FakeTerraform, client: Any, app_dir: Path, cli: Cli
) -> None:
    other = {"DB_HOST": "other.cluster-x.eu-central-1.rds.amazonaws.com", "DB_NAME": "x"}
    terraform.answers(outputs(api), environment=other)
    status, _, err = cli("deploy", app_dir, "--yes")
    assert status == 1
    assert "DB_HOST is localhost in .env (or the environment), but other.cluster-x." in err
    owner = {"DB_HOST": "localhost", "DB_NAME": api.environ["DB_NAME"], "DB_USER": "postgres"}
    terraform.answers(outputs(api), environment=owner)
    assert "postgres, which owns the tables" in cli("deploy", app_dir, "--yes")[2]
    terraform.answers(outputs(api), environment={**owner, "DB_USER": "app"})
    assert cli("deploy", app_dir, "--yes")[0] == 0


def test_a_plan_alone_changes_nothing(
    client: Any, terraform: FakeTerraform, api: Emulator, app_dir: Path, cli: Cli
) -> None:
    terraform.answers(outputs(api), {"aws_lambda_function.api": ["update"]})
    (app_dir / "migrations/versions/0003_notes.py").write_text(ADDS_A_TABLE)
    status, out, _ = cli("deploy", app_dir, "--plan-only", "--json")
    assert status == 0
    told = json.loads(out)
    assert told["plan"]["change"] == ["aws_lambda_function.api"]
    assert told["migrations"] == {"pending": ["0003_notes.py"], "applied": []}
    assert (told["release"], versions(client)) == (None, [])
    assert "apply" not in [call[0] for call in terraform.calls]
    told = json.loads(cli("deploy", app_dir, "--yes", "--json")[1])
    assert (told["release"], told["answer"]["status"]) == (1, 200)
    assert told["migrations"]["applied"] == ["0003"]


def test_it_deploys_from_environment_variables_alone(
    api: Emulator,
    terraform: FakeTerraform,
    client: Any,
    app_dir: Path,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in CI: `.env` and terraform.tfvars are ignored by git."""
    for line in (app_dir / ".env").read_text().splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    (app_dir / ".env").unlink()
    (app_dir / "terraform/terraform.tfvars").unlink()
    terraform.answers(outputs(api))
    assert cli("deploy", app_dir, "--yes")[0] == 0
    assert terraform.environ["TF_VAR_db_host"] == "localhost"
    assert terraform.environ["TF_VAR_db_name"] == api.environ["DB_NAME"]


def test_a_stage_has_its_own_settings_state_and_names(
    api: Emulator,
    terraform: FakeTerraform,
    client: Any,
    app_dir: Path,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = app_dir / "pyproject.toml"
    text = path.read_text() + (
        "\n[tool.sunup.stages.prod]\n"
        "terraform = {lambda_memory = 512, authorization = 'AWS_IAM'}\n"
        "[tool.sunup.stages.prod.environment]\nLOG_LEVEL = 'ERROR'\n"
    )
    path.write_text(text)
    (app_dir / ".env").rename(app_dir / ".env.prod")
    (app_dir / ".env").write_text("DB_HOST=wrong.example\n")
    (app_dir / "terraform/prod.tfvars").write_text('db_user = "other"\n')
    terraform.answers(outputs(api))
    status, _, err = cli("deploy", app_dir, "--yes", "--stage", "prod")
    assert status == 0, err
    data = app_dir / "terraform/.terraform/stages/prod"
    assert terraform.environ["TF_DATA_DIR"] == str(data)
    calls = terraform.calls
    assert ["workspace", "select", "-or-create", "prod"] in calls
    plan = next(call for call in calls if call[0] == "plan")
    files = [each.partition("=")[2] for each in plan if each.startswith("-var-file")]
    assert [Path(each).name for each in files] == [
        "settings.tfvars.json",
        "prod.tfvars",
        "stage.tfvars.json",
    ]
    values = terraform.values
    assert values["name"] == "users-prod"
    assert (values["lambda_memory"], values["authorization"]) == (512, "AWS_IAM")
    assert values["db_host"] == "localhost"
    monkeypatch.setenv("DB_HOST", "elsewhere.example")
    status, _, err = cli("deploy", app_dir, "--yes", "--stage=prod")
    assert status == 1
    assert "DB_HOST is elsewhere.example in the environment, but localhost for the stage" in err
    monkeypatch.delenv("DB_HOST")
    assert "has no stage 'tset'" in cli("--stage", "tset", "deploy", app_dir)[2]
    assert cli("deploy", app_dir, "--yes", "--stage=prod")[0] == 0
    # Cut off before the workspace was selected: the default one's state would have been changed.
    (data / "environment").unlink()
    terraform.calls  # noqa: B018  # forgotten
    assert cli("deploy", app_dir, "--yes", "--stage=prod")[0] == 0
    assert [call[0] for call in terraform.calls][:3] == ["init", "workspace", "plan"]
    assert terraform.environ["TF_WORKSPACE"] == "prod"
    assert cli("--stage", "", "deploy", app_dir)[2].startswith(
        "sunup: the name of the stage is empty"
    )
    assert (
        "no stage 'prod and test'" in cli("--stage", "prod", "deploy", "--stage=test", app_dir)[2]
    )


@pytest.mark.parametrize("how", ["selected", "exported"])
def test_without_a_stage_no_stages_state_is_meant(
    terraform: FakeTerraform,
    client: Any,
    app_dir: Path,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    del client
    path = app_dir / "pyproject.toml"
    path.write_text(path.read_text() + "\n[tool.sunup.stages.prod]\n")
    terraform.answers({"lambda_function_name": "users", "lambda_alias": "live"})
    selected = app_dir / "terraform/.terraform/environment"
    if how == "selected":
        selected.parent.mkdir()
        selected.write_text("prod")
    else:
        monkeypatch.setenv("TF_WORKSPACE", "prod")
    for command in ("releases", "rollback", "deploy"):
        arguments = ["--app-dir", app_dir] if command == "rollback" else [app_dir]
        status, _, err = cli(command, *arguments)
        assert (status, "Terraform's workspace here is prod, but no --stage was given" in err) == (
            1,
            True,
        )
    selected.unlink(missing_ok=True)
    monkeypatch.delenv("TF_WORKSPACE", raising=False)
    assert cli("releases", app_dir)[0] == 0


def test_a_sleeping_database_is_waited_for(api: Emulator, deploy: Deploy) -> None:
    api.do("aurora/pause")
    assert deploy()["Plan"] == "0 to create, 0 to change, 0 to destroy"


def test_an_api_that_fails_is_an_error_with_its_words(
    api: Emulator, terraform: FakeTerraform, client: Any, app_dir: Path, cli: Cli
) -> None:
    path = app_dir / "pyproject.toml"
    path.write_text(path.read_text().replace('"/health?deep=1"', '"/nothing"'))
    terraform.answers(outputs(api))
    status, _, err = cli("deploy", app_dir, "--yes")
    assert status == 1
    assert "the release is live, but GET /nothing answers 404: " in err
    assert "sunup rollback" in err


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
    terraform.answers({}, {"aws_lambda_function.api": ["create"]})
    status, out, err = cli("deploy", app_dir)
    assert status == 1
    assert "1 to create, 0 to change, 0 to destroy" in out
    assert "--yes" in err
    assert "apply" not in [call[0] for call in terraform.calls]


def test_what_is_missing_is_told_before_anything_is_made(
    app_dir: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "there is no terraform.tfvars in" in cli("deploy", app_dir)[2]
    (tmp_path / "empty").mkdir()
    assert "there is no Terraform in" in cli("deploy", tmp_path / "empty")[2]
    assert not (app_dir / "lambda.zip").exists()
    assert "--canary 'half' is not a percentage" in cli("deploy", app_dir, "--canary", "half")[2]


def test_a_canary_goes_live_when_no_alarm_goes_off_and_is_taken_back_when_one_does(
    api: Emulator, terraform: FakeTerraform, client: Any, app_dir: Path, cli: Cli, deploy: Deploy
) -> None:
    deploy("N = 0")
    (app_dir / "more.py").write_text("N = 1")
    canary = ("deploy", app_dir, "--yes", "--canary", "10%", "--bake", "1")
    assert "no alarms to judge by" in cli(*canary)[2]
    cloudwatch = botocore.session.Session().create_client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="errors", Namespace="n", MetricName="m", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    terraform.answers(outputs(api, alarm_names=["errors"]))
    for state, status, version in (("ALARM", 1, "1"), ("OK", 0, "2")):
        cloudwatch.set_alarm_state(AlarmName="errors", StateValue=state, StateReason="test")
        assert cli(*canary)[0] == status
        assert live(client)["Version"] == version
