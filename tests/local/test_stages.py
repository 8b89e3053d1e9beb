from pathlib import Path

import pytest

from sunup.local import project
from sunup.local.errors import CommandError
from sunup.local.project import Project, is_remote
from sunup.settings import Settings, SettingsError

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
    for name in ("DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_MIGRATION_USER"):
        monkeypatch.delenv(name, raising=False)
    return Stage(tmp_path, monkeypatch)


class Stage:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch

    def __call__(self, name: str = "") -> Project:
        if name:
            self._monkeypatch.setenv("SUNUP_STAGE", name)
        else:
            self._monkeypatch.delenv("SUNUP_STAGE", raising=False)
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
        CommandError, match=r"DB_HOST is laptop\.example in the environment, but prod"
    ):
        stage("prod")
    assert stage().environ["DB_HOST"] == "laptop.example"


def test_an_exported_env_file_is_not_a_stage_s(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`set -a; . ./.env`, or direnv, and a stage that does not say everything."""
    monkeypatch.setenv("DB_HOST", "prod.example")
    monkeypatch.setenv("DB_NAME", "of_the_laptop")
    with pytest.raises(CommandError, match="DB_NAME is of_the_laptop in the environment, but"):
        stage("prod")
    (stage.folder / ".env").write_text("DB_HOST=prod.example\nDB_NAME=of_the_laptop\n")
    with pytest.raises(CommandError, match=r"the environment has DB_HOST, DB_NAME as in .env"):
        stage("dev-2")
    # In CI the environment says it all, and there is no .env.
    monkeypatch.setenv("DB_NAME", "shop_dev_2")
    monkeypatch.setenv("DB_USER", "shop_dev_2_app")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    settings = stage("dev-2").settings
    assert (settings.host, settings.database) == ("prod.example", "shop_dev_2")


@pytest.mark.parametrize("name", ["DB_NAME", "DB_USER"])
def test_a_stage_says_which_database_it_is_and_as_whom(stage: Stage, name: str) -> None:
    """Their defaults are the administrator's, and the same for all stages."""
    said = {"DB_NAME": "shop_prod", "DB_USER": "shop_prod_app", "AWS_REGION": "x"}
    text = "".join(f"{key}={value}\n" for key, value in said.items() if key != name)
    (stage.folder / ".env.prod").write_text(text)
    with pytest.raises(
        SettingsError, match=f"{name} is not set; expected a value for the stage prod"
    ):
        stage("prod").settings  # noqa: B018
    (stage.folder / ".env.prod").write_text(text + f"{name}={said[name]}\n")
    assert stage("prod").settings.database == "shop_prod"


def test_the_account_of_a_stage_is_its_own(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    (stage.folder / ".env.prod").write_text("AWS_PROFILE=prod\nAWS_REGION=eu-west-1\n")
    for name, value in {"AWS_PROFILE": "dev", "AWS_REGION": "x", "AWS_ACCESS_KEY_ID": "y"}.items():
        monkeypatch.setenv(name, value)
        with pytest.raises(CommandError, match=f"{name} is .*in the environment, but"):
            stage("prod")
        monkeypatch.delenv(name)
    assert stage("prod").environ["AWS_PROFILE"] == "prod"


def test_a_stage_says_one_database_only(stage: Stage) -> None:
    (stage.folder / ".env.prod").write_text("DB_HOST=other.example\n")
    with pytest.raises(CommandError, match=r"DB_HOST is other\.example in \.env\.prod, but prod"):
        stage("prod")
    (stage.folder / ".env.prod").write_text("DB_HOST=prod.example\n")
    assert stage("prod").environ["DB_HOST"] == "prod.example"


@pytest.mark.parametrize("name", ["", " "])
def test_a_stage_without_a_name_is_none(
    stage: Stage, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--stage "$STAGE"` in CI, where STAGE is not set, deployed what has no stage."""
    monkeypatch.setenv("SUNUP_STAGE", name)
    with pytest.raises(CommandError, match="the name of the stage is empty"):
        project.find(stage.folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tool.sunup.stages.Prod]", "'Prod' is not a valid name for a stage"),
        ("[tool.sunup.stages]\nprod = 1", "prod] in .* is not a table"),
        ("[tool.sunup.stages.prod]\nclustre = 'x'", "prod] in .*: clustre"),
        ("[tool.sunup.stages.prod.environment]\nA = [1]", "prod] in .*: environment"),
        ("[tool.sunup.stages.default]", "'default' is reserved"),
        ("[tool.sunup.stages.a-]", "'a-' is not a valid name for a stage"),
        ("[tool.sunup.stages.a--b]", "'a--b' is not a valid name for a stage"),
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
        ("LOCALHOST.", False),
        ("127.evil.example", True),
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
