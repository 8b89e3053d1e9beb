from pathlib import Path

import pytest

from tests.local.cloud.conftest import Ci, configure, defaults, everything


def test_a_stage_s_rights_are_on_its_own_state(app: Path, made: Ci) -> None:
    configure(app, "[project]\nname = 'shop'\n[tool.sunup.stages.prod]\n")
    assert made(app, stage="prod")[0] == 0
    assert defaults(app / "terraform/ci/main.tf")["state"] == [
        "shop/terraform.tfstate",
        "env:/prod/shop/terraform.tfstate",
    ]


def test_the_bucket_for_packages_is_there_and_is_not_the_state_s(app: Path, made: Ci) -> None:
    configure(app, "[tool.sunup]\nname = 'shop'\nbucket = 'shop-packages'\n")
    assert made(app)[0] == 0
    values = defaults(app / "terraform/ci/main.tf")
    assert values["bucket"] == "shop-state-9"
    assert values["packages"] == "shop-packages/packages/shop"


def test_a_backend_that_terraform_has_already_is_used(app: Path, made: Ci) -> None:
    (app / "terraform/versions.tf").write_text(
        '# backend "gcs" {\nterraform {\n  backend "s3" {\n    assume_role = { role_arn = "a" }\n'
        '    bucket = "mine"\n    key    = "a/b"\n    workspace_key_prefix = "stages"\n  }\n}\n'
    )
    configure(app, "[tool.sunup.stages.prod]\nname = 'shop'\n")
    assert made(app, stage="prod")[0] == 0
    assert not (app / "terraform/backend.tf").exists()
    values = defaults(app / "terraform/ci/main.tf")
    assert (values["bucket"], values["create_bucket"]) == ("mine", False)
    assert values["state"] == ["a/b", "stages/prod/a/b"]


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ('backend "gcs" {}', "in gcs,"),
        ("cloud {}", "in cloud,"),
        ('backend "s3" {}', "without bucket and key"),
    ],
)
def test_a_backend_that_the_jobs_could_not_use_is_an_error(
    app: Path, tmp_path: Path, made: Ci, block: str, said: str
) -> None:
    (app / "terraform/versions.tf").write_text(f"terraform {{\n  {block}\n}}\n")
    before = everything(tmp_path)
    status, _, err = made(app)
    assert status == 1
    assert said in err
    assert everything(tmp_path) == before
