"""`sunup new`: what it makes runs, tests and packages at once; also from an installed sunup."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest

from sunup.local.cli import new
from sunup.local.template import TEMPLATES
from tests.local.cli.conftest import Cli
from tests.local.cli.test_dev import curl, dev, readme_session, timeless
from tests.local.cli.test_package import NATIVE

ROOT = Path(__file__).parents[3]


@pytest.fixture
def shop(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="sunup-test-"))
    monkeypatch.chdir(folder)
    status, out, err = cli("new", "My_Shop")
    assert (status, err) == (0, "")
    assert out.startswith("Created my-shop in My_Shop/. Next:\n\n  cd My_Shop\n")
    return folder / "My_Shop"


def test_it_runs_at_once(shop: Path) -> None:
    with dev(shop, end=signal.SIGTERM) as (url, _):
        for command, expected in readme_session():
            assert timeless(curl(command, url)) == timeless(expected)
    shutil.rmtree(shop.parent)


# How many tests each template brings.
TESTS = {"starlette": 4, "fastapi": 4, "flask": 4, "django": 1, "asgi": 4}


@pytest.mark.parametrize("template", TEMPLATES)
def test_its_own_tests_pass_and_it_can_be_packaged(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)  # Django's tests start a database
    shop = tmp_path / "shop"
    status, out, err = cli("new", "shop", "--template", template)
    assert (status, err) == (0, "")
    assert "pip install" not in out  # all is here
    result = run(shop, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert f"{TESTS[template]} passed" in result, result
    if template == "django":
        result = run(shop, "manage.py", "test")
        assert re.search(r"^Ran 4 tests in .*\n\nOK$", result, re.MULTILINE), result
    # greenlet has wheels for the older Lambda's glibc no more.
    target = ("--python", "3.13") if template == "fastapi" else NATIVE
    status, out, err = cli("package", shop, *target)
    assert status == 0, err
    assert "imported here" in out or template == "fastapi"
    table = tomllib.loads((shop / "pyproject.toml").read_text())
    assert "terraform" not in table["tool"]["sunup"]
    assert table["project"]["name"] == "shop"
    assert (shop / "terraform" / "main.tf").read_text().startswith("# shop on AWS")
    readme = (shop / "README.md").read_text()
    assert readme.startswith("# shop\n")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", readme):
        assert (shop / target).exists(), target


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_framework_that_is_not_there_is_to_be_installed_first(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new, "_NEEDS", {"flask": ("no_such_framework",)})
    assert (
        "\n  pip install -r requirements.txt\n"
        in cli("new", tmp_path / "shop", "--template", "flask")[1]
    )


def test_an_unknown_template_is_told_with_those_that_there_are(tmp_path: Path, cli: Cli) -> None:
    status, _, err = cli("new", tmp_path / "shop", "--template", "rails")
    assert status != 0
    assert all(name in err for name in TEMPLATES)
    assert not (tmp_path / "shop").exists()


def test_its_names_are_its_own(shop: Path) -> None:
    assert 'name = "my-shop"' in (shop / "pyproject.toml").read_text()
    assert (shop / "README.md").read_text().startswith("# my-shop\n")
    variables = (shop / "terraform" / "variables.tf").read_text()
    defaults = re.findall(r'default     = "([^"]*shop[^"]*)"', variables)
    assert defaults == ["my-shop", "my_shop", "my_shop_app"]
    tfvars = (shop / "terraform" / "terraform.tfvars.example").read_text()
    assert 'db_user                = "my_shop_app"' in tfvars
    assert '"users' not in tfvars + variables
    assert "DB_USER=my_shop_app" in (shop / ".env.example").read_text()
    assert not (shop / ".env").exists()
    shutil.rmtree(shop.parent)


def test_an_installed_sunup_has_the_template_too(tmp_path: Path) -> None:
    """The wheel is built from what git has, as a release is."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "-w", tmp_path, ROOT],
        check=True, capture_output=True,
    )  # fmt: skip
    wheel = next(tmp_path.glob("sunup-*.whl"))
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check",
         "--target", tmp_path / "installed", wheel],
        check=True, capture_output=True,
    )  # fmt: skip
    code = "import sunup; print(sunup.__file__); from sunup.local.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "new", "other"],
        cwd=tmp_path, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.stdout.startswith(str(tmp_path / "installed")), result.stderr
    for file in ("app.py", "terraform/lambda.tf", "requirements.txt", ".gitignore", ".env.example",
                 "tests/test_users.py", "migrations/versions/0001_users.py", "migrations/versions/0002_receipts.py"):  # fmt: skip
        assert (tmp_path / "other" / file).is_file(), file
    assert not list((tmp_path / "other").rglob("*.zip"))
    for template in TEMPLATES:
        result = subprocess.run(
            [sys.executable, "-c", code, "new", template, "--template", template],
            cwd=tmp_path, env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        assert (tmp_path / template / "terraform" / "main.tf").is_file()
        assert list((tmp_path / template).glob("tests/test_*.py"))


@pytest.mark.parametrize(
    ("name", "says"),
    [("123", "is not a valid name"), ("x" * 41, "is not a valid name"), (".", "is not empty")],
)
def test_what_cannot_be_made_is_told(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "file").touch()
    monkeypatch.chdir(folder)
    status, _, err = cli("new", name)
    assert status == 1
    assert says in err
