from pathlib import Path

import pytest

from sunup.local import project
from sunup.local.errors import CommandError
from sunup.local.project import Project, is_remote
from sunup.settings import Settings

TABLE = """
[tool.sunup]
name = "shop"
check = "/health"
[tool.sunup.stages.prod]
cluster = "big"
check = "/ready"
[tool.sunup.stages.prod.environment]
DB_HOST = "prod.example"
DB_PORT = 5433
LOG_LEVEL = "ERROR"
[tool.sunup.stages.dev-2]
name = "trial"
"""


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Stage":
    (tmp_path / "pyproject.toml").write_text(TABLE)
    (tmp_path / ".env").write_text("DB_HOST=laptop.example\nONLY=here\n")
    for name in ("DB_HOST", "DB_NAME", "DB_USER", "DB_MIGRATION_USER"):
        monkeypatch.delenv(name, raising=False)
    return Stage(tmp_path, monkeypatch)


class Stage:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch

    def __call__(self, name: str = "") -> Project:
        self._monkeypatch.setenv("SUNUP_STAGE", name)
        return project.find(self.folder)


def test_without_a_stage_all_is_as_it_was(stage: Stage) -> None:
    found = stage()
    assert (found.name, found.environ["DB_HOST"]) == ("shop", "laptop.example")
    assert (found.env_file.name, found.tfvars.name) == (".env", "terraform.tfvars")
    assert found.text("check") == "/health"


def test_a_stage_has_its_own_settings_and_never_the_laptop_s(stage: Stage) -> None:
    (stage.folder / ".env.prod").write_text("DB_NAME=shop_prod\nLOG_LEVEL=DEBUG\n")
    found = stage("prod")
    assert (found.name, found.app_name) == ("shop-prod", "shop")
    assert (found.env_file.name, found.tfvars.name) == (".env.prod", "prod.tfvars")
    assert (found.text("check"), found.text("cluster")) == ("/ready", "big")
    values = [
        found.environ.get(name) for name in ("DB_HOST", "DB_PORT", "DB_NAME", "LOG_LEVEL", "ONLY")
    ]
    assert values == ["prod.example", "5433", "shop_prod", "DEBUG", None]
    assert stage("dev-2").name == "trial"


def test_the_shell_may_not_lead_a_stage_to_another_database(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "INFO")
    monkeypatch.setenv("DB_HOST", "prod.example")
    assert stage("prod").environ["LOG_LEVEL"] == "INFO"
    monkeypatch.setenv("DB_HOST", "laptop.example")
    with pytest.raises(
        CommandError, match=r"DB_HOST is laptop\.example in the environment, and prod"
    ):
        stage("prod")
    assert stage().environ["DB_HOST"] == "laptop.example"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tool.sunup.stages.Prod]", "'Prod' is not a stage's name"),
        ("[tool.sunup.stages]\nprod = 1", "prod] in .* is not a table"),
        ("[tool.sunup.stages.prod]\nclustre = 'x'", "prod] in .*: clustre"),
        ("[tool.sunup.stages.prod.environment]\nA = [1]", "prod] in .*: environment"),
        ("[tool.sunup.stages.dev]", "has no stage 'prod'"),
        ("", "has no stage 'prod'"),
    ],
)
def test_a_wrong_table_is_told(stage: Stage, text: str, says: str) -> None:
    (stage.folder / "pyproject.toml").write_text(text)
    with pytest.raises(CommandError, match=says):
        stage("prod")


@pytest.mark.parametrize(
    ("host", "remote"),
    [
        ("/tmp/socket", False),
        ("localhost", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("db.example", True),
        ("10.0.0.7", True),
        ("localhost.example", True),
    ],
)
def test_another_machine_s_database_is_remote(host: str, *, remote: bool) -> None:
    assert is_remote(Settings(host=host)) is remote


def test_the_app_is_called_as_pyproject_says_wherever_it_lies(stage: Stage) -> None:
    (stage.folder / "pyproject.toml").write_text(
        "[project]\nname = 'my_shop.api'\n[tool.sunup.stages.prod]\n"
    )
    assert (stage().name, stage("prod").name) == ("my_shop.api", "my-shop-api-prod")
    (stage.folder / "pyproject.toml").write_text("[tool.sunup.stages.prod]\n")
    assert stage().name == stage.folder.name
