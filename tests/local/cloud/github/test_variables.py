from pathlib import Path

import pytest

from tests.local.cloud.conftest import Ci, configure, defaults, named, workflow


@pytest.mark.parametrize(
    ("text", "stage", "name"),
    [
        ("[project]\nname = 'Shop'\n[tool.sunup.stages.prod]\n", "prod", "Shop-prod"),
        ("[project]\nname = 'My_Shop'\n[tool.sunup.stages.prod]\n", "prod", "My-Shop-prod"),
        ("[tool.sunup.stages.other]\nname = 'other-fn'\n", "other", "other-fn"),
        ("[tool.sunup.stages.x.terraform]\nname = 'told'\n", "x", "told"),
        ("[tool.sunup]\nname = 'told'\n", None, "Default"),
    ],
)
def test_the_rights_are_on_the_function_s_own_name(  # fixtures
    app: Path, tmp_path: Path, made: Ci, text: str, stage: str | None, name: str
) -> None:
    named(app, "Default")
    configure(app, text)
    assert made(app, stage=stage)[0] == 0
    values = defaults(app / "terraform/ci/main.tf")
    assert values["name"] == name
    environment = workflow(tmp_path / ".github/workflows/deploy.yml")["env"]
    assert environment.get("SUNUP_STAGE") == stage
    assert environment.get("TF_VAR_name") == (None if stage else name)


def test_the_name_in_terraform_s_values_is_the_function_s(app: Path, made: Ci) -> None:
    (app / "terraform/terraform.tfvars").write_text('name = "Given"\n')
    assert made(app)[0] == 0
    assert defaults(app / "terraform/ci/main.tf")["name"] == "Given"


DSQL = "abcdefghijklmnopqrstuvwxyz.dsql.eu-west-1.on.aws"


@pytest.mark.parametrize(
    ("values", "environ", "users", "clusters"),
    [
        ('db_cluster_resource_id = "cluster-A"\n', {}, ["cluster-A/shop_migrate"], []),
        (f'db_host = "{DSQL}"\n', {}, [], ["eu-west-1/abcdefghijklmnopqrstuvwxyz"]),
        ("", {"DB_HOST": DSQL}, [], ["eu-west-1/abcdefghijklmnopqrstuvwxyz"]),
        ("", {}, [], []),
    ],
)
def test_who_migrates_may_connect(
    app: Path,
    made: Ci,
    monkeypatch: pytest.MonkeyPatch,
    values: str,
    environ: dict[str, str],
    users: list[str],
    clusters: list[str],
) -> None:
    (app / "terraform/terraform.tfvars").write_text(values)
    for name, value in {"DB_MIGRATION_USER": "shop_migrate", **environ}.items():
        monkeypatch.setenv(name, value)
    assert made(app)[0] == 0
    found = defaults(app / "terraform/ci/main.tf")
    assert (found["migration_users"], found["dsql_clusters"]) == (users, clusters)
