"""`sunup init` in projects as their frameworks' documentation makes them."""

import tomllib
from pathlib import Path

import pytest

from tests.local.cli.conftest import Cli
from tests.local.test_apps import FASTAPI, FLASK, write


def test_what_is_there_stays_and_what_is_missing_is_made(tmp_path: Path, cli: Cli) -> None:
    folder = write(
        tmp_path / "my_shop",
        {
            "main.py": FASTAPI,
            "database.py": "engine = None\n",
            ".gitignore": "*.pyc\n.env",
            "pyproject.toml": "[project]\nname = 'shop'\n",
        },
    )
    status, out, err = cli("init", folder)
    assert status == 1
    assert "App         main:app (FastAPI), with asyncpg" in out
    assert '+app = "main:app"' in out
    assert "is not a terminal: Write" in err
    assert not (folder / "lambda_function.py").exists()
    assert cli("init", folder, "--yes")[0] == 0
    assert (folder / "database.py").read_text() == "engine = None\n"
    assert (folder / "lambda_function.py").read_text().startswith("from sunup_database import db\n")
    assert "from sunup.asyncpg import" in (folder / "sunup_database.py").read_text()
    assert (folder / ".gitignore").read_text().startswith("*.pyc\n.env\n.env.*\n!.env.example\n")
    content = tomllib.loads((folder / "pyproject.toml").read_text())
    assert content["tool"]["sunup"] == {"app": "main:app"}
    assert 'default     = "my-shop"' in (folder / "terraform/variables.tf").read_text()
    assert cli("init", folder, "--yes")[1].endswith("Nothing to do: everything is in place.\n")
    assert cli("package", folder, "--arch", "x86_64")[0] == 1  # fastapi is pinned nowhere


@pytest.mark.parametrize(
    ("files", "options", "driver"),
    [
        ({"flaskr/__init__.py": FLASK}, (), "from sunup.psycopg import Database"),
        ({"main.py": FASTAPI}, ("--driver", "psycopg"), "from sunup.psycopg import Database"),
        ({"mysite/wsgi.py": "application = get_wsgi_application()"}, (), "mysite.settings"),
    ],
)
def test_the_driver_suits_the_app(
    tmp_path: Path, cli: Cli, files: dict[str, str], options: tuple[str, ...], driver: str
) -> None:
    folder = write(tmp_path / "shop", files)
    assert cli("init", folder, "--yes", *options)[0] == 0
    written = [folder / "database.py", folder / "lambda_function.py"]
    assert any(driver in path.read_text() for path in written if path.exists())


def test_an_app_that_is_not_there_or_is_another_than_was_said_is_told(
    tmp_path: Path, cli: Cli
) -> None:
    folder = write(tmp_path / "shop", {"main.py": FASTAPI, "other.py": FASTAPI})
    status, _, err = cli("init", folder, "--yes", "--app", "nope:app")
    assert (status, "there is no nope.py" in err) == (1, True)
    assert not (folder / "pyproject.toml").exists()
    assert cli("init", folder, "--yes", "--app", "other:app")[0] == 0
    status, _, err = cli("init", folder, "--yes", "--app", "main:app")
    assert (status, "pyproject.toml already sets app = 'other:app'" in err) == (1, True)
    out = cli("init", folder, "--yes")[1]
    assert "App         other:app (FastAPI)" in out
    assert "Nothing to do" in out


def test_where_nothing_is_found_it_is_told(tmp_path: Path, cli: Cli) -> None:
    status, _, err = cli("init", tmp_path)
    assert (status, "no app was found" in err) == (1, True)
    assert "--driver 'x'" in cli("init", tmp_path, "--driver", "x")[2]


def test_an_app_needs_a_name(tmp_path: Path, cli: Cli) -> None:
    folder = write(tmp_path / "shop", {"a.py": FASTAPI})
    status, _, err = cli("init", folder, "--yes", "--app", "a")
    assert (status, "'a' is not the name of an app" in err) == (1, True)
    assert cli("init", folder, "--yes", "--app", "a:app")[0] == 0


def test_an_app_that_is_named_gets_the_driver_of_what_it_imports(tmp_path: Path, cli: Cli) -> None:
    folder = write(tmp_path / "shop", {"web.py": "import flask\nimport made\napp = made.app\n"})
    assert "no app was found" in cli("init", folder, "--yes")[2]
    out = cli("init", folder, "--yes", "--app", "web:app")[1]
    assert "App         web:app, with psycopg" in out


SETTINGS = "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"
DJANGO = {
    "manage.py": f"import django\n{SETTINGS}",
    "shop/wsgi.py": f"{SETTINGS}application = get_wsgi_application()\n",
    "shop/settings.py": "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3'}}\n",
}


def test_what_is_left_to_do_by_hand_is_told_until_it_is_done(tmp_path: Path, cli: Cli) -> None:
    folder = write(tmp_path / "site", DJANGO)
    wanted = 'DATABASES = {"default": {"ENGINE": "sunup.integrations.django"}}'
    status, out, _ = cli("init", folder, "--yes")
    assert (status, "Written. Next: what is below, then sunup dev" in out) == (0, True)
    assert f"By hand     shop/settings.py: set {wanted}" in out
    out = cli("init", folder)[1]
    assert "Nothing to write" in out
    assert wanted in out
    (folder / "shop/settings.py").write_text(wanted)
    assert cli("init", folder)[1].endswith("Nothing to do: everything is in place.\n")


def test_a_django_project_in_a_folder_below_is_told(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {f"backend/{name}": text for name, text in DJANGO.items()})
    monkeypatch.chdir(tmp_path)
    status, _, err = cli("init", "--yes")
    assert (status, "sunup init backend" in err) == (1, True)
    assert [each.name for each in tmp_path.iterdir()] == ["backend"]
    assert "App         shop.wsgi:application" in cli("init", "backend", "--yes")[1]
