"""What is made in a project, and what is added to its files."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from sunup.local import existing
from sunup.local.errors import CommandError
from tests.local.test_apps import write


def made(folder: Path, app: str = "main:app", driver: str = "asyncpg") -> dict[str, str]:
    return existing.files(folder, app, driver)


def test_lines_are_added_with_the_file_s_own_line_ends(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_bytes(b"*.pyc\r\n.env\r\ndb.sqlite3")
    (tmp_path / "pyproject.toml").write_bytes(b"[project]\r\nname = 'shop'\r\n\r\n")
    existing.write(tmp_path, made(tmp_path))
    ignored = (tmp_path / ".gitignore").read_bytes()
    assert ignored.startswith(b"*.pyc\r\n.env\r\ndb.sqlite3\r\n.env.*\r\n!.env.example\r\n")
    said = (tmp_path / "pyproject.toml").read_bytes()
    assert said.startswith(b"[project]\r\nname = 'shop'\r\n\r\n\r\n[tool.sunup]\r\napp = ")
    assert all(text.count(b"\n") == text.count(b"\r\n") for text in (ignored, said))
    assert made(tmp_path) == {}


@pytest.mark.parametrize("text", ["", "!.env.example\n", ".env.*\n"])
def test_an_example_of_the_settings_is_no_secret(tmp_path: Path, text: str) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text(text)
    existing.write(tmp_path, made(tmp_path))
    write(tmp_path, {".env": "", ".env.prod": "", ".env.example": ""})
    told = subprocess.run(
        ["git", "ls-files", "-o", "--exclude-standard"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {each for each in told.stdout.split() if each.startswith(".env")} == {".env.example"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[project]\nname = 'shop'",
        "[tool.sunup]",
        "[ tool . sunup ]  # ours\ntry = ['curl {url}']\n[tool.other]\n",
        "[tool.sunup.emulate]\nmemory = 512\n",
        "[tool.sunup.stages.prod]\nname = 'x'\n[tool.sunup]\narch = 'arm64'\n",
    ],
)
def test_the_app_is_written_into_the_table_whatever_else_is_there(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    said = tomllib.loads(made(tmp_path)["pyproject.toml"])
    assert said["tool"]["sunup"].pop("app") == "main:app"
    before = tomllib.loads(text)
    assert {**before.get("tool", {}).get("sunup", {})} == said["tool"]["sunup"]
    assert before.get("project") == said.get("project")


def test_a_table_that_cannot_be_added_to_is_told(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("[tool]\nsunup = {arch = 'arm64'}\n")
    with pytest.raises(CommandError, match=r"nothing can be added to \[tool\.sunup\]") as raised:
        made(tmp_path)
    assert raised.value.cure == 'Write app = "main:app" there.'
    file.write_text("[tool]\nsunup = {arch = 'arm64', app = \"main:app\"}\n")
    assert "pyproject.toml" not in made(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "app", "module"),
    [
        ("database.py", "engine = None", "main:app", "sunup_database"),
        ("database/__init__.py", "", "main:app", "sunup_database"),
        ("database/models.py", "", "main:app", "sunup_database"),
        ("database/schema.sql", "", "main:app", "database"),
        ("src/database.py", "engine = None", "main:app", "sunup_database"),
        ("src/database.py", "engine = None", "src.main:app", "database"),
    ],
)
def test_the_app_s_own_module_database_is_not_hidden(
    tmp_path: Path, file: str, text: str, app: str, module: str
) -> None:
    write(tmp_path, {"src/main.py": "", file: text})
    files = made(tmp_path, app)
    assert f"{module}.py" in files
    assert files["lambda_function.py"].startswith(f"from {module} import db\n")


@pytest.mark.parametrize("place", ["database.py", "database/__init__.py", "src/database.py"])
def test_a_database_of_sunup_s_is_used(tmp_path: Path, place: str) -> None:
    write(tmp_path, {"src/main.py": "", place: "from sunup.asyncpg import Database"})
    files = made(tmp_path)
    assert not {"database.py", "sunup_database.py"} & files.keys()
    assert files["lambda_function.py"].startswith("from database import db\n")


def test_what_cannot_be_read_or_written_is_told_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").symlink_to(tmp_path / "nowhere")
    with pytest.raises(CommandError, match=r"\.gitignore is a link that leads nowhere"):
        made(tmp_path)
    (tmp_path / ".gitignore").unlink()
    (tmp_path / "lambda_function.py").mkdir()
    with pytest.raises(CommandError, match=r"lambda_function\.py cannot be read: Is a directory"):
        made(tmp_path)
    (tmp_path / "lambda_function.py").rmdir()
    (tmp_path / "pyproject.toml").write_text("[")
    with pytest.raises(CommandError, match=r"pyproject\.toml cannot be read"):
        made(tmp_path)
    with pytest.raises(CommandError, match=r"pyproject\.toml/x cannot be written: ") as raised:
        existing.write(tmp_path, {"pyproject.toml/x": ""})
    assert "run sunup init again" in raised.value.cure
    (tmp_path / "pyproject.toml").unlink()
    existing.write(tmp_path, made(tmp_path))
    assert made(tmp_path) == {}


@pytest.mark.parametrize("place", ["", "src/"])
def test_an_entry_that_is_not_sunup_s_stays_and_is_told(tmp_path: Path, place: str) -> None:
    entry = f"{place}lambda_function.py"
    write(tmp_path, {f"{place}main.py": "", entry: "def handler(e, c): ..."})
    assert "lambda_function.py" not in made(tmp_path)
    (told,) = existing.by_hand(tmp_path, "main:app", "asyncpg")
    assert told.startswith(f"{entry} is there, and stays")
    write(tmp_path, {entry: told.partition("\n\n")[2]})
    assert existing.by_hand(tmp_path, "main:app", "asyncpg") == []


def test_django_s_settings_are_those_that_its_app_says(tmp_path: Path) -> None:
    wsgi = "os.environ.setdefault('DJANGO_SETTINGS_MODULE', {})"
    write(tmp_path, {"shop/wsgi.py": wsgi.format("'shop.conf.production'")})
    files = made(tmp_path, "shop.wsgi:application", "django")
    assert '"DJANGO_SETTINGS_MODULE", "shop.conf.production")' in files["lambda_function.py"]
    assert "database.py" not in files
    write(tmp_path, {"shop/wsgi.py": wsgi.format("found()")})
    files = made(tmp_path, "shop.wsgi:application", "django")
    assert "DJANGO_SETTINGS_MODULE" not in files["lambda_function.py"]
    assert "import os" not in files["lambda_function.py"]


def test_django_s_database_is_told_when_it_is_another(tmp_path: Path) -> None:
    write(tmp_path, {"shop/wsgi.py": "", "shop/settings.py": "DATABASES = {}"})
    (told,) = existing.by_hand(tmp_path, "shop.wsgi:application", "django")
    assert told == (
        'shop/settings.py: set DATABASES = {"default": {"ENGINE": "sunup.integrations.django"}}'
    )
    write(tmp_path, {"shop/settings.py": told.partition(": set ")[2]})
    assert existing.by_hand(tmp_path, "shop.wsgi:application", "django") == []
