from pathlib import Path

import pytest

from sunup.local import project
from sunup.local.errors import CommandError


def test_an_app_is_found_by_its_pyproject_and_its_dotenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main.py").touch()
    (tmp_path / "pyproject.toml").write_text('[tool.sunup]\napp = "main:api"\ntry = ["curl {url}"]')
    (tmp_path / ".env").write_text("DB_HOST=from-file\nDB_USER=me\n")
    monkeypatch.setenv("DB_HOST", "from-shell")
    found = project.find(tmp_path)
    assert (found.app, found.tries) == ("main:api", ("curl {url}",))
    assert (found.environ["DB_HOST"], found.environ["DB_USER"]) == ("from-shell", "me")


@pytest.mark.parametrize(
    ("variables", "user"),
    [
        ({"DB_HOST": "abc.dsql.eu-central-1.on.aws"}, "admin"),
        ({"DB_HOST": "localhost", "DB_ENGINE": "dsql"}, "admin"),
        ({"DB_HOST": "localhost", "DB_ENGINE": "dsql", "DB_MIGRATION_USER": "owner"}, "owner"),
        ({"DB_HOST": "localhost"}, "app"),
    ],
)
def test_on_aurora_dsql_the_schema_is_changed_by_admin(
    tmp_path: Path, variables: dict[str, str], user: str
) -> None:
    lines = {"DB_USER": "app", "AWS_REGION": "eu-central-1", **variables}
    (tmp_path / ".env").write_text("".join(f"{name}={text}\n" for name, text in lines.items()))
    found = project.find(tmp_path)
    assert (found.settings.user, found.migration_settings.user) == ("app", user)


def test_without_a_pyproject_the_app_is_app(tmp_path: Path) -> None:
    (tmp_path / "app.py").touch()
    assert project.find(tmp_path).app == "app:app"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[tool.sunup", "cannot be read"),
        ("tool = 3", "tool and project must be tables"),
        ("project = 3", "tool and project must be tables"),
        ("[tool.sunup]\napp = 1", "is not as expected"),
        ('[tool.sunup]\napp = "other:app"', "there is no other.py"),
        ('[tool.sunup]\napp = "other"', "'other' is not the name of an app"),
        ('[tool.sunup]\napp = "other:a-b"', "'other:a-b' is not the name of an app"),
        ('[tool.sunup]\napp = ".other:app"', "'.other:app' is not the name of an app"),
    ],
)
def test_a_wrong_project_is_a_clear_error(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "pyproject.toml").write_text(content)
    with pytest.raises(CommandError, match=says):
        project.find(tmp_path).check_app()


def test_a_folder_that_is_none_is_named() -> None:
    with pytest.raises(CommandError, match="there is no folder /nowhere"):
        project.find(Path("/nowhere"))


def test_an_env_file_that_is_no_text_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\n")
    with pytest.raises(CommandError, match="cannot be read"):
        project.find(tmp_path)
