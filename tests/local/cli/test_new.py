"""`sunup new`: what it makes runs, tests and packages at once; also from an installed sunup."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

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
    assert out.startswith("Made my-shop in My_Shop/. Next:\n\n  cd My_Shop\n")
    return folder / "My_Shop"


def test_it_runs_at_once(shop: Path) -> None:
    with dev(shop, end=signal.SIGTERM) as (url, _):
        for command, expected in readme_session():
            assert timeless(curl(command, url)) == timeless(expected)
    shutil.rmtree(shop.parent)


def test_its_own_tests_pass_and_it_can_be_packaged(shop: Path, cli: Cli) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=shop, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    assert "4 passed" in result.stdout
    status, out, err = cli("package", shop, *NATIVE)
    assert (status, err) == (0, "")
    assert "imported here" in out
    shutil.rmtree(shop.parent)


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
                 "tests/test_users.py", "migrations/versions/0001_users.py"):  # fmt: skip
        assert (tmp_path / "other" / file).is_file(), file
    assert not list((tmp_path / "other").rglob("*.zip"))


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
