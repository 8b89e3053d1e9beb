import json
import shutil
from pathlib import Path

from tests.local.cloud.conftest import Ci, configure, defaults, everything, named, workflow


def test_a_second_app_has_a_workflow_roles_and_variables_of_its_own(
    app: Path, tmp_path: Path, made: Ci
) -> None:
    second = app.with_name("mail")
    shutil.copytree(app, second)
    named(second, "mail")
    assert made(app)[0] == 0
    first = everything(tmp_path)
    status, out, _ = made(second)
    assert status == 0
    assert "AWS_DEPLOY_ROLE_MAIL --env" in out
    assert {path: first[path] for path in first} == {
        path: content for path, content in everything(tmp_path).items() if path in first
    }
    one, other = (
        workflow(tmp_path / f".github/workflows/{name}.yml") for name in ("deploy", "deploy-mail")
    )
    # GitHub cancels what waits in a group of another workflow.
    assert one["concurrency"]["group"] != other["concurrency"]["group"]
    assert "${{ vars.AWS_PLAN_ROLE_MAIL }}" in json.dumps(other)
    values = defaults(second / "terraform/ci/main.tf")
    assert values["create_provider"] is False
    assert values["create_bucket"] is True
    assert "deploy-mail.yml" in made(second)[2]
    assert made(second, "--force")[0] == 0
    assert made(app, "--force")[0] == 0
    assert everything(tmp_path)[app / "terraform/ci/main.tf"] == first[app / "terraform/ci/main.tf"]


def test_a_workflow_called_deploy_of_somebody_else_s_is_left_alone(
    app: Path, tmp_path: Path, made: Ci
) -> None:
    theirs = tmp_path / ".github/workflows/deploy.yml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("name: theirs\n")
    assert made(app, "--force")[0] == 0
    assert theirs.read_text() == "name: theirs\n"
    assert theirs.with_name("deploy-users.yml").is_file()
    assert defaults(app / "terraform/ci/main.tf")["create_provider"] is True
    theirs.with_name("deploy-users.yml").write_text("name: theirs, too\n")
    assert "belong to other deployments" in made(app, "--force")[2]


def test_a_second_stage_has_its_own_roles_and_uses_the_state_s_bucket(
    app: Path, tmp_path: Path, made: Ci
) -> None:
    configure(app, "[project]\nname = 'shop'\n[tool.sunup.stages.prod]\n[tool.sunup.stages.dev]\n")
    assert made(app, stage="prod")[0] == 0
    first = everything(tmp_path)
    status, out, _ = made(app, stage="dev")
    assert status == 0
    assert "create_bucket in" in out
    after = everything(tmp_path)
    assert {path for path in after if path not in first} == {
        tmp_path / ".github/workflows/deploy-shop-dev.yml",
        app / "terraform/ci-shop-dev/main.tf",
    }
    assert all(after[path] == first[path] for path in first)
    values = defaults(app / "terraform/ci-shop-dev/main.tf")
    assert (values["name"], values["bucket"]) == ("shop-dev", "shop-state-9")
    assert (values["create_bucket"], values["create_provider"]) == (False, False)
    assert made(app, "--force", stage="prod")[0] == 0
    assert everything(tmp_path) == after
    assert "is already in the bucket" in made(app, "--bucket", "another", "--force", stage="dev")[2]
